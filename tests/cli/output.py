#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An answer that nobody can read is none: a full disk, a standard output that is closed; and nothing
that is opened takes the place of a standard stream.

usage: output.py GODWIT DAEMON...
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

GODWIT, *DAEMONS = map(os.path.abspath, sys.argv[1:])
del sys.argv[1:]
MODEL = "vendor-a.example/my-nic"
IMPLEMENTATION = {"format": 1, "models": {MODEL: {
    "params": {"rss": {"type": "bool", "off": False}}, "profiles": {"1": {}}}}}
INSTANCE = {"format": 1, "model": MODEL, "params": {}}


class Output(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top = pathlib.Path(directory.name)
        self.build, self.what = self.top / "hosts" / "h.json", self.top / "instance"
        self.build.parent.mkdir()
        self.build.write_text(json.dumps(IMPLEMENTATION), "utf-8")
        self.what.write_text(json.dumps(INSTANCE), "utf-8")

    def run_into(self, where, *command, stdin=""):
        """Exit code, standard error, and what was printed."""
        if where == "closed":
            command = ["sh", "-c", '"$@" >&-', "sh", *command]
            ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60,
                                 check=False)
            return ran.returncode, ran.stderr, ran.stdout
        with open(where, "w", encoding="utf-8") as out:
            ran = subprocess.run(command, input=stdin, stdout=out, stderr=subprocess.PIPE,
                                 text=True, timeout=60, check=False)
        return ran.returncode, ran.stderr, ""

    def lost(self, code, *command, stdin=""):
        for where in ("/dev/full", "closed"):
            with self.subTest(command=command[1:], where=where):
                got, said, printed = self.run_into(where, *command, stdin=stdin)
                self.assertEqual((got, printed), (code, ""), said)
                self.assertEqual(said.count("\n"), 1)
                self.assertIn("standard output could not be written", said)
        self.assertEqual(self.run_into("/dev/null", *command, stdin=stdin)[:2], (0, ""))

    def test_answers(self):
        build, what, hosts = str(self.build), str(self.what), str(self.build.parent)
        for command in (["info", build], ["info", "--json", what],
                        ["check", "--from", what, "--to", build],
                        ["check", "--json", "--from", what, "--to", build],
                        ["find", "--from", what, hosts], ["find", "--json", "--from", what, hosts],
                        ["baseline", build, build], ["baseline", "--json", build],
                        ["export", "labels", build], ["export", "nfd", build],
                        ["export", "--node", "n", "dra", build], ["export", "placement", build],
                        ["export", "--selector", "--profile", "1", "labels", build]):
            self.lost(3, GODWIT, *command)
        for command in (["--version"], ["--help"]):
            self.lost(1, GODWIT, *command)

    def test_no_is_no(self):
        """What is against it has been found out, and the exit code says so."""
        self.what.write_text(json.dumps(dict(INSTANCE, model="a.b/other")), "utf-8")
        for command in (["check", "--from", str(self.what), "--to", str(self.build)],
                        ["find", "--from", str(self.what), str(self.build.parent)]):
            self.assertEqual(self.run_into("/dev/full", GODWIT, *command)[0], 1)

    def test_daemons(self):
        for daemon in DAEMONS:
            for option in ("--print-migration-info", "--print-capabilities", "--help",
                           "--version"):
                self.lost(1, daemon, option)
            model, = json.loads(subprocess.run([daemon, "--print-migration-info"], check=True,
                                               capture_output=True).stdout)["models"]
            self.lost(3, daemon, "--check-migration",
                      stdin=json.dumps(dict(INSTANCE, model=model)))

    def test_no_standard_input(self):
        """It is not the next file that is opened."""
        ran = subprocess.run(["sh", "-c", '"$@" <&-', "sh", GODWIT, "info", "-"],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((ran.returncode, ran.stdout), (3, ""))
        self.assertIn("standard input", ran.stderr)


unittest.main()
