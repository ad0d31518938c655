#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a test whose programs log to a system log, which is there, and goes away once it has heard WORDS: from one of
their threads, shut in as they are, they are to come, and nothing is to die of it.

usage: to-syslog.py WORDS COMMAND...
"""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "shm", "pts")
UNSHARE, SKIPPED = ["unshare", "--mount"], 77


def make_devices(directory):
    """A /dev of our own, in which a log can be; in a mount namespace of our own."""
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    for name in DEVICES:
        source, target = pathlib.Path("/dev") / name, directory / name
        if not source.exists():
            continue
        if source.is_dir():
            target.mkdir()
        else:
            target.touch()
        subprocess.run(["mount", "--bind", source, target], check=True)
    (directory / "fd").symlink_to("/proc/self/fd")
    subprocess.run(["mount", "--move", directory, "/dev"], check=True)


def listen(log, words, heard):
    """Until that has been said; what is logged after that has nowhere to go."""
    while not heard.is_set():
        line = log.recv(8192)
        if words.encode() in line:
            heard.set()
            log.close()
            os.unlink("/dev/log")


def inside(words, command):
    """With a system log."""
    with tempfile.TemporaryDirectory(prefix="gw-syslog-") as directory:
        make_devices(pathlib.Path(directory))
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        heard = threading.Event()
        threading.Thread(target=listen, args=(log, words, heard), daemon=True).start()
        code = subprocess.run(command, check=False).returncode
        if code == 0 and not heard.is_set():
            print(f"nobody has said '{words}'")
            return 1
        return code


def main():
    if os.geteuid() != 0 or subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        print("only root can make a /dev with a log of its own: run the tests as root")
        return SKIPPED
    if os.environ.get("GW_INSIDE"):
        return inside(sys.argv[1], sys.argv[2:])
    return subprocess.run([*UNSHARE, sys.executable, *sys.argv], env={**os.environ, "GW_INSIDE": "1"}, check=False).returncode


sys.exit(main())
