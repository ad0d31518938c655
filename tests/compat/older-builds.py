#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An older build and this one, whose default is newer: there and back, with no migration option on
either command line; golden streams of the first release among them.

usage: older-builds.py OLDER-GODWIT-FS GODWIT GODWIT-FS SOURCE-ROOT
"""
import json
import os
import pathlib
import sys

OLDER = os.path.abspath(sys.argv.pop(1))

# pylint: disable=wrong-import-position
from common import FS, GODWIT, GODWIT_FS, ROOT, Case, instance, main, run

FIRST = str(pathlib.Path(ROOT, "tests/golden/godwit-fs-1.stream"))
SECOND = str(pathlib.Path(ROOT, "tests/golden/godwit-fs-2-locks.stream"))


class OlderBuilds(Case):
    def setUp(self):
        super().setUp()
        self.share = self.directory / "share"
        self.share.mkdir()

    def default(self, program):
        return json.loads(run(program, "--print-migration-info").stdout)["models"][FS]["default"]

    def instance_of(self, what):
        shown = json.loads(run(GODWIT, "info", "--json", what).stdout)
        return (shown["instances"][0] if "models" in shown else shown)["params"]

    def move(self, program, state, *arguments):
        """Load @state (None: it is fresh), and save it again: the new state, or None."""
        saved = str(self.directory / f"state{self.count}")
        with self.daemon(self.share, "--reconnect", *arguments, program=program) as control:
            vhost_user = control.removesuffix(".control")
            if state and run(GODWIT, "load", "--socket", vhost_user, state).returncode:
                return None
            ran = run(GODWIT, "save", "--socket", vhost_user, "--output", saved)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        return saved

    def test_there_and_back(self):
        self.assertEqual(self.default(OLDER), "1")
        self.assertNotEqual(self.default(GODWIT_FS), "1")
        state = self.move(OLDER, None)
        born = self.instance_of(state)
        self.assertNotIn("state", born)
        for program in (GODWIT_FS, OLDER, GODWIT_FS, GODWIT_FS, OLDER):
            state = self.move(program, state)
            self.assertIsNotNone(state, self.log.read_text("utf-8"))
            self.assertEqual(self.instance_of(state), born)

    def test_what_is_newer_from_birth(self):
        """It cannot go to the older build, and everybody says so before, and at the load."""
        state = self.move(GODWIT_FS, None)
        older = f"{OLDER} --shared-dir {self.share}"
        self.stays(state, older, "state-format-unreadable:state")
        self.assertIsNone(self.move(OLDER, state))
        self.assertIn("state-format-unreadable", self.log.read_text("utf-8"))

    def test_born_for_the_older_build(self):
        """A profile that both have selects the older records."""
        state = self.move(GODWIT_FS, None, "--migration-profile", "1")
        self.goes(state, f"{OLDER} --shared-dir {self.share}")
        self.assertIsNotNone(self.move(OLDER, state), self.log.read_text("utf-8"))

    def test_golden_streams(self):
        """What the first release wrote goes through this build to an older one. The share that it
        was made on is gone: another tree stands for it, and what is not there is an error."""
        how = ["--migration-identity=same-tree", "--migration-on-error=guest-error"]
        state = self.move(GODWIT_FS, FIRST, *how)
        self.assertIsNotNone(state, self.log.read_text("utf-8"))
        self.assertEqual(self.instance_of(state), self.instance_of(FIRST))
        self.goes(state, f"{OLDER} --shared-dir {self.share}")
        again = self.move(OLDER, state, *how)
        self.assertIsNotNone(again, self.log.read_text("utf-8"))
        self.assertGreater(os.path.getsize(again), 500)
        # Of the second number it would not know the records.
        self.stays(SECOND, OLDER, "state-format-unreadable:state")
        self.goes(SECOND, f"{GODWIT_FS} --shared-dir {self.share}")
        self.assertIsNone(self.move(OLDER, SECOND, *how))

    def test_documents(self):
        """The same from documents alone."""
        newer = instance({"state": 2, "num-request-queues": 4}, FS)
        self.stays(newer, OLDER, "state-format-unreadable:state")
        self.goes(GODWIT_FS, OLDER, "--profile", "1")
        self.goes(OLDER, GODWIT_FS, "--profile", "1")

    def test_two_builds_can_be_told_apart(self):
        """Of one version; and one build says the same each time, running or not."""
        def build(what):
            shown = json.loads(run(GODWIT, "info", "--json", what).stdout)
            return shown["implementation"]["build"]
        one, other = build(GODWIT_FS), build(OLDER)
        self.assertRegex(one, r"^[0-9.]+-[0-9a-f]{16}$")
        self.assertEqual(one.split("-")[0], other.split("-")[0])
        self.assertNotEqual(one, other)
        with self.daemon(self.share) as control:
            self.assertEqual(build(control), one)


main()
