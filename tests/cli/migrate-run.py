#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit migrate` with scripted QEMUs: every way in which a migration can end.

usage: migrate-run.py GODWIT
"""
import json
import os
import signal
import sys
import time
import unittest
import xml.etree.ElementTree

from migrate_fake import RAM, Pair, Refusal, be_called, until

GODWIT = sys.argv.pop(1)
PHASES = ["asking", "preflight", "preparing", "setup", "pre-copy", "switchover", "verification",
          "outcome"]


class Base(unittest.TestCase):
    def setUp(self):
        self.pair = Pair(GODWIT)
        self.addCleanup(self.pair.close)
        self.source, self.destination = self.pair.source, self.pair.destination
        self.backends = self.pair.backends

    def told(self):
        return self.backends["source"].asked("migration-outcome")


class Moved(Base):
    def test_succeeds(self):
        ran = self.pair.ask()
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertTrue(ran.stdout.startswith("moved: "), ran.stdout)
        self.assertIn("share (vhost-user-fs-pci) saved 680 bytes in 3 ms, loaded 680 bytes",
                      ran.stdout)
        self.assertIn("(QEMU says 12)", ran.stdout)
        for phase in PHASES:
            self.assertRegex(ran.stdout, rf"\n  {phase} +\d+ ms\n")
        # 300 ms of QEMU, 5 of the back-end, 2 MB of state at 100 MB/s.
        self.assertIn("50.0 MB sent, 100.0 MB/s, 20.0 MB left, expected blackout 325 ms\n",
                      ran.stderr)
        self.assertEqual(self.told(), [{"id": "7f", "outcome": "moved"}])
        self.assertEqual(self.backends["destination"].asked("migration-outcome"), [])

    def test_the_destination_knows_how_much_comes(self):
        self.assertEqual(self.pair.ask().returncode, 0)
        self.assertEqual(self.backends["destination"].asked("migration-expect"),
                         [{"state-bytes": 2000000}])
        self.assertEqual(self.backends["source"].asked("migration-expect"), [])

    def test_a_destination_that_takes_no_hint(self):
        """An older build, or one that thinks otherwise of itself."""
        for text, kind in (("The command migration-expect has not been found", "CommandNotFound"),
                           ("device virtio-fs is running", "GenericError")):
            def refuse(_, text=text, kind=kind):
                raise Refusal(text, kind)
            pair = Pair(GODWIT)
            self.addCleanup(pair.close)
            pair.backends["destination"].answers["migration-expect"] = refuse
            ran = pair.ask()
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            self.assertEqual(len(pair.backends["destination"].asked("migration-expect")), 1)

    def test_a_destination_that_is_silent_about_it(self):
        """It is not waited for as for what a migration cannot do without: half a minute."""
        def late(_):
            time.sleep(2)
            return {}
        for name, answers, raw in (("never", {}, {"migration-expect": None}),
                                   ("late", {"migration-expect": late}, {})):
            with self.subTest(name):
                pair = Pair(GODWIT)
                self.addCleanup(pair.close)
                pair.backends["destination"].answers.update(answers)
                pair.backends["destination"].raw.update(raw)
                report = pair.report()
                self.assertEqual(report["outcome"], "moved", report)
                self.assertEqual(report["devices"][0]["destination"]["transfer"]["bytes"], 680)
                preparing, = [phase for phase in report["phases"] if phase["name"] == "preparing"]
                self.assertLess(preparing["ms"], 15000)
                self.assertEqual(len(pair.backends["destination"].asked("migration-expect")), 1)

    def test_an_answer_that_was_given_up_is_nobodys(self):
        """It comes after its time, and before the next question."""
        def late(_):
            time.sleep(1.5)
            return {}
        def long():
            self.pair.precopy()
            time.sleep(1.5)
            self.pair.succeed()
        self.backends["destination"].answers["migration-expect"] = late
        self.source.on_migrate = long
        report = self.pair.report()
        self.assertEqual(report["devices"][0]["destination"]["transfer"]["bytes"], 680)

    def test_json(self):
        report = self.pair.report("--svg", self.pair.dir + "/svg")
        self.assertEqual(report["outcome"], "moved")
        self.assertEqual([phase["name"] for phase in report["phases"]], PHASES)
        for one, other in zip(report["phases"], report["phases"][1:]):
            self.assertAlmostEqual(one["at_ms"] + one["ms"], other["at_ms"], 1)
        self.assertGreaterEqual(report["blackout_ms"], 0)
        self.assertEqual(report["migration"]["ram"], RAM)
        self.assertEqual(report["source"]["state"], "postmigrate")
        self.assertTrue(report["destination"]["running"])
        device, = report["devices"]
        self.assertEqual(device["source"]["make"], "godwit")
        self.assertEqual(device["destination"]["transfer"]["direction"], "load")
        picture = xml.etree.ElementTree.parse(self.pair.dir + "/svg")
        texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
        for word in (*PHASES, "blackout", "share", "loaded, 680 bytes in 3 ms"):
            self.assertIn(word, texts)

    def test_return_path_is_switched_on(self):
        self.assertEqual(self.pair.ask().returncode, 0)
        for qemu in (self.source, self.destination):
            self.assertTrue(qemu.capabilities["return-path"])
        uri = self.destination.asked("migrate-incoming")[0]["uri"]
        self.assertEqual(uri, f"unix:{self.destination.path}.migration")
        self.assertEqual(self.source.asked("migrate"), [{"uri": uri}])
        self.assertFalse(os.path.exists(uri[len("unix:"):]))

    def test_without_events(self):
        """It is asked now and then all the same."""
        for qemu in (self.source, self.destination):
            del qemu.capabilities["events"]
        report = self.pair.report()
        self.assertEqual(report["outcome"], "moved")
        self.assertIn("pre-copy", [phase["name"] for phase in report["phases"]])

    def test_uri(self):
        self.assertEqual(self.pair.ask("--uri", "tcp:h:1").returncode, 0)
        self.assertEqual(self.destination.asked("migrate-incoming"), [{"uri": "tcp:h:1"}])
        self.assertEqual(self.source.asked("migrate"), [{"uri": "tcp:h:1"}])

    def test_destination_listens_already(self):
        for address, uri in (({"type": "inet", "host": "::1", "port": "7"}, "tcp:[::1]:7"),
                             ({"type": "unix", "path": "/x"}, "unix:/x")):
            with self.subTest(uri=uri):
                pair = Pair(GODWIT)
                self.addCleanup(pair.close)
                pair.destination.migrate = {"status": "setup", "socket-address": [address]}
                self.assertEqual(pair.ask().returncode, 0)
                self.assertEqual(pair.destination.asked("migrate-incoming"), [])
                self.assertEqual(pair.source.asked("migrate"), [{"uri": uri}])

    def test_destination_listens_everywhere(self):
        """At any of its addresses: the source finds it at the one by which its monitor was found."""
        self.destination.migrate = {"status": "setup", "socket-address": [
            {"type": "inet", "host": "0.0.0.0", "port": "7"}]}
        port = self.destination.listen_tcp()
        self.pair.command = lambda *more: [GODWIT, "migrate", "--from", self.source.path, "--to",
                                           f"tcp:localhost:{port}", *more]
        self.assertEqual(self.pair.ask().returncode, 0)
        self.assertEqual(self.source.asked("migrate"), [{"uri": "tcp:localhost:7"}])

    def test_destination_was_started_paused(self):
        """As libvirt does (-S): it has the guest, and is let go."""
        def succeed():
            self.pair.precopy()
            self.pair.switch_over()
            self.pair.arrive("paused")
            self.pair.complete()
        self.source.on_migrate = succeed
        ran = self.pair.ask()
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertEqual(len(self.destination.asked("cont")), 1)

    def test_paused_guest_stays_paused(self):
        self.source.status = "paused"

        def succeed():
            self.pair.precopy()
            self.pair.arrive("paused")
            self.pair.complete()
        self.source.on_migrate = succeed
        ran = self.pair.ask()
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertEqual(self.destination.asked("cont"), [])

    def test_pause_before_switchover(self):
        """Who switched it on wants to be asked; here nobody else is."""
        def wait():
            self.source.becomes("pre-switchover")
            until(lambda: self.source.asked("migrate-continue"))
            self.pair.succeed()
        self.source.answers["migrate-continue"] = lambda _: {}
        self.source.on_migrate = wait
        self.assertEqual(self.pair.ask().returncode, 0)
        self.assertEqual(self.source.asked("migrate-continue")[0], {"state": "pre-switchover"})

    def test_outcome_is_not_known_there(self):
        def unknown(_):
            raise Refusal("The command has not been found", "CommandNotFound")
        self.backends["source"].answers["migration-outcome"] = unknown
        report = self.pair.report()
        self.assertEqual(report["outcome"], "moved")
        self.assertIn("cannot be told the outcome", " ".join(report["notes"]))

    def test_stateless(self):
        """Both QEMUs at one back-end, which has a device for each; it needs not be told."""
        one = self.backends["source"]
        self.destination.devices[0]["socket"] = self.source.devices[0]["socket"]
        other = {**one.session, "device_state": "fresh"}
        for session in (one.session, other):
            session["migration"] = {"mode": "stateless"}
        instances = one.info["instances"]
        instances.append({**instances[0], "params": {}, "unset": ["xattr", "queues"]})
        one.answers["query-status"] = lambda _: {"sessions": [one.session, other]}
        small = {"can_travel": True, "cannot_travel": [], "state_bytes": 1}
        one.answers["preflight"] = lambda _: {"sessions": [small, one.preflight]}

        def succeed():
            self.pair.precopy()
            self.pair.switch_over()
            other["last_transfer"] = {**one.session["last_transfer"], "direction": "load"}
            self.pair.arrive()
            self.pair.complete()
        self.source.on_migrate = succeed
        report = self.pair.report()
        self.assertEqual(report["outcome"], "moved", report)
        device, = report["devices"]
        self.assertEqual(device["source"]["transfer"]["direction"], "save")
        self.assertEqual(device["destination"]["transfer"]["direction"], "load")
        self.assertEqual(device["source"]["preflight"]["state_bytes"], 2000000)
        self.assertEqual(self.told(), [])

    def test_dry_run(self):
        ran = self.pair.ask("--dry-run")
        self.assertEqual(ran.returncode, 0)
        self.assertIn("nothing was begun", ran.stdout)
        for qemu in (self.source, self.destination):
            commands = {name for name, _ in qemu.seen}
            self.assertFalse(commands & {"migrate", "migrate-incoming",
                                         "migrate-set-capabilities"}, commands)


class Stayed(Base):
    def test_fails(self):
        """The destination's back-end refuses: its own words, from an event, since it is gone then."""
        def fail():
            self.pair.precopy()
            self.pair.switch_over()
            self.backends["destination"].event("MIGRATION_FAILED", id="7f", reason="no \x1bsuch file")
            self.backends["destination"].die()
            self.destination.die()
            self.pair.fail()
        self.source.on_migrate = fail
        ran = self.pair.ask()
        self.assertEqual(ran.returncode, 4, ran.stdout + ran.stderr)
        self.assertTrue(ran.stdout.startswith("failed: the guest goes on at the source\n"))
        self.assertIn("  share: at the destination: no ?such file\n", ran.stdout)
        self.assertIn("Broken pipe", ran.stdout)
        self.assertEqual(self.told(), [{"id": "7f", "outcome": "failed"}])

    def test_picture_of_whatever_was_said(self):
        """Words that would be markup, that steer terminals, and that are cut within a letter."""
        path = self.pair.dir + "/svg"
        for words, drawn in (("<g a='1'>&\x1b\x7f\"", "<g a='1'>&??\""),
                             ("é" * 1000, ("é" * 100, "?" * 100)),
                             ("x" + "é" * 1000, ("xé" + "é" * 100, "x?" + "?" * 100))):
            def fail():
                self.pair.precopy()
                self.pair.fail(words)  # pylint: disable=cell-var-from-loop
            self.source.on_migrate = fail
            self.source.migrate, self.destination.migrate = {}, {}
            self.assertEqual(self.pair.report("--svg", path)["exit"], 4)
            picture = xml.etree.ElementTree.parse(path)
            texts = "".join(t.text or "" for t in picture.iter("{http://www.w3.org/2000/svg}text"))
            self.assertTrue(any(one in texts for one in (drawn if isinstance(drawn, tuple) else
                                                         (drawn,))), texts)

    def test_destination_takes_its_time_to_end(self):
        def fail():
            self.pair.precopy()
            self.pair.switch_over()
            self.pair.fail()
            self.destination.end(0.7)
        self.source.on_migrate = fail
        self.assertEqual(self.pair.ask().returncode, 4)

    def test_has_never_left(self):
        """A guest that did not stand still is nowhere else, whatever became of the destination."""
        def fail():
            self.pair.precopy()
            self.destination.raw["query-status"] = None
            self.pair.fail()
        self.source.on_migrate = fail
        report = self.pair.report("--patience", "1")
        self.assertEqual((report["outcome"], report["exit"]), ("failed", 4), report)

    def test_was_refused_there(self):
        """A destination that is not heard of any more, but said before that it could not."""
        def fail():
            self.pair.precopy()
            self.pair.switch_over()
            self.backends["destination"].event("MIGRATION_FAILED", id="7f", reason="no such file")
            self.destination.raw["query-status"] = None
            self.pair.fail()
        self.source.on_migrate = fail
        report = self.pair.report("--patience", "1")
        self.assertEqual((report["outcome"], report["exit"]), ("failed", 4), report)

    def test_source_back_end_fails(self):
        def fail():
            self.pair.precopy()
            self.backends["source"].transfer("save", "failed", "a file cannot be read")
            self.pair.fail("vhost_save_backend_state failed")
        self.source.on_migrate = fail
        report = self.pair.report()
        self.assertEqual(report["outcome"], "failed")
        self.assertEqual(report["devices"][0]["source"]["failure"], "a file cannot be read")
        self.assertIn("vhost_save_backend_state", report["reason"])

    def test_old_transfer_is_not_this_one(self):
        self.backends["source"].transfer("save", "failed", "last year", "1")
        self.source.on_migrate = self.pair.fail
        report = self.pair.report()
        self.assertEqual(report["outcome"], "failed")
        self.assertNotIn("failure", report["devices"][0]["source"])
        self.assertEqual(self.told(), [])

    def test_capabilities_are_put_back(self):
        self.source.on_migrate = self.pair.fail
        self.assertEqual(self.pair.ask().returncode, 4)
        self.assertFalse(self.source.capabilities["return-path"])
        self.assertFalse(self.source.capabilities["events"])

    def test_destination_cannot_listen(self):
        def busy(_):
            raise Refusal("Failed to bind socket: Address already in use")
        self.destination.answers["migrate-incoming"] = busy
        report = self.pair.report()
        self.assertEqual(report["outcome"], "failed")
        self.assertIn("Address already in use", report["reason"])
        self.assertEqual(self.source.asked("migrate"), [])

    def test_source_refuses(self):
        def refuse(_):
            raise Refusal("State blocked by non-migratable device")
        self.source.answers["migrate"] = refuse
        report = self.pair.report()
        self.assertEqual((report["outcome"], report["exit"]), ("failed", 4))
        self.assertIn("starting: State blocked", report["reason"])
        # The destination still listens, and is found by the next one.
        self.assertTrue(os.path.exists(self.destination.path + ".migration"))
        del self.source.answers["migrate"]
        self.assertEqual(self.pair.report()["outcome"], "moved")

    def test_source_does_not_go_on_by_itself(self):
        """It is helped, since the destination says that it has no guest."""
        def fail():
            self.pair.precopy()
            self.source.status = "paused"
            self.source.becomes("failed", **{"error-desc": "no"})
        self.source.on_migrate = fail
        self.assertEqual(self.pair.ask().returncode, 4)
        self.assertEqual(len(self.source.asked("cont")), 1)

    def cancelled(self, interrupt, *arguments):
        def go_on():
            self.pair.precopy()
        self.source.on_migrate = go_on
        with self.pair.start("--json", *arguments) as running:
            until(lambda: self.source.migrate.get("status") == "active")
            interrupt(running)
            out, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 4, out)
        report = json.loads(out)
        self.assertEqual(report["outcome"], "cancelled")
        self.assertEqual(self.source.status, "running")
        self.assertEqual(len(self.source.asked("migrate_cancel")), 1)
        return report

    def test_interrupt_cancels(self):
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=signo):
                self.setUp()
                self.cancelled(lambda running, signo=signo: running.send_signal(signo))

    def test_time_limit_cancels(self):
        report = self.cancelled(lambda running: None, "--time-limit", "1")
        self.assertIn("--time-limit", report["reason"])

    def test_too_late_to_cancel(self):
        """A migration that completes all the same has moved the guest."""
        self.source.answers["migrate_cancel"] = lambda _: self.pair.succeed() or {}
        self.source.on_migrate = self.pair.precopy
        with self.pair.start() as running:
            until(lambda: self.source.migrate.get("status") == "active")
            running.send_signal(signal.SIGINT)
            out, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0, out)

    def test_interrupt_before_anything(self):
        """A preflight takes long; whoever does not want to wait for it has begun nothing."""
        self.backends["source"].raw["preflight"] = None
        with self.pair.start() as running:
            until(lambda: self.backends["source"].asked("preflight"))
            running.send_signal(signal.SIGINT)
            out, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 4, out)
        self.assertIn("before anything was begun", out)
        self.assertEqual(self.source.asked("migrate"), [])


class Unknown(Base):
    """It must never look like a success, nor like a guest that is safe where it was."""

    def unknown(self, script, *arguments):
        self.source.on_migrate = script
        report = self.pair.report(*arguments)
        self.assertEqual((report["outcome"], report["exit"]), ("unknown", 5), report)
        self.assertEqual(self.told(), [])
        return " ".join(report["notes"])

    def test_source_dies(self):
        def die():
            self.pair.precopy()
            self.source.die()
        self.assertIn("the source is gone, and the destination has no guest", self.unknown(die))

    def test_source_dies_at_the_end(self):
        def die():
            self.pair.precopy()
            self.pair.arrive()
            self.source.die()
        self.assertIn("the guest is at the destination, and the source is gone",
                      self.unknown(die))

    def test_both_die(self):
        def die():
            self.pair.precopy()
            self.destination.die()
            self.source.die()
        self.assertIn("both sides are gone", self.unknown(die))

    def test_destination_dies_after_all(self):
        def die():
            self.pair.precopy()
            self.pair.switch_over()
            self.destination.die()
            self.pair.complete()
        self.assertIn("the source has no guest, and the destination is gone", self.unknown(die))

    def test_both_run(self):
        def fail():
            self.pair.precopy()
            self.pair.arrive()
            self.pair.fail()
        self.assertIn("the guest runs on both sides", self.unknown(fail, "--patience", "1"))

    def test_neither_runs(self):
        def stop():
            self.pair.precopy()
            self.pair.complete()
        notes = self.unknown(stop, "--patience", "1")
        self.assertIn("neither side has the guest", notes)
        self.assertEqual(self.source.asked("cont"), [])

    def test_destination_is_silent(self):
        """Failed, says the source; whether the destination runs as well nobody knows."""
        def fail():
            self.pair.precopy()
            self.pair.switch_over()
            self.destination.raw["query-status"] = None
            self.pair.fail()
        notes = self.unknown(fail, "--patience", "2")
        self.assertIn("the guest is at the source, and the destination is silent", notes)

    def test_forwarded_destination_is_gone(self):
        """Perhaps only the way to it is."""
        def fail():
            self.pair.precopy()
            self.pair.switch_over()
            self.destination.die()
            self.pair.fail()
        be_called("ssh")
        notes = self.unknown(fail, "--patience", "1")
        self.assertIn("the guest is at the source, and the destination is silent", notes)

    def test_source_is_silent(self):
        def hang():
            self.pair.precopy()
            self.source.raw["query-migrate"] = None
        self.assertIn("the source is silent", self.unknown(hang, "--patience", "1"))

    def test_source_speaks_nonsense(self):
        def rave():
            self.pair.precopy()
            self.source.raw["query-migrate"] = b"]\n"
            self.source.greeting = None
        self.unknown(rave, "--patience", "1")

    def test_second_interrupt_leaves_it_alone(self):
        self.source.answers["migrate_cancel"] = lambda _: {}
        self.source.on_migrate = self.pair.precopy
        with self.pair.start("--json") as running:
            until(lambda: self.source.migrate.get("status") == "active")
            running.send_signal(signal.SIGINT)
            until(lambda: self.source.asked("migrate_cancel"))
            running.send_signal(signal.SIGINT)
            out, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 5, out)

    def test_connection_breaks(self):
        """Only the connection: the source is asked over a new one."""
        def cut():
            self.pair.precopy()
            self.pair.switch_over()
            self.pair.arrive()
            self.pair.complete()
        def once(_):
            if self.source.migrate.get("status") == "completed":
                self.source.clients[0].shutdown(2)
                del self.source.answers["query-status"]
            return {"status": self.source.status, "running": self.source.status == "running"}
        self.source.answers["query-status"] = once
        self.source.on_migrate = cut
        ran = self.pair.ask()
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertEqual(len(self.source.clients), 2)


class Picture(Base):
    def test_where_it_cannot_be_written(self):
        ran = self.pair.ask("--svg", os.path.join(self.pair.dir, "no", "svg"))
        self.assertEqual(ran.returncode, 0)
        self.assertIn("No such file", ran.stderr)


unittest.main()
