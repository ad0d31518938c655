#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit status` against scripted control sockets: text, JSON, and daemons that misbehave."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

GODWIT = sys.argv.pop(1)
GREETING = {"QMP": {"version": {"program": "godwit-test", "version": "1"}, "capabilities": []}}
EVENT = {"event": "X", "data": {}, "timestamp": {"seconds": 1, "microseconds": 2}}
STATUS = {
    "program": "godwit-test",
    "version": "1.2",
    "connections": 1,
    "sessions": [
        {
            "device": "virtio-fs",
            "model": "godwit-project.org/virtio-fs",
            "connected": True,
            "device_state": "suspended",
            "transfer_state": "saved",
            "migration": {"mode": "stateful", "outcome": "unknown",
                          "waits": {"for": "outcome", "id": "00ff", "ms": 7, "left_ms": 9,
                                    "then": "keep"}},
            "rings": [
                {"index": 0, "started": True, "enabled": True, "broken": False,
                 "in_flight": 3, "parked": 0},
                {"index": 1, "started": False, "enabled": False, "broken": True,
                 "in_flight": 0, "parked": 2, "base": 345},
            ],
            "stopping": [{"ring": 0, "for": "GET_VRING_BASE", "in_flight": 3, "ms": 1500}],
            "details": {"mounted": True, "inodes": 12345, "descriptor_limit": 7, "list": [1],
                        "odd\x1b[2J": 1},
            "last_transfer": {"id": "00ff", "direction": "save", "bytes": 1234, "ms": 56,
                              "result": "failed", "reason": "disk \x1b[2J full",
                              "phases": {"stop_us": 40123, "save_us": 7}},
        }
    ],
}
TEXT = """PATH: godwit-test 1.2, 1 connection
  virtio-fs: suspended, transfer saved, connected
    model          godwit-project.org/virtio-fs
    migration      stateful, the last save unknown
    waiting        for the outcome of 00ff, for 7 ms; in 9 ms: keep
    ring 0         started, enabled, 3 in flight
    ring 1         stopped at 345, disabled, 0 in flight, 2 parked, broken
    waiting        ring 0 drains for GET_VRING_BASE, 3 in flight, for 1500 ms
    mounted        yes
    inodes         12345
    descriptor_limit 7
    odd?[2J        1
    last save      failed, 1234 bytes in 56 ms, id 00ff
                   disk ?[2J full
                   stop 40.123 ms, save 0.007 ms
"""


def line(value):
    return (json.dumps(value) + "\n").encode()


def answer(value):
    """To the question: what comes before it is the negotiation."""
    return line(dict(value, id=2))


class Daemon:
    """Says @greeting to one client, negotiates, waits for a request, says @reply, closes; without a
    greeting it closes at once."""

    def __init__(self, directory, greeting, reply):
        self.path = os.path.join(directory, "control")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.request = b""
        self.thread = threading.Thread(target=self.serve, args=(greeting, reply), daemon=True)
        self.thread.start()

    def serve(self, greeting, reply):
        client, _ = self.listener.accept()
        client.sendall(greeting)
        try:
            lines = client.makefile("rb")
            if greeting and lines.readline():
                client.sendall(line({"return": {}, "id": 1}))
                self.request = lines.readline()
            client.sendall(reply)
        except OSError:
            pass  # the command did not want to hear more
        client.close()


def run(*arguments):
    return subprocess.run([GODWIT, *arguments], capture_output=True, text=True, timeout=30,
                          check=False)


class Status(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def ask(self, reply, *options, greeting=line(GREETING)):
        daemon = Daemon(self.directory.name, greeting, reply)
        ran = run("status", *options, daemon.path)
        daemon.listener.close()
        return ran, daemon

    def test_text(self):
        ran, daemon = self.ask(line(EVENT) + answer({"return": STATUS}))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(ran.stdout, TEXT.replace("PATH", daemon.path))
        self.assertEqual(json.loads(daemon.request), {"execute": "query-status", "id": 2})

    def test_json(self):
        ran, daemon = self.ask(answer({"return": STATUS}), "--json")
        self.assertEqual(ran.returncode, 0)
        self.assertEqual(json.loads(ran.stdout), {"socket": daemon.path, "status": STATUS})

    def test_a_fresh_daemon(self):
        session = dict(STATUS["sessions"][0], rings=[], stopping=[], last_transfer=None,
                       migration={"mode": "none", "outcome": None, "waits": None})
        ran, _ = self.ask(answer({"return": dict(STATUS, sessions=[session], connections=0)}))
        self.assertEqual(ran.returncode, 0)
        self.assertIn("0 connections", ran.stdout)
        self.assertIn("migration      none\n", ran.stdout)
        self.assertNotIn("last", ran.stdout)

    def test_misbehaviour(self):
        refusal = {"error": {"class": "GenericError", "desc": "not today"}}
        for greeting, reply, sentence in (
            (line(GREETING), answer(refusal), "not today"),
            (line(refusal), b"", "not today"),
            (b"", b"", "closed"),
            (line(GREETING), b"", "closed"),
            (b"HTTP/1.1 400\r\n", b"", "no control socket"),
            (line({}), b"", "does not say to what"),
            (line({"return": {}}), b"", "does not say to what"),
            (line(GREETING), b"[]\n", "no control socket"),
            (line(GREETING), answer({"neither": 1}), "neither"),
            (line(GREETING), answer({"error": 7}), "neither"),
            (line(GREETING), b"x" * (5 << 20), "a message of more"),
        ):
            with self.subTest(sentence=sentence, greeting=greeting[:20]):
                ran, _ = self.ask(reply, greeting=greeting)
                self.assertEqual(ran.returncode, 1)
                self.assertEqual(ran.stdout, "")
                self.assertIn(sentence, ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1)

    def test_strange_types_are_survived(self):
        for status in ([], 1, "x", {"sessions": [1, {}, {"rings": [None, {"index": "x"}]}]}):
            ran, _ = self.ask(answer({"return": status}))
            self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_one_of_two_is_gone(self):
        daemon = Daemon(self.directory.name, line(GREETING), answer({"return": STATUS}))
        gone = daemon.path + ".gone"
        ran = run("status", "--json", gone, daemon.path)
        daemon.listener.close()
        self.assertEqual(ran.returncode, 1)
        first, second = ran.stdout.splitlines()
        self.assertEqual(json.loads(first)["socket"], gone)
        self.assertIn("No such file", json.loads(first)["error"])
        self.assertEqual(json.loads(second)["status"], STATUS)

    def test_usage(self):
        for arguments in ((), ("nothing",), ("status",), ("status", "--nothing", "x")):
            ran = run(*arguments)
            self.assertEqual(ran.returncode, 2, arguments)
            self.assertEqual(ran.stderr.count("\n"), 1)
        self.assertIn("status", run("--help").stdout)
        self.assertEqual(run("--help").returncode, 0)
        self.assertRegex(run("--version").stdout, r"^godwit \d+\.\d+\.\d+\n$")
        self.assertIn("--json", run("status", "--help").stdout)


unittest.main()
