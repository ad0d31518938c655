#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit migrate` and what speaks no QMP, or not as it should: nothing of it is believed, nothing ends
the command in another way than with an exit code and a sentence.

usage: migrate-garbage.py GODWIT
"""
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

from migrate_fake import Pair, Refusal, until

GODWIT = sys.argv.pop(1)
WRONG = (None, 1, "x", "\x1b[2J" * 300, [], {}, [[]], [{}], [None], {"status": 1}, {"status": "x" * 5000}, {"status": "\u00e9" * 90},
         [{"label": 1, "filename": 2}], [{"name": "a" * 5000, "type": "child<vhost-user-fs-pci>"}],
         [{"name": "n", "type": "child<vhost-user-" + "y" * 5000}], [{"name": 1, "type": "child<"}],
         {"sessions": [1, None]}, {"sessions": [{"connected": 7, "last_transfer": []}]},
         {"sessions": [{"can_travel": "no"}]}, {"vhost-dev": 1},
         {"vhost-dev": {"features": [], "protocol-features": 7}},
         {"format": 1, "models": [], "instances": {}})


class Base(unittest.TestCase):
    def setUp(self):
        self.pair = Pair(GODWIT)
        self.addCleanup(self.pair.close)

    def cannot_tell(self, *arguments, says=""):
        ran = self.pair.ask(*arguments)
        self.assertEqual(ran.returncode, 3, ran.stdout + ran.stderr)
        self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
        self.assertIn(says, ran.stderr)
        report = json.loads(self.pair.ask("--json", *arguments).stdout)
        self.assertEqual(report["outcome"], "cannot-tell")
        self.assertIn(says, report["reason"])


class Sockets(Base):
    def test_nobody(self):
        for qemu in (self.pair.source, self.pair.destination):
            with self.subTest(side=qemu.side):
                path = qemu.path
                qemu.path = path + "-not"
                self.cannot_tell(says=f"the {qemu.side}'s QEMU: ")
                qemu.path = path

    def test_nobody_listens(self):
        path = os.path.join(self.pair.dir, "dead")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.pair.source.path, kept = path, self.pair.source.path
        self.cannot_tell(says="refused")
        self.pair.source.path = kept

    def test_taken(self):
        """A monitor serves one at a time: who comes second hears nothing."""
        self.pair.source.greeting = None
        self.cannot_tell("--patience", "1", says="no greeting (is somebody else connected?)")

    def test_full(self):
        """Not even taken by the kernel."""
        path = os.path.join(self.pair.dir, "full")
        with socket.socket(socket.AF_UNIX) as full:
            full.bind(path)
            full.listen(0)
            with socket.socket(socket.AF_UNIX) as first:
                first.connect(path)
                self.pair.source.path, kept = path, self.pair.source.path
                self.cannot_tell("--patience", "1", says="nobody takes the connection")
                self.pair.source.path = kept

    def test_usage(self):
        qmp = self.pair.source.path
        os.symlink(qmp, qmp + "link")
        for arguments in ((), ("--from", qmp), ("--from", qmp, "--to", qmp), ("--to", qmp),
                          ("--from", qmp, "--to", qmp + "link"), ("--from", qmp, "--to", "x" * 300),
                          ("--from", qmp, "--to", "y", "--patience", "0"),
                          ("--from", qmp, "--to", "y", "z")):
            with self.subTest(arguments=arguments):
                ran = subprocess.run([GODWIT, "migrate", *arguments], capture_output=True, text=True,
                                     check=False)
                self.assertEqual(ran.returncode, 2, ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1)

    def test_addresses(self):
        for where in ("tcp:", "tcp:x", "tcp::1", "tcp:h:", "tcp:localhost:0x", "unix:", "",
                      "tcp:127.0.0.1:1", "tcp:[::1]:1", "unix:/nowhere/x", "x" * 200):
            with self.subTest(where=where):
                ran = subprocess.run([GODWIT, "migrate", "--from", where, "--to", "other",
                                      "--patience", "1"], capture_output=True, text=True, check=False)
                self.assertIn(ran.returncode, (2, 3), ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1)

    def test_tcp(self):
        port = self.pair.source.listen_tcp()
        self.pair.source.path, kept = f"tcp:localhost:{port}", self.pair.source.path
        self.assertEqual(self.pair.ask().returncode, 0)
        self.pair.source.path = kept


class Words(Base):
    def test_bytes(self):
        """In place of an answer."""
        for raw, says in ((b"\x00\x01\n", "is no monitor"), (b"[]\n", "is no monitor"),
                          (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no monitor"),
                          (b'{"return": {}, "return": {}, "id": 2}\n', "is no monitor"),
                          (b'{"return": {}}\n', "does not say to what"),
                          (b'{"id": 2}\n', "neither a result nor an error"),
                          (b'{"error": {}, "id": 2}\n', "neither a result nor an error"),
                          (b"[" * 3000 + b"]" * 3000 + b"\n", "is no monitor"),
                          (b'{"a": "' + b"x" * (5 << 20), "a message of more than"),
                          (b"{" * (5 << 20), "a message of more than")):
            with self.subTest(raw=raw[:40]):
                self.pair.source.raw["query-status"] = raw
                self.cannot_tell(says=says)

    def test_refusal_steers_no_terminal(self):
        def refuse(_):
            raise Refusal("a\x1b[2J\nb")
        self.pair.source.answers["query-memdev"] = refuse
        self.cannot_tell(says="a?[2J?b")
        self.pair.backends["source"].greeting = {"error": {"class": "GenericError", "desc": "\x1b"}}
        del self.pair.source.answers["query-memdev"]
        ran = self.pair.ask("--override", "yes", "--dry-run")
        self.assertNotIn("\x1b", ran.stdout + ran.stderr)

    def test_silence(self):
        self.pair.destination.raw["query-migrate"] = None
        self.cannot_tell("--patience", "1", says="the destination's QEMU: ")

    def test_half_an_answer(self):
        self.pair.source.raw["query-status"] = b'{"return": {"status": "running", '
        self.cannot_tell("--patience", "1", says="no answer within 1 s")

    def test_closed(self):
        def close(_):
            self.pair.source.clients[-1].shutdown(socket.SHUT_RDWR)
        self.pair.source.answers["query-memdev"] = close
        self.cannot_tell(says="the connection was closed")

    def test_pretty(self):
        """A monitor may spread what it says over lines, and put events between."""
        def pretty(_):
            text = json.dumps({"event": "X]{", "data": {"a": 'b"]}\\'}}, indent=4)
            self.pair.source.clients[-1].sendall(b"\r\n" + text.encode() + b"\r\n\n")
            return {"status": "running", "running": True}
        self.pair.source.answers["query-status"] = pretty
        ran = self.pair.ask("--dry-run")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)

    def test_late_answers(self):
        """To a question that was given up: not taken for that to the next one."""
        backend = self.pair.backends["source"]
        backend.answers["preflight"] = lambda _: backend.clients[-1].sendall(
            b'{"return": {"sessions": [{"can_travel": false}]}, "id": 1}\n') or {
                "sessions": [{"can_travel": True}]}
        self.assertEqual(self.pair.ask("--dry-run").returncode, 0)

    def test_flood(self):
        """Events without an end are no reason to wait without an end."""
        def flood(_):
            try:
                while True:
                    self.pair.source.clients[-1].sendall(b'{"event": "E", "data": {}}\n' * 1000)
            except OSError:
                return {}
        self.pair.source.answers["query-status"] = flood
        self.cannot_tell("--patience", "1", says="no answer within 1 s")


class Shapes(Base):
    """JSON, but not what was asked for."""

    def run_all(self, peer, commands, arguments):
        for command in commands:
            for value in WRONG:
                with self.subTest(command=command, value=str(value)[:60]):
                    peer.answers[command] = lambda _, value=value: value
                    ran = self.pair.ask("--patience", "10", *arguments)
                    self.assertIn(ran.returncode, (0, 1, 3), ran.stderr)
                    self.assertNotIn("\x1b", ran.stdout + ran.stderr)
                    if "--json" in arguments and ran.stdout:
                        self.assertIn("outcome", json.loads(ran.stdout))
            del peer.answers[command]

    def test_qemu(self):
        commands = ("query-status", "query-migrate", "query-migrate-capabilities", "query-memdev",
                    "qom-list", "qom-get", "query-chardev", "x-query-virtio-status")
        for qemu in (self.pair.source, self.pair.destination):
            self.run_all(qemu, commands, ["--dry-run", "--json"])

    def test_back_end(self):
        commands = ("query-status", "query-migration-info", "check-migration", "preflight")
        for backend in self.pair.backends.values():
            self.run_all(backend, commands, ["--dry-run"])

    def test_cancel_without_an_end(self):
        self.pair.source.answers["migrate_cancel"] = lambda _: {}
        self.pair.source.on_migrate = self.pair.precopy
        report = self.pair.report("--patience", "1", "--time-limit", "1")
        self.assertEqual(report["exit"], 5)
        self.assertIn("the migration still runs", report["notes"][0])

    def test_while_it_moves(self):
        """The source raves when it is asked how far it is: it ends, and is judged by who runs."""
        for value in WRONG[:12]:
            with self.subTest(value=str(value)[:60]):
                pair = Pair(GODWIT)
                self.addCleanup(pair.close)
                pair.source.on_migrate = lambda pair=pair, value=value: (
                    pair.precopy(),
                    pair.source.answers.update({"query-migrate": lambda _: value}),
                    pair.source.becomes("completed"))
                with pair.start("--patience", "1", "--time-limit", "1") as running:
                    until(lambda pair=pair: pair.source.asked("migrate"))
                    out, err = running.communicate(timeout=60)
                self.assertIn(running.returncode, (4, 5), out + err)
                self.assertNotEqual(running.returncode, -signal.SIGSEGV)


unittest.main()
