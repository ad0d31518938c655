#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test of the device with the program in the device's place, as root or as an ordinary user.

usage: shut-in.py root|nobody TEST GODWIT-FS [OPTIONS]
"""
import os
import shutil
import subprocess
import sys
import tempfile

NOBODY = 65534
SKIPPED = 77


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def run(command, program, nobody):
    # In there is neither what looks for leaks nor /proc for it.
    environment = {**os.environ, "FUSE_PROGRAM": " ".join(program), "ASAN_OPTIONS": "detect_leaks=0"}
    become = become_nobody if nobody and os.geteuid() == 0 else None
    return subprocess.run(command, env=environment, check=False, preexec_fn=become).returncode


def main():
    user, test, program, *options = sys.argv[1:]
    if user == "root" and os.geteuid() != 0:
        print("only root can be shut in like this: run the tests as root")
        return SKIPPED
    if user == "root":
        return run([test], [program, *options], nobody=False)
    if run(["unshare", "--user", "true"], [], nobody=True):
        print("ordinary users may not make user namespaces here: allow it by sysctl")
        return SKIPPED
    with tempfile.TemporaryDirectory() as directory:
        # The build may lie where nobody else gets.
        os.chmod(directory, 0o755)
        test, program = (shutil.copy(path, directory) for path in (test, program))
        return run([test], [program, *options], nobody=True)


sys.exit(main())
