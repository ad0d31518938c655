#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit migrate` with scripted QEMUs and back-ends: what goes ahead of a device's state is a hint,
for which a migration does not wait, and with which it does not fail.

usage: migrate-ahead.py GODWIT
"""
import base64
import json
import os
import signal
import sys
import time
import unittest

from migrate_fake import Pair, Refusal, until

GODWIT = sys.argv.pop(1)
STATE = os.urandom(100000)
LATE = "there was no time for all of it"


def refuse(_):
    raise Refusal("not now")


class Ahead(unittest.TestCase):
    def setUp(self):
        self.again()

    def again(self):
        self.pair = Pair(GODWIT)
        self.addCleanup(self.pair.close)
        self.source = self.pair.source
        self.a, self.b = self.pair.backends["source"], self.pair.backends["destination"]
        self.a.knows_precopy(STATE)
        self.b.knows_precopy()

    def moved(self):
        report = self.pair.report()
        self.assertEqual(report["outcome"], "moved", report)
        device, = report["devices"]
        self.assertEqual(device["destination"]["transfer"]["bytes"], 680)
        self.assertEqual(self.a.asked("migration-outcome"), [{"id": "7f", "outcome": "moved"}])
        return device.get("ahead"), report

    def did_not_come(self, part):
        begun = time.monotonic()
        ahead, report = self.moved()
        self.assertLess(time.monotonic() - begun, 15)
        self.assertEqual((ahead["bytes"], ahead["times"]), (0, 0))
        self.assertIn(part, ahead["reason"])
        if part == LATE:
            self.assertEqual(report["notes"], [])
        else:
            note, = report["notes"]
            self.assertIn("share: nothing went ahead of its state: ", note)

    def then(self, *parts):
        """What QEMU does."""
        def migrate():
            for part in parts:
                part()
        self.source.on_migrate = migrate

    def test_it_comes(self):
        ran = self.pair.ask()
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertIn(", loaded 680 bytes in 3 ms, 100000 bytes went ahead\n", ran.stdout)
        self.assertEqual(self.b.ahead, STATE)
        self.assertEqual(self.a.asked("migration-precopy-save"), [{}])
        self.assertEqual(self.b.asked("migration-precopy-save"), [])
        self.assertEqual(self.a.asked("migration-precopy-load"), [])

    def test_json(self):
        ahead, report = self.moved()
        self.assertEqual((ahead["bytes"], ahead["times"]), (100000, 1))
        self.assertGreater(ahead["ms"], 0)
        self.assertNotIn("reason", ahead)
        self.assertEqual(report["notes"], [])

    def test_only_while_memory_is_copied(self):
        self.then(self.pair.switch_over, lambda: time.sleep(1), self.pair.arrive,
                  self.pair.complete)
        ahead, _ = self.moved()
        self.assertIsNone(ahead)
        self.assertEqual(self.a.asked("migration-precopy-save"), [])

    def test_again_where_memory_takes_long(self):
        self.then(self.pair.precopy, lambda: time.sleep(6), self.pair.succeed)
        ahead, _ = self.moved()
        self.assertEqual((ahead["bytes"], ahead["times"]), (100000, 2))
        self.assertEqual(len(self.a.asked("migration-precopy-save")), 2)

    def test_of_which_session(self):
        for backend, number in ((self.a, 3), (self.b, 5)):
            other = dict(backend.session, session=9, connected=False)
            backend.session["session"] = number
            backend.info["instances"] *= 2
            backend.answers["query-status"] = lambda _, backend=backend, other=other: {
                "sessions": [other, backend.session]}
        ahead, _ = self.moved()
        self.assertEqual(ahead["bytes"], 100000)
        for backend, number in ((self.a, 3), (self.b, 5)):
            self.assertEqual({arguments["session"] for name, arguments in backend.seen
                              if "precopy" in name}, {number})

    def test_builds_that_do_not_know_of_it(self):
        for peer in (self.a, self.b):
            with self.subTest(peer.side):
                self.again()
                one = self.pair.backends[peer.side]
                for name in ("save", "read", "write", "load"):
                    del one.answers[f"migration-precopy-{name}"]
                ahead, report = self.moved()
                self.assertIsNone(ahead)
                self.assertEqual(report["notes"], [])

    def test_a_device_that_stays(self):
        for backend in (self.a, self.b):
            backend.session["migration"]["mode"] = "stateless"
        self.pair.ask("--override", "a test")
        self.assertEqual(len(self.source.asked("migrate")), 1)
        self.assertEqual(self.a.asked("migration-precopy-save"), [])

    def test_refused(self):
        for side, name in (("source", "save"), ("source", "read"), ("destination", "write"),
                           ("destination", "load")):
            with self.subTest(name):
                self.again()
                self.pair.backends[side].answers[f"migration-precopy-{name}"] = refuse
                self.did_not_come("not now")

    def test_nonsense(self):
        long = base64.b64encode(bytes(100001)).decode()
        for name, answer in (("save", {}), ("save", {"bytes": "1"}), ("save", {"bytes": -1}),
                             ("save", []), ("read", {}), ("read", {"data": ""}),
                             ("read", {"data": 1}), ("read", {"data": "===="}),
                             ("read", {"data": "ab"}), ("read", {"data": long})):
            with self.subTest(name=name, answer=str(answer)[:20]):
                self.again()
                self.a.answers[f"migration-precopy-{name}"] = lambda _, answer=answer: answer
                self.did_not_come("")
                self.assertIsNone(self.b.ahead)

    def test_silent(self):
        for side, name in (("source", "save"), ("source", "read"), ("destination", "write"),
                           ("destination", "load")):
            with self.subTest(name):
                self.again()
                self.pair.backends[side].raw[f"migration-precopy-{name}"] = None
                self.did_not_come(LATE)

    def test_an_end_of_the_connection(self):
        self.a.raw["migration-precopy-read"] = b"{]\n"
        self.did_not_come("")

    def test_a_socket_that_is_full(self):
        """Of connections: those for this are the second of each back-end."""
        self.a.greeting_of_others = b'{"error": {"class": "GenericError", "desc": "too many"}}\n'
        ahead, report = self.moved()
        self.assertIsNone(ahead)
        self.assertEqual(report["notes"], [])

    def test_qemu_does_not_wait_for_it(self):
        """It stops before the switch-over until it is told to go on."""
        self.a.raw["migration-precopy-save"] = None
        self.source.answers["migrate-continue"] = lambda _: {}
        self.then(self.pair.precopy, lambda: self.source.becomes("pre-switchover"),
                  lambda: until(lambda: self.source.asked("migrate-continue")),
                  self.pair.switch_over, self.pair.arrive, self.pair.complete)
        self.did_not_come(LATE)

    def test_cancelled_meanwhile(self):
        self.a.raw["migration-precopy-save"] = None
        self.then(self.pair.precopy)
        self.source.answers["migrate_cancel"] = lambda _: self.pair.fail("cancelled") or {}
        process = self.pair.start("--json")
        until(lambda: self.a.asked("migration-precopy-save"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(json.loads(out)["outcome"], "cancelled", out + err)


if __name__ == "__main__":
    unittest.main()
