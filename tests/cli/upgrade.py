#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit upgrade`: a build in another one's place takes over under a front-end; one that could not is refused
before anything is touched.

usage: upgrade.py GODWIT GODWIT-FS
"""
import json
import os
import pathlib
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

GODWIT, DAEMON = (os.path.abspath(path) for path in sys.argv[1:3])
GET_FEATURES, SET_VRING_ERR, VERSION = 1, 14, 1


def ask(front_end):
    """GET_FEATURES, and the answer."""
    front_end.sendall(struct.pack("<III", GET_FEATURES, VERSION, 0))
    answer = front_end.recv(64)
    assert len(answer) == 20 and struct.unpack("<I", answer[:4])[0] == GET_FEATURES, answer
    return answer


def give(front_end):
    """SET_VRING_ERR, with a descriptor. It has no answer, but what comes after it is answered later."""
    event = os.eventfd(0)
    socket.send_fds(front_end, [struct.pack("<IIIQ", SET_VRING_ERR, VERSION, 8, 0)], [event])
    os.close(event)
    ask(front_end)


def children(pid):
    """Its own."""
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


class Upgrade(unittest.TestCase):
    """One back-end each, out of a directory where its program can be replaced."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="gw-upgrade-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.program, self.path = self.directory / "program", str(self.directory / "socket")
        self.install(DAEMON)
        (self.directory / "share").mkdir()

    def start(self, *arguments):
        """And somebody who is connected."""
        self.log = open(self.directory / "log", "w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.daemon = subprocess.Popen(
            [self.program, f"--socket-path={self.path}", f"--shared-dir={self.directory / 'share'}", *arguments], stderr=self.log)
        self.addCleanup(self.end)
        self.front_end = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.front_end.close)
        self.front_end.settimeout(60)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.front_end.connect(self.path)
                break
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
        self.features = ask(self.front_end)

    def end(self):
        """However the test went."""
        self.daemon.terminate()
        self.daemon.wait(60)

    def install(self, what):
        """As a package manager does it."""
        new = self.directory / "program.new"
        shutil.copy(what, new)
        new.chmod(stat.S_IRWXU)
        os.replace(new, self.program)

    def upgrade(self, *arguments):
        """The command."""
        return subprocess.run([GODWIT, "upgrade", f"--control-socket={self.path}.control", *arguments],
                              capture_output=True, text=True, timeout=120, check=False)

    def serving(self):
        """The process that serves, and whether it is what is installed."""
        child, = children(self.daemon.pid)
        running = os.stat(f"/proc/{child}/exe")
        return child, os.path.samestat(running, os.stat(self.program))

    def said(self):
        """In its log."""
        self.log.seek(0)
        return self.log.read()

    def test_takes_over(self):
        """Another file, the same connection; the second time as JSON."""
        self.start("--recover")
        for arguments in ((), ("--json",)):
            before, _ = self.serving()
            self.install(DAEMON)
            self.assertFalse(self.serving()[1])
            ran = self.upgrade(*arguments)
            self.assertEqual(ran.returncode, 0, ran.stderr + self.said())
            after, installed = self.serving()
            self.assertNotEqual(before, after)
            self.assertTrue(installed)
            self.assertEqual(ask(self.front_end), self.features)
        told = json.loads(ran.stdout)
        self.assertEqual(told["upgrade"]["result"], "done")
        self.assertEqual(told["socket"], self.path + ".control")

    def refused(self, program, reason):
        """The process that serves is the one that did."""
        before, _ = self.serving()
        self.install(program)
        ran = self.upgrade("--json")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertEqual(json.loads(ran.stdout)["upgrade"]["result"], "refused")
        self.assertEqual(self.serving(), (before, False))
        self.assertIn(reason, self.said())
        self.assertEqual(ask(self.front_end), self.features)

    def test_refused(self):
        """What does not know the question, says no, or is nothing at all; then one that can."""
        self.start("--recover")
        self.refused("/bin/false", "it says that it cannot go on")
        self.refused(os.devnull, "cannot be started")
        os.remove(self.program)
        self.assertEqual(self.upgrade().returncode, 1)
        self.assertEqual(ask(self.front_end), self.features)
        self.install(DAEMON)
        self.assertEqual(self.upgrade().returncode, 0)
        self.assertEqual(ask(self.front_end), self.features)

    def test_another_layout(self):
        """A build whose journal is another one's says so, and nothing has happened."""
        built = self.directory / "other"
        code = pathlib.Path(DAEMON).read_bytes()
        self.assertIn(b"GWJRNAL1", code)
        built.write_bytes(code.replace(b"GWJRNAL1", b"GWJRNAL2"))
        self.start("--recover")
        self.refused(str(built), "journal: of another build")

    def test_an_option_less(self):
        """A build that does not know an option of the line that runs."""
        built = self.directory / "other"
        code = pathlib.Path(DAEMON).read_bytes()
        built.write_bytes(code.replace(b"inode-limit\0", b"inode-limiT\0"))
        self.start("--recover", "--inode-limit=100000")
        self.refused(str(built), "inode-limit")

    def test_says_yes_and_is_not(self):
        """The check passes, and it does not get ready: the one before goes on."""
        self.start("--recover")
        before, _ = self.serving()
        self.install("/bin/true")
        ran = self.upgrade("--json")
        self.assertEqual(ran.returncode, 1)
        self.assertEqual(json.loads(ran.stdout)["upgrade"]["result"], "taken-back")
        self.assertEqual(ask(self.front_end), self.features)
        after, installed = self.serving()
        self.assertNotEqual(before, after)
        self.assertFalse(installed)

    def test_fails_with_all_in_its_hands(self):
        """It gets as far as reading what the one before has left, which is still there for that one."""
        built = self.directory / "other"
        code = pathlib.Path(DAEMON).read_bytes()
        self.assertIn(b"\0given-\0", code)
        built.write_bytes(code.replace(b"\0given-\0", b"\0taken-\0"))
        self.start("--recover")
        give(self.front_end)
        for _ in range(2):
            self.install(built)
            ran = self.upgrade("--json")
            self.assertEqual(ran.returncode, 1, ran.stdout + self.said())
            self.assertEqual(json.loads(ran.stdout)["upgrade"]["result"], "taken-back", self.said())
            self.assertEqual(ask(self.front_end), self.features)
            self.assertFalse(self.serving()[1])
        # And the same with one that can.
        self.install(DAEMON)
        ran = self.upgrade()
        self.assertEqual(ran.returncode, 0, ran.stderr + self.said())
        self.assertEqual(ask(self.front_end), self.features)

    def test_not_kept(self):
        """Who cannot be upgraded is left alone, and the sentence says what could be done."""
        self.start()
        ran = self.upgrade()
        self.assertEqual(ran.returncode, 3)
        self.assertIn("--recover", ran.stderr)
        self.assertEqual(ask(self.front_end), self.features)

    def test_nobody(self):
        """No socket, and no back-end at it."""
        self.assertEqual(self.upgrade().returncode, 3)
        left = socket.socket(socket.AF_UNIX)
        left.bind(self.path + ".control")
        left.close()
        ran = self.upgrade()
        self.assertEqual(ran.returncode, 3)
        self.assertIn("refused", ran.stderr)
        self.assertEqual(subprocess.run([GODWIT, "upgrade"], capture_output=True, check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
