#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A program of two models, from its document to a load: check, find, baseline, info and export know
which of both is meant, or say that they do not."""
import json
import os
import re

from common import GODWIT, Case, instance, main, run

BOTH = os.environ["TWO_MODELS"]
PLAIN, COLOURED = "godwit-project.org/null", "example.org/coloured"
RED = {"colour": "red"}


class TwoModels(Case):
    def setUp(self):
        super().setUp()
        self.told = json.loads(run(BOTH, "--print-migration-info").stdout)

    def only(self, *names):
        """What a program of fewer models would say."""
        return dict(self.told, models={name: self.told["models"][name] for name in names})

    def start(self, *arguments):
        """The daemon has no share; the option that says so is none of its own."""
        return self.daemon(str(self.directory), "--reconnect", *arguments, program=self.program(
            f"#!/bin/sh\nshift 2\nexec {BOTH} \"$@\"\n", "start"))

    def test_document(self):
        self.assertEqual(sorted(self.told["models"]), [COLOURED, PLAIN])
        self.assertEqual(self.told["models"][COLOURED]["default"], "red")
        ran = run(GODWIT, "info", "--json", BOTH)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(sorted(json.loads(ran.stdout)["models"]),
                         [COLOURED, PLAIN])
        text = run(GODWIT, "info", BOTH).stdout
        for name in (PLAIN, COLOURED):
            self.assertIn(name, text)

    def test_check(self):
        for destination in (BOTH, self.told):
            self.goes(instance({}, PLAIN), destination)
            self.goes(instance(RED, COLOURED), destination)
            self.stays(instance(RED, PLAIN), destination, "param-unknown:colour")
            self.stays(instance({}, "example.org/third"), destination,
                       "model-unknown:example.org/third")
        self.stays(instance(RED, COLOURED), self.only(PLAIN), f"model-unknown:{COLOURED}")
        # What goes together the model that is meant decides.
        self.stays(instance({"deep": True}, COLOURED), BOTH, "combination-refused:")
        self.assertIn("no colour to be deeper", self.report["reasons"][0]["text"])
        self.goes(instance({"deep": True, **RED}, COLOURED), BOTH)

    def test_a_profile_of_which(self):
        self.assertIn("several", self.unknown(BOTH, BOTH, "--profile", "red"))
        self.goes(BOTH, BOTH, "--profile", "red", "--model", COLOURED)
        self.goes(BOTH, BOTH, "--profile", "v1", "--model", PLAIN)
        self.goes(self.only(COLOURED), BOTH, "--profile", "red")
        self.unknown(BOTH, BOTH, "--profile", "red", "--model", PLAIN)

    def find(self, source, hosts):
        ran = run(GODWIT, "find", "--json", "--from", self.put(source), hosts)
        found = json.loads(ran.stdout)
        return [one["host"] for one in found["found"]], {
            one["host"]: [reason["code"] for reason in one["reasons"]] for one in found["rejected"]}

    def test_find(self):
        hosts = self.directory / "hosts"
        hosts.mkdir()
        full = json.loads(json.dumps(self.told))
        full["models"][COLOURED]["available_instances"] = 0
        for name, document in (("both", self.told), ("full", full), ("one", self.only(PLAIN)),
                               ("other", self.only(COLOURED))):
            (hosts / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
        self.assertEqual(self.find(instance({}, PLAIN), str(hosts)),
                         (["both", "full", "one"], {"other": ["model-unknown"]}))
        self.assertEqual(self.find(instance(RED, COLOURED), str(hosts)),
                         (["both", "other"], {"full": ["no-capacity"], "one": ["model-unknown"]}))

    def baseline(self, *arguments):
        ran = run(GODWIT, "baseline", "--json", *arguments)
        return ran, json.loads(ran.stdout)["baseline"] if ran.returncode == 0 else None

    def test_baseline(self):
        both, less = self.put(self.told), json.loads(json.dumps(self.told))
        less["models"][COLOURED]["params"]["colour"]["values"] = ["none", "blue"]
        less["models"][COLOURED].update(profiles={"plain": {}}, default="plain")
        less = self.put(less)
        ran, _ = self.baseline(both, less)
        self.assertNotEqual(ran.returncode, 0)
        for name in (PLAIN, COLOURED):
            self.assertIn(name, ran.stderr)
        for model, profile in ((PLAIN, "v1"), (COLOURED, "plain")):
            ran, baseline = self.baseline("--model", model, both, less)
            self.assertEqual((baseline["profile"], baseline["instance"]["model"]), (profile, model))
        # They have one in common: then that is meant.
        _, baseline = self.baseline(both, self.put(self.only(COLOURED)))
        self.assertEqual((baseline["profile"], baseline["instance"]["model"]), ("red", COLOURED))

    def test_export(self):
        ran = run(GODWIT, "export", "labels", BOTH)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        profiles = {}
        for alias, profile in re.findall(r"/m\.(\w+)\.p\.(\w+)=", ran.stdout):
            profiles.setdefault(alias, []).append(profile)
        self.assertEqual(sorted(profiles.values()), [["plain", "red"], ["v1"]], ran.stdout)

    def test_start(self):
        """An instance is of the model that it was started as; its state goes to one of the same."""
        state = str(self.directory / "state")
        with self.start("--migration-model", COLOURED, "--m-deep=on") as control:
            told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
            self.assertEqual((told["model"], told["params"]), (COLOURED, {"deep": True}))
            self.assertEqual(sorted(told["unset"]), ["colour", "state"])
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        saved = json.loads(run(GODWIT, "info", "--json", state).stdout)
        self.assertEqual((saved["model"], saved["params"]["colour"]), (COLOURED, "red"))
        self.goes(state, BOTH)
        for arguments, loads in ((["--migration-model", COLOURED], True), ([], False),
                                 (["--migration-model", PLAIN], False)):
            with self.start(*arguments) as control:
                ran = run(GODWIT, "load", "--socket", control.removesuffix(".control"), state)
                self.assertEqual(ran.returncode == 0, loads, (arguments, ran.stderr))
                said = self.log.read_text(encoding="utf-8") + ran.stderr
            if not loads:
                self.assertIn("model-unknown", said)

    def test_start_refused(self):
        for arguments, code in ((["--migration-model", "example.org/third"], "model-unknown"),
                                (["--m-colour=red"], "param-unknown"),
                                (["--migration-model", COLOURED, "--m-colour=green"],
                                 "value-not-allowed"),
                                (["--migration-model", COLOURED, "--m-colour=none", "--m-deep=on"],
                                 "combination-refused")):
            ran = run(BOTH, "--socket-path", str(self.directory / "socket"), *arguments)
            self.assertEqual(ran.returncode, 1, (arguments, ran.stderr))
            self.assertIn(code, ran.stderr)


main()
