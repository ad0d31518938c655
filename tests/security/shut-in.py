#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test of the device with the program in the device's place, as root or as an ordinary user.

usage: shut-in.py [--cold] root|nobody TEST GODWIT-FS [OPTIONS]

TEST may have arguments, separated by blanks, where it is run as root.
With --cold the host forgets names and inodes between the save and the load of each move.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

NOBODY = 65534
SKIPPED = 77


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def let_caches_go(end, times):
    """Each time somebody asks at the other end."""
    while end.recv(1):
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
            caches.write("2")
        times.append(1)
        end.sendall(b"x")


def run(command, program, nobody, cold=None):
    # In there is neither what looks for leaks nor /proc for it.
    environment = {**os.environ, "FUSE_PROGRAM": " ".join(program), "ASAN_OPTIONS": "detect_leaks=0"}
    become = become_nobody if nobody and os.geteuid() == 0 else None
    if cold:
        environment["FUSE_COLD"] = str(cold.fileno())
    passed = (cold.fileno(),) if cold else ()
    return subprocess.run(
        command, env=environment, check=False, preexec_fn=become, pass_fds=passed
    ).returncode


def run_cold(command, program, nobody):
    """As run(), and it fails if nobody ever asked for cold caches."""
    ours, theirs = socket.socketpair()
    times = []
    thread = threading.Thread(target=let_caches_go, args=(ours, times), daemon=True)
    thread.start()
    with theirs:
        result = run(command, program, nobody, theirs)
    thread.join()
    if result == 0 and not times:
        print("caches were never let go")
        return 1
    return result


def main():
    cold = sys.argv[1] == "--cold"
    user, test, program, *options = sys.argv[1 + cold :]
    runner = run_cold if cold else run
    if cold and not os.access("/proc/sys/vm/drop_caches", os.W_OK):
        print("the host's caches are root's to let go, where that is not forbidden")
        return SKIPPED
    if user == "root" and os.geteuid() != 0:
        print("only root can be shut in like this: run the tests as root")
        return SKIPPED
    if user == "root":
        return runner(test.split(), [program, *options], nobody=False)
    if run(["unshare", "--user", "true"], [], nobody=True):
        print("ordinary users may not make user namespaces here: allow it by sysctl")
        return SKIPPED
    with tempfile.TemporaryDirectory() as directory:
        # The build may lie where nobody else gets.
        os.chmod(directory, 0o755)
        test, program = (shutil.copy(path, directory) for path in (test, program))
        return runner([test], [program, *options], nobody=True)


sys.exit(main())
