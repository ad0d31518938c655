#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What godwit-fs says it could be, which instance it is told to be, and what it is then."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

GODWIT_FS = os.path.abspath(sys.argv.pop(1))
MODEL = "godwit-project.org/virtio-fs"


def run(*arguments, **options):
    return subprocess.run([GODWIT_FS, *arguments], capture_output=True, text=True, timeout=30,
                          check=False, **options)


def check(document):
    text = document if isinstance(document, str) else json.dumps(document)
    return run("--check-migration", input=text)


def instance(**params):
    return {"format": 1, "model": MODEL,
            "params": {name.replace("_", "-"): value for name, value in params.items()}}


class Documents(unittest.TestCase):
    def test_print(self):
        ran = run("--print-migration-info", "--nothing")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        info = json.loads(ran.stdout)
        self.assertEqual(info["format"], 1)
        self.assertEqual(info["implementation"]["name"], "godwit-fs")
        self.assertIn("boot", info["implementation"])
        model = info["models"][MODEL]
        self.assertEqual(model["params"]["xattr"]["type"], "bool")
        self.assertIs(model["params"]["xattr"]["off"], False)
        self.assertEqual(model["params"]["cache"]["values"], ["auto", "always", "never", "metadata"])
        queues = model["params"]["num-request-queues"]
        self.assertEqual((queues["off"], queues["min"], queues["max"]), (1, 1, 64))
        self.assertIn(model["default"], model["profiles"])
        self.assertGreaterEqual(len(model["profiles"]), 2)
        self.assertIs(model["profiles"]["2"]["submounts"], True)
        numbers = list(range(1, model["params"]["state"]["max"] + 1))
        self.assertEqual(model["state"], {"write": numbers, "read": numbers})

    def test_room(self):
        """As it is told; and nothing is said to have room because the word was not understood."""
        model = json.loads(run("--print-migration-info").stdout)["models"][MODEL]
        self.assertNotIn("available_instances", model)
        for given, room in ((["--available-instances", "3"], 3), (["--available-instances=0"], 0)):
            ran = run("--print-migration-info", *given)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            said = json.loads(ran.stdout)["models"][MODEL]
            self.assertEqual(said, dict(model, available_instances=room))
        for wrong in (["--available-instances=many"], ["--available-instances", "-1"],
                      ["--available-instances"], ["--nothing", "--available-instances=0"],
                      ["--available-instances=99999999999"]):
            ran = run("--print-migration-info", *wrong)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), wrong)
            self.assertEqual(ran.stderr.count("\n"), 1)

    def test_build(self):
        """The linker's digest of what runs, as others read it out of the file."""
        readelf = shutil.which("readelf")
        if not readelf:
            self.skipTest("there is no readelf (binutils)")
        notes = subprocess.run([readelf, "-nW", GODWIT_FS], capture_output=True, text=True,
                               check=True).stdout
        expected = re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)
        version = run("--version").stdout.split()[1]
        info = json.loads(run("--print-migration-info").stdout)
        self.assertEqual(info["implementation"]["build"], f"{version}-{expected[:16]}")

    def test_each_profile_could_be(self):
        """What it prints is what it accepts."""
        model = json.loads(run("--print-migration-info").stdout)["models"][MODEL]
        for name, params in model["profiles"].items():
            with self.subTest(profile=name):
                ran = check({"format": 1, "model": MODEL, "params": params})
                self.assertEqual(ran.returncode, 0, ran.stdout)
                self.assertEqual(json.loads(ran.stdout), {"compatible": True, "reasons": []})

    def test_refusals(self):
        for document, code in (
            ({"format": 1, "model": "example.org/other", "params": {}}, "model-unknown"),
            (instance(warp=9), "param-unknown"),
            (instance(num_request_queues=65), "value-not-allowed"),
            (instance(num_request_queues=True), "value-not-allowed"),
            (instance(xattr=1), "value-not-allowed"),
            (instance(xattr="on"), "value-not-allowed"),
            (instance(cache="sometimes"), "value-not-allowed"),
            (instance(posix_acl="auto"), "combination-refused"),
            (instance(posix_acl="auto", xattr=True, id_map=5), "combination-refused"),
            (instance(lock_wait=True), "combination-refused"),
        ):
            with self.subTest(document=document):
                ran = check(document)
                self.assertEqual(ran.returncode, 1, ran.stderr)
                self.assertEqual(json.loads(ran.stdout)["reasons"][0]["code"], code)
                self.assertIs(json.loads(ran.stdout)["compatible"], False)

    def test_cannot_tell(self):
        """Never yes."""
        for text in ("", "[]", "7", "{", json.dumps(dict(instance(), format=2)),
                     json.dumps(dict(instance(), format="1")), '{"format": 1}',
                     json.dumps(dict(instance(), model=7)), json.dumps(dict(instance(), params=[])),
                     '{"format": 1, "format": 1, "model": "%s", "params": {}}' % MODEL,
                     json.dumps(instance()) + " " * 70000, "[" * 60000, "\xff"):
            with self.subTest(text=text[:40]):
                ran = check(text)
                self.assertEqual((ran.returncode, ran.stdout), (3, ""))
                self.assertEqual(ran.stderr.count("\n"), 1)

    def test_all_that_is_against_it(self):
        ran = check(instance(warp=9, num_request_queues=65, xattr=1, cache="never", weft=True))
        self.assertEqual(ran.returncode, 1, ran.stderr)
        reasons = json.loads(ran.stdout)["reasons"]
        self.assertEqual([reason["code"] for reason in reasons],
                         ["param-unknown", "value-not-allowed", "value-not-allowed",
                          "param-unknown"])
        for reason, name in zip(reasons, ("warp", "num-request-queues", "xattr", "weft")):
            self.assertIn(name, reason["text"])
        # Not more than anybody reads.
        ran = check(instance(**{f"p{i}": i for i in range(1000)}))
        self.assertEqual(len(json.loads(ran.stdout)["reasons"]), 64)

    def test_what_is_not_decided(self):
        for unset, part in ((["xattr"], "'xattr' is unset"), ([7], "is unset"),
                            ("xattr", "member 'unset' is not an array")):
            ran = check(dict(instance(), unset=unset))
            self.assertEqual((ran.returncode, ran.stdout), (3, ""))
            self.assertIn(part, ran.stderr)
        self.assertEqual(check(dict(instance(), unset=[])).returncode, 0)

    def test_a_profile_that_is_not_there(self):
        """The answer is which there are."""
        model = json.loads(run("--print-migration-info").stdout)["models"][MODEL]
        with tempfile.TemporaryDirectory() as directory:
            ran = run("--shared-dir", directory, "--socket-path", os.path.join(directory, "s"),
                      "--migration-profile", "99")
        self.assertEqual(ran.returncode, 1)
        self.assertIn(f"no profile '99', it has {', '.join(model['profiles'])}", ran.stderr)

    def test_what_is_not_known_is_passed_over(self):
        self.assertEqual(check(dict(instance(xattr=True), colour="blue")).returncode, 0)


class Instances(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "s")
        self.share = os.path.join(directory.name, "share")
        os.mkdir(self.share)

    def refused(self, code, *arguments):
        ran = run("--shared-dir", self.share, "--socket-path", self.path, *arguments)
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertIn(f"godwit-fs: {code}: ", ran.stderr)
        self.assertFalse(os.path.exists(self.path))

    def ask(self, *arguments):
        """The one instance of a daemon that is started so."""
        with subprocess.Popen([GODWIT_FS, "--shared-dir", self.share, "--socket-path", self.path,
                               *arguments], stderr=subprocess.DEVNULL) as daemon:
            deadline = time.monotonic() + 20
            client = socket.socket(socket.AF_UNIX)
            while client.connect_ex(self.path + ".control"):
                self.assertLess(time.monotonic(), deadline)
                self.assertIsNone(daemon.poll())
                time.sleep(0.005)
            with client, client.makefile("rw", encoding="utf-8") as lines:
                lines.readline()
                lines.write('{"execute": "query-migration-info"}\n')
                lines.flush()
                reply = json.loads(lines.readline())["return"]
            daemon.terminate()
        printed = json.loads(run("--print-migration-info").stdout)
        self.assertEqual(reply["models"], printed["models"])
        self.assertEqual(len(reply["instances"]), 1)
        return reply["instances"][0], printed["models"][MODEL]

    def test_nothing_given(self):
        told, model = self.ask()
        self.assertEqual(told["model"], MODEL)
        # Digests of rules that are not there are known to be 0.
        self.assertEqual(told["params"], {})
        self.assertEqual(set(told["unset"]) | {"xattr-map", "id-map"}, set(model["params"]))

    def test_a_profile(self):
        told, model = self.ask("--migration-model", MODEL, "--migration-profile", "2",
                               "--m-num-request-queues=7")
        self.assertEqual(told["unset"], [])
        expected = {name: value for name, value in model["profiles"]["2"].items()
                    if value != model["params"][name]["off"]}
        self.assertEqual(told["params"], dict(expected, **{"num-request-queues": 7}))
        self.assertEqual(check({"format": 1, "model": MODEL,
                                "params": told["params"]}).returncode, 0)

    def test_single_parameters(self):
        told, _ = self.ask("--m-cache=always", "--xattr", "--m-xattr=on")
        self.assertEqual(told["params"], {"cache": "always", "xattr": True})
        self.assertIn("num-request-queues", told["unset"])

    def test_refusals(self):
        self.refused("model-unknown", "--migration-model", "example.org/other")
        self.refused("param-unknown", "--m-warp=9")
        self.refused("value-not-allowed", "--m-cache=sometimes")
        self.refused("value-not-allowed", "--m-num-request-queues=0")
        self.refused("param-differs", "--m-cache=always", "--cache", "never")
        self.refused("param-differs", "--migration-profile", "2", "--num-request-queues", "9")
        self.refused("combination-refused", "--m-posix-acl=auto", "--m-xattr=off")

    def test_usage(self):
        for wrong in ("--m-cache", "--m-=x"):
            ran = run("--shared-dir", self.share, "--socket-path", self.path, wrong)
            self.assertEqual(ran.returncode, 2, ran.stderr)
            self.assertEqual(ran.stderr.count("\n"), 1)


unittest.main()
