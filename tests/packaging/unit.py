#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test of the device with the program in the device's place, shut in as its systemd unit says.

usage: unit.py UNIT TEST GODWIT-FS
"""
import os
import pathlib
import shutil
import subprocess
import sys

SKIPPED = 77
CONFINE = pathlib.Path(__file__).resolve().parent / "confine.py"


def main():
    unit, test, program = sys.argv[1:]
    if os.geteuid() != 0:
        print("only root can shut in others: run the tests as root")
        return SKIPPED
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed (scripts/install-deps deb)")
        return SKIPPED
    command = [shutil.which("python3"), CONFINE, os.path.abspath(unit), os.path.abspath(program)]
    environment = {**os.environ, "FUSE_PROGRAM": " ".join(map(str, command))}
    return subprocess.run([test], env=environment, check=False).returncode


sys.exit(main())
