#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit save, godwit load: a state goes into a back-end and comes out again, by either socket.

usage: save.py GODWIT GODWIT-FS
"""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

GODWIT, GODWIT_FS = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))


def run(*arguments):
    """godwit ARGUMENTS, to its end."""
    return subprocess.run([GODWIT, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


class Save(unittest.TestCase):
    """Each test has a directory with a share."""

    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory(prefix="gw-save-")
        self.addCleanup(directory.cleanup)
        self.dir = pathlib.Path(directory.name)
        (self.dir / "share").mkdir()

    def start(self, name, *options, wait=True):
        """A back-end; @wait: its control socket is at its usual place."""
        path = self.dir / name
        # pylint: disable=consider-using-with
        daemon = subprocess.Popen(
            [GODWIT_FS, f"--shared-dir={self.dir / 'share'}", f"--socket-path={path}", "--log-level=error",
             *options])
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.send_signal, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while run("status", f"{path}.control").returncode if wait else not path.exists():
            self.assertLess(time.monotonic(), deadline)
        return path

    def state(self):
        """What a device that no front-end ever started has: few records, of its share and its session."""
        state = self.dir / "state"
        self.done("save", "--socket", self.start("origin"), "-o", state)
        return state

    def test_nobody_there(self):
        """Who is not there is told of soon, and not when --timeout is over."""
        began = time.monotonic()
        for arguments in ("save", "--socket", self.dir / "nobody", "-o", self.dir / "state"), \
                ("load", "--socket", self.dir / "nobody", __file__):
            ran = run(*arguments)
            self.assertEqual(ran.returncode, 1, ran.stderr)
            self.assertIn("No such file", ran.stderr)
        self.assertLess(time.monotonic() - began, 40)
        self.assertFalse((self.dir / "state").exists())

    def done(self, *arguments):
        """It exits with 0; what it said."""
        ran = run(*arguments)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stdout

    def refused(self, *arguments):
        """It exits with 1 and one line."""
        ran = run(*arguments)
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
        return ran.stderr

    def same(self, one, other):
        """The objects of two states are the same."""
        self.assertEqual(run("state", "diff", one, other).stdout, "")

    def test_round(self):
        """In by one socket and out by the other, both ways."""
        state = self.state()
        for into, out in (("--socket", "--control-socket"), ("--control-socket", "--socket")):
            with self.subTest(into=into):
                paths = [self.start(f"{into}-{n}", "--reconnect") for n in "ab"]
                sockets = [{"--socket": p, "--control-socket": f"{p}.control"} for p in paths]
                first, second = self.dir / f"first{into}", self.dir / f"second{into}"
                self.assertIn("bytes", self.done("load", into, sockets[0][into], state))
                told = json.loads(self.done("save", out, sockets[0][out], "--json", "-o", first))
                self.assertEqual(told, {"file": str(first), "bytes": first.stat().st_size})
                self.same(first, state)
                self.done("load", into, sockets[1][into], first)
                self.done("save", out, sockets[1][out], "-o", second)
                self.same(first, second)

    def test_a_whole_file_or_none(self):
        """What was there stays when there is nothing to be had, and nothing lies beside it."""
        path = self.start("s", "--reconnect")
        file = self.dir / "out" / "state"
        file.parent.mkdir()
        file.write_text("precious")
        for socket_option in (f"--control-socket={path}.none", f"--control-socket={path}"):
            self.refused("save", "--timeout=2", socket_option, "-o", file)
            self.assertEqual([p.read_text() for p in file.parent.iterdir()], ["precious"])
        self.refused("save", f"--control-socket={path}.control", "-o", file.parent / "missing" / "x")
        self.done("save", f"--control-socket={path}.control", "-o", file)
        self.assertIn("complete", self.done("state", "verify", file))
        self.assertEqual(len(list(file.parent.iterdir())), 1)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_somebody_is_there(self):
        """A front-end has the back-end: no other gets in."""
        path = self.start("s", "--reconnect")
        with socket.socket(socket.AF_UNIX) as front_end:
            front_end.connect(str(path))
            deadline = time.monotonic() + 60
            while '"connections":1' not in self.done("status", "--json", f"{path}.control").replace(" ", ""):
                self.assertLess(time.monotonic(), deadline)
            self.assertIn("--control-socket", self.refused("save", f"--socket={path}", "-o", self.dir / "x"))
            # It has not started anything, so that the operator may.
            self.done("save", f"--control-socket={path}.control", "-o", self.dir / "x")

    def test_it_would_be_lost(self):
        """A back-end that ends with the connection."""
        state = self.state()
        self.assertIn("--reconnect", self.refused("load", "--socket", self.start("a"), state))
        self.done("load", "--control-socket", f"{self.start('b')}.control", state)

    def test_bad_states(self):
        """Nothing of a damaged one is taken, and the back-end is as fresh as before."""
        path = self.start("s", "--reconnect")
        state, bad = self.state(), self.dir / "bad"
        data = state.read_bytes()
        half = len(data) // 2
        for damage in (data[:-1], data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :], b"", b"no state at all"):
            bad.write_bytes(damage)
            self.refused("load", "--control-socket", f"{path}.control", bad)
            self.refused("load", "--socket", path, bad)
        self.refused("load", "--socket", path, self.dir / "missing")
        self.done("load", "--socket", path, state)
        self.assertIn("already", self.refused("load", "--control-socket", f"{path}.control", state))

    def test_reason(self):
        """By either socket the code and the sentence of the back-end's own; of this load, and not of one before."""
        state, bad = self.state(), self.dir / "bad"
        bad.write_bytes(b"no state at all")
        path = self.start("s", "--cache=never", "--reconnect")
        self.assertNotIn("param-differs", self.refused("load", "--socket", path, bad))
        for way in (("--socket", path), ("--control-socket", f"{path}.control")):
            self.assertIn("param-differs: parameter cache: the source has auto", self.refused("load", *way, state))
        self.assertNotIn("param-differs", self.refused("load", "--socket", path, bad))
        other = self.start("o", "--cache=never", f"--control-socket={self.dir / 'elsewhere'}", "--reconnect", wait=False)
        self.assertIn("CHECK_DEVICE_STATE", self.refused("load", "--socket", other, state))

    def test_usage(self):
        """Wrong words end in 2."""
        for arguments in (("save",), ("save", "-o", "x"), ("save", "--socket=x"), ("load",), ("load", "x"),
                          ("load", "--socket=x"), ("load", "--socket=x", "--control-socket=y", "z"),
                          ("save", "--socket=x", "-o", "y", "z"), ("load", "--socket=x", "y", "z")):
            ran = run(*arguments)
            self.assertEqual(ran.returncode, 2, arguments)
            self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)


unittest.main()
