#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A later build that offers a guest more than this one: what can go back is known from documents
alone. With a guest: tests/migration/later-build.c.
"""
import json
import pathlib

from common import FS, GODWIT, GODWIT_FS, LATER, ROOT, Case, instance, main, run

NEWER = ["value-not-allowed:fuse-minor", "param-unknown:later-symlinks"]


class LaterBuilds(Case):
    def told(self, program):
        ran = run(program, "--print-migration-info")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return json.loads(ran.stdout)

    def test_what_it_says(self):
        model = self.told(LATER)["models"][FS]
        self.assertEqual(model["default"], "later")
        self.assertEqual(model["profiles"]["later"]["fuse-minor"], 46)
        self.assertIs(model["profiles"]["later"]["later-symlinks"], True)
        for build in (LATER, GODWIT_FS):
            params = self.told(build)["models"][FS]["params"]
            for name, off in ("fuse-minor", 45), ("max-write", 1 << 20):
                self.assertEqual(params[name]["off"], off)
        self.assertEqual(self.told(GODWIT_FS)["models"][FS]["params"]["fuse-minor"]["max"], 45)

    def test_profiles(self):
        """Nothing is started: program against program, and against a document of it."""
        for today in (GODWIT_FS, self.put(self.told(GODWIT_FS))):
            self.assertEqual(sorted(self.codes(LATER, today, "--profile", "later")), sorted(NEWER))
            self.assertEqual(self.report["verdict"], "incompatible")
            for profile in "1234":
                self.goes(LATER, today, "--profile", profile)
                self.goes(today, LATER, "--profile", profile)

    def test_instances(self):
        """What is not named is what there was before there was a name for it."""
        self.goes(instance({"num-request-queues": 4}, FS), GODWIT_FS)
        self.goes(instance({"num-request-queues": 4}, FS), LATER)
        self.goes(instance({"fuse-minor": 38}, FS), GODWIT_FS)
        self.goes(instance({"fuse-minor": 46}, FS), LATER)
        self.stays(instance({"fuse-minor": 46}, FS), GODWIT_FS, "value-not-allowed:fuse-minor")
        self.stays(instance({"later-symlinks": True}, FS), GODWIT_FS,
                   "param-unknown:later-symlinks")
        self.stays(instance({"max-write": 4 << 20}, FS), LATER, "value-not-allowed:max-write")

    def test_before_there_was_a_name(self):
        """A build that knew neither parameter, and says so by not naming them."""
        first = self.told(GODWIT_FS)
        for name in "fuse-minor", "max-write":
            del first["models"][FS]["params"][name]
            for profile in first["models"][FS]["profiles"].values():
                profile.pop(name, None)
        for program in (GODWIT_FS, LATER):
            for profile in "1234":
                self.goes(program, first, "--profile", profile)
                self.goes(first, program, "--profile", profile)
        self.assertEqual(sorted(self.codes(LATER, first, "--profile", "later")),
                         ["param-unknown:fuse-minor", "param-unknown:later-symlinks"])
        self.stays(instance({"fuse-minor": 38}, FS), first, "param-unknown:fuse-minor")

    def test_find_and_baseline(self):
        """A fleet of which some hosts are newer: one is found, and the profile that all can run."""
        hosts = self.directory / "hosts"
        hosts.mkdir()
        for name, program in ("old", GODWIT_FS), ("new", LATER):
            (hosts / f"{name}.json").write_text(json.dumps(self.told(program)), encoding="utf-8")
        ran = run(GODWIT, "find", "--json", "--from",
                  self.put(instance({"fuse-minor": 46, "state": 2}, FS)), str(hosts))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        found = json.loads(ran.stdout)
        self.assertEqual([host["host"] for host in found["found"]], ["new"])
        self.assertEqual([(host["host"], host["reasons"][0]["code"], host["reasons"][0]["subject"])
                          for host in found["rejected"]],
                         [("old", "value-not-allowed", "fuse-minor")])
        ran = run(GODWIT, "baseline", "--json", *map(str, sorted(hosts.iterdir())))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(json.loads(ran.stdout)["baseline"]["profile"], "4")
        self.assertEqual(json.loads(ran.stdout)["given_up"][0]["profile"], "later")

    def test_combinations(self):
        """A flag that came later than the FUSE that is offered."""
        share = self.directory / "share"
        share.mkdir()
        there = f"{GODWIT_FS} --shared-dir {share}"
        self.stays(instance({"direct-mmap": True, "fuse-minor": 38}, FS), there,
                   "combination-refused:")
        self.goes(instance({"direct-mmap": True, "fuse-minor": 39}, FS), there)
        ran = run(GODWIT_FS, "--shared-dir", str(share), "--socket-path",
                  str(self.directory / "s"), "--allow-mmap", "--m-fuse-minor=38")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("combination-refused: parameter direct-mmap: FUSE_DIRECT_IO_ALLOW_MMAP came "
                      "with FUSE 7.39", ran.stderr)

    def test_golden_streams(self):
        """States of the released builds go to this one and to a later one."""
        for stream in "godwit-fs-1.stream", "godwit-fs-2-locks.stream":
            state = str(pathlib.Path(ROOT, "tests/golden", stream))
            for program in (GODWIT_FS, LATER):
                self.goes(state, program)


main()
