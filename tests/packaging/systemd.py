#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The systemd unit: systemd understands it, and finds that it leaves little to be wished for.

usage: systemd.py UNIT GODWIT-FS GODWIT
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

UNIT, PROGRAM, COMMAND = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(3))
# systemd-analyze counts from 0 (nothing is left) to 100; root without any restriction has 96, this
# unit 35 by systemd 252. Newer ones ask for a little more.
EXPOSED_AT_MOST = 40


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Unit(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.text = UNIT.read_text(encoding="utf-8")
        self.instance = pathlib.Path(directory.name) / "godwit-fs@vm1.service"
        # The program as it is in the build, not where it will be installed.
        built = re.sub(r"/\S*/libexec/godwit-fs", str(PROGRAM), self.text)
        self.instance.write_text(re.sub(r"=/\S*/bin/godwit ", f"={COMMAND} ", built), encoding="utf-8")

    def test_is_understood(self):
        ran = analyze("verify", "--man=no", str(self.instance))
        self.assertEqual((ran.returncode, ran.stdout), (0, ""))

    def test_exposure(self):
        ran = analyze("security", "--offline=true", f"--threshold={EXPOSED_AT_MOST}",
                      str(self.instance))
        self.assertEqual(ran.returncode, 0, ran.stdout)

    def test_does_nothing_without_an_instance(self):
        """Nobody's socket is made, and no guest gets anything, until a file in /etc says so."""
        self.assertIn("ConditionPathExists=/etc/godwit/fs/%i.conf\n", self.text)
        self.assertNotIn("DefaultInstance", self.text)


if not shutil.which("systemd-analyze"):
    print("systemd-analyze is not installed (scripts/install-deps deb)")
    sys.exit(77)
unittest.main()
