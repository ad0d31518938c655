#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit preflight` and `godwit stats`: against scripted answers, and against godwit-fs."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

GODWIT, GODWIT_FS = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
GREETING = {"QMP": {"version": {"program": "godwit-test", "version": "1"}, "capabilities": []}}
GOOD = {"can_travel": True, "cannot_travel": [], "state_bytes": 2048, "orphan_bytes": 1024,
        "locks": 0, "unsynced_files": 0, "lost": 0, "blackout_us": 1500, "estimate": "so and so"}
BAD = dict(GOOD, can_travel=False, locks=2, unsynced_files=3, lost=4, cannot_travel_left_out=7,
           cannot_travel=[{"kind": "handle", "path": "/a\x1b[2J", "inode": 5, "reason": "closed"}])


def run(*arguments):
    return subprocess.run([GODWIT, *arguments], capture_output=True, text=True, timeout=60,
                          check=False)


def line(value):
    return (json.dumps(value) + "\n").encode()


class Scripted(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "control")
        self.request = b""

    def answer(self, listener, reply):
        client, _ = listener.accept()
        lines = client.makefile("rb")
        client.sendall(line(GREETING))
        lines.readline()
        client.sendall(line({"return": {}, "id": 1}))
        self.request = lines.readline()
        client.sendall(line(dict(reply, id=2)))
        client.close()

    def ask(self, reply, *arguments):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen()
            thread = threading.Thread(target=self.answer, args=(listener, reply), daemon=True)
            thread.start()
            ran = run(*arguments, "--control-socket", self.path)
            thread.join(10)
        os.unlink(self.path)
        return ran

    def test_yes(self):
        ran = self.ask({"return": {"sessions": [GOOD]}}, "preflight")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(json.loads(self.request), {"execute": "preflight", "id": 2})
        self.assertEqual(ran.stdout, """it can move
  state          2048 bytes, 1024 of them of files without a name
  blackout       about 1.500 ms, and what the bytes take on their way
                 so and so
""")

    def test_no(self):
        ran = self.ask({"return": {"sessions": [GOOD, BAD]}}, "preflight", "--bandwidth", "1K")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertIn("it cannot move as it is:\n    handle /a?[2J: closed\n    and 7 more\n",
                      ran.stdout)
        self.assertIn("about 2001.500 ms, of which 1000.000 ms for files without", ran.stdout)
        for part in ("unsynced       3 open files", "locks          2", "lost           4"):
            self.assertIn(part, ran.stdout)

    def test_json(self):
        ran = self.ask({"return": {"sessions": [BAD]}}, "preflight", "--json")
        self.assertEqual(ran.returncode, 1)
        self.assertEqual(json.loads(ran.stdout),
                         {"socket": self.path, "preflight": {"sessions": [BAD]}})

    def test_cannot_tell(self):
        """Never yes, never no."""
        for reply in ({"error": {"class": "GenericError", "desc": "another\x1b[2J"}}, {"return": {}},
                      {"return": {"sessions": []}}, {"return": {"sessions": [{}]}},
                      {"return": {"sessions": [GOOD, {"can_travel": "yes"}]}}, {"return": 7}):
            with self.subTest(reply=reply):
                ran = self.ask(reply, "preflight")
                self.assertEqual(ran.returncode, 3)
                self.assertEqual(ran.stdout, "")
                self.assertEqual(ran.stderr.count("\n"), 1)
                self.assertNotIn("\x1b", ran.stderr)
        ran = run("preflight", "--json", "--control-socket", self.path)
        self.assertEqual(ran.returncode, 3)
        self.assertIn("No such file", json.loads(ran.stdout)["error"])

    def test_usage(self):
        for arguments in (("preflight",), ("stats",), ("preflight", self.path),
                          ("preflight", "--control-socket", "x", "--bandwidth", "fast"),
                          ("preflight", "--control-socket", "x", "--bandwidth", "0"),
                          ("preflight", "--control-socket", "x", "--bandwidth", "-1"),
                          ("preflight", "--control-socket", "x", "--bandwidth", "nan"),
                          ("preflight", "--control-socket", "x", "--bandwidth", "1M/h")):
            with self.subTest(arguments=arguments):
                ran = run(*arguments)
                self.assertEqual(ran.returncode, 2, ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1)

    def test_stats(self):
        ran = self.ask({"return": {"text": "a 1\nb 2\n"}}, "stats")
        self.assertEqual((ran.returncode, ran.stdout), (0, "a 1\nb 2\n"))
        for reply in ({"return": {}}, {"error": {"class": "GenericError", "desc": "no"}}):
            ran = self.ask(reply, "stats")
            self.assertEqual((ran.returncode, ran.stdout), (1, ""))


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:")) * 1024


class Real(unittest.TestCase):
    def worker_of(self, daemon):
        """Which has the memory: the last of the line."""
        pid = daemon.pid
        while True:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                below = children.read().split()
            if not below:
                return pid
            pid = int(below[-1])

    def test_memory_for_what_is_expected(self):
        """A waiting daemon that is told of a state has memory for it before it comes."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            with subprocess.Popen([GODWIT_FS, "--shared-dir", directory, "--socket-path", path],
                                  stderr=subprocess.DEVNULL) as daemon:
                deadline = time.monotonic() + 60
                while run("status", path + ".control").returncode:
                    self.assertLess(time.monotonic(), deadline)
                with socket.socket(socket.AF_UNIX) as front_end:
                    front_end.connect(path)
                    before = resident(self.worker_of(daemon))
                    with socket.socket(socket.AF_UNIX) as operator:
                        operator.connect(path + ".control")
                        lines = operator.makefile("rb")
                        lines.readline()
                        for execute, arguments in (("qmp_capabilities", {}),
                                                   ("migration-expect", {"state-bytes": 10 << 20})):
                            operator.sendall(line({"execute": execute, "arguments": arguments}))
                            self.assertIn("return", json.loads(lines.readline()))
                    while resident(self.worker_of(daemon)) < before + (35 << 20):
                        self.assertLess(time.monotonic(), deadline)
                daemon.terminate()

    def test_godwit_fs(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            share = os.path.join(directory, "share")
            os.mkdir(share)
            with subprocess.Popen([GODWIT_FS, "--shared-dir", share, "--socket-path", path],
                                  stderr=subprocess.DEVNULL) as daemon:
                deadline = time.monotonic() + 60
                # Its name is there before it listens.
                while run("status", path + ".control").returncode:
                    self.assertIsNone(daemon.poll())
                    self.assertLess(time.monotonic(), deadline)
                ran = run("preflight", "--control-socket", path + ".control")
                stats = run("stats", "--control-socket", path + ".control")
                daemon.terminate()
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertTrue(ran.stdout.startswith("it can move\n"))
        self.assertEqual(stats.returncode, 0, stats.stderr)
        self.assertIn("godwit_fs_inodes 1\n", stats.stdout)


unittest.main()
