#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit migrate` with scripted QEMUs and real back-ends: what goes ahead of a state is there before
the state, which comes as ever.

usage: migrate-null.py GODWIT GODWIT-NULL
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from migrate_fake import Pair, until

GODWIT, NULL = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))


def connected(path):
    """A daemon's socket has its name before it listens."""
    one = socket.socket(socket.AF_UNIX)

    def connect():
        try:
            one.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True
    until(connect)
    return one


class Control:
    """A control socket of a back-end's."""

    def __init__(self, path):
        self.socket = connected(path)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()

    def ask(self, command, *fds, **arguments):
        request = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        socket.send_fds(self.socket, [request], fds)
        reply = json.loads(self.lines.readline())
        assert "return" in reply, (command, reply)
        return reply["return"]

    def session(self):
        session, = self.ask("query-status")["sessions"]
        return session

    def close(self):
        self.lines.close()
        self.socket.close()


class Real:
    """A back-end in the place of a scripted one, and the connection that makes it its QEMU's."""

    def __init__(self, test, fake, *options):
        path = fake.path.removesuffix(".control")
        fake.die()
        self.process = subprocess.Popen([NULL, f"--socket-path={path}", *options],
                                        stderr=subprocess.DEVNULL)
        test.addCleanup(self.end)
        self.front_end = connected(path)
        test.addCleanup(self.front_end.close)
        self.control = Control(path + ".control")
        test.addCleanup(self.control.close)
        until(lambda: self.control.ask("query-status")["sessions"])

    def end(self):
        self.process.terminate()
        self.process.wait(30)


class Null(unittest.TestCase):
    def begin(self, a=(), b=()):
        self.pair = Pair(GODWIT)
        self.addCleanup(self.pair.close)
        self.ends = [Real(self, self.pair.backends[side], *options)
                     for side, options in (("source", a), ("destination", b))]
        self.pair.source.on_migrate = self.migrate
        self.seen = None

    def is_ahead(self):
        return self.ends[1].control.session()["details"]["ahead"]

    def migrate(self):
        """As QEMU does, but that the state goes over the control sockets as well."""
        self.pair.source.becomes("active")
        end = time.monotonic() + 5
        while not self.is_ahead() and time.monotonic() < end:
            time.sleep(0.01)
        self.seen = self.is_ahead()
        self.pair.source.status = "finish-migrate"
        self.pair.source.event("STOP")
        self.pair.source.becomes("device")
        fd = os.memfd_create("state")
        self.ends[0].control.ask("device-state-save", fd)
        os.lseek(fd, 0, os.SEEK_SET)
        self.ends[1].control.ask("device-state-load", fd)
        os.close(fd)
        self.pair.destination.becomes("completed")
        self.pair.destination.status = "running"
        self.pair.destination.event("RESUME")
        self.pair.complete()

    def test_ahead_of_the_state(self):
        self.begin()
        report = self.pair.report()
        self.assertEqual(report["outcome"], "moved", report)
        self.assertTrue(self.seen)
        device, = report["devices"]
        self.assertEqual(device["ahead"]["times"], 1)
        # The same state, with a phase more.
        self.assertGreater(device["ahead"]["bytes"], device["source"]["transfer"]["bytes"])
        self.assertEqual(device["destination"]["transfer"]["result"], "ok")
        self.assertFalse(self.is_ahead())
        self.assertEqual(report["notes"], [])

    def test_signed(self):
        with tempfile.NamedTemporaryFile() as key:
            key.write(os.urandom(32))
            key.flush()
            self.begin(*2 * [(f"--state-key={key.name}",)])
        report = self.pair.report()
        self.assertEqual(report["outcome"], "moved", report)
        self.assertTrue(self.seen)

    def test_signed_by_another(self):
        """What goes ahead is as little believed as the state would be."""
        with tempfile.NamedTemporaryFile() as key:
            key.write(os.urandom(32))
            key.flush()
            self.begin(b=(f"--state-key={key.name}",))
        self.pair.source.on_migrate = lambda: (self.pair.source.becomes("active"), time.sleep(3),
                                               self.pair.fail("as it will"))
        report = self.pair.report("--override", "a test")
        self.assertEqual(report["outcome"], "failed", report)
        self.assertIn("MAC", report["devices"][0]["ahead"]["reason"])
        self.assertFalse(self.is_ahead())


if __name__ == "__main__":
    unittest.main()
