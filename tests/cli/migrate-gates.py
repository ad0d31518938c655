#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit migrate` with scripted QEMUs: each of its gates, one after the other, is the only one that
is closed. The table in the source, the page that explains it and the cases here name the same ones.

usage: migrate-gates.py GODWIT GATES.C PAGE.MD
"""
import json
import os
import re
import socket
import subprocess
import sys
import unittest

from migrate_fake import Pair, Refusal

GODWIT, TABLE, PAGE = sys.argv[1:4]
del sys.argv[1:4]
REFUSED, CANNOT_TELL = "refused", "cannot-tell"


def fs(pair, side="source"):
    """The device of one side."""
    return getattr(pair, side).devices[0]


def both(pair, name, on):
    for qemu in (pair.source, pair.destination):
        qemu.capabilities[name] = on


def drop_protocol(pair, name):
    features = fs(pair)["vhost"]["protocol-features"]
    features["protocols"] = [text for text in features["protocols"] if name not in text]


def is_foreign(pair, side):
    pair.backends[side].die()


def says_no(pair):
    pair.backends["source"].preflight.update(can_travel=False, cannot_travel=[
        {"kind": "inode", "path": "/a\x1b", "inode": 3, "reason": "it is out of the share"}])


def has_limits(pair, **limits):
    """The source's guest knows the root and 11 more."""
    pair.backends["source"].preflight.update(inodes=12, inode_bytes=2 << 20)
    pair.backends["destination"].session["details"].update(limits)


def negotiated(pair, used, offered, used_bits=0, offered_bits=0):
    """By the guest, and what there is at the destination; bits are what QEMU has no name for."""
    fs(pair)["virtio"] = {"guest-features": {
        "transports": used[:1], "dev-features": used[1:], "unknown-dev-features": used_bits}}
    fs(pair, "destination")["virtio"] = {"host-features": {
        "transports": offered, "dev-features": [], "unknown-dev-features": offered_bits}}


def no_instance(pair):
    pair.backends["source"].info["instances"] = []


def is_silent(pair):
    pair.backends["destination"].greeting = {"error": {"class": "GenericError", "desc": "go away"}}


def has_several(pair):
    backend = pair.backends["source"]
    backend.answers["query-status"] = lambda _: {"sessions": [backend.session, backend.session]}


def one_back_end(pair):
    os.unlink(pair.backends["destination"].path)
    os.link(pair.backends["source"].path, pair.backends["destination"].path)


def other_type(pair):
    fs(pair, "destination")["type"] = "vhost-user-blk-pci"


def needs_more(model):
    """A parameter that every instance has to state."""
    model["params"]["more"] = {"type": "int", "min": 1, "max": 3}
    model["profiles"]["1"]["more"] = 2


def add_device(pair, side, **device):
    getattr(pair, side).devices.append({"properties": {}, **device})


# code: what closes it, the verdict, a part of what it says
CASES = {
    "source-state": (lambda p: setattr(p.source, "status", "shutdown"), REFUSED, "'shutdown'"),
    "destination-not-waiting":
        (lambda p: setattr(p.destination, "status", "running"), REFUSED, "'running'"),
    "migration-running":
        (lambda p: p.source.migrate.update(status="active"), REFUSED, "of the source ('active')"),
    "migration-blocked":
        (lambda p: p.source.migrate.update({"blocked-reasons": ["vhost lacks LOG_ALL"]}), REFUSED,
         "vhost lacks LOG_ALL"),
    "no-return-path": (lambda p: p.source.capabilities.pop("return-path"), REFUSED, "source's QEMU"),
    "no-uri": (None, REFUSED, "--uri"),
    "background-snapshot":
        (lambda p: both(p, "background-snapshot", True), REFUSED, "at the destination"),
    "capabilities-differ":
        (lambda p: p.source.capabilities.update(multifd=True), REFUSED, "'multifd' is on at the source"),
    "memory-not-shared":
        (lambda p: p.destination.memory.append({"id": "m2", "share": False}), REFUSED,
         "'m2' of the destination"),
    "vfio-user-device":
        (lambda p: add_device(p, "source", id="nic", type="vfio-user-pci"), REFUSED, "of the source"),
    "device-missing": (lambda p: p.destination.devices.clear(), REFUSED, "the source (vhost-user-fs"),
    "device-differs": (other_type, REFUSED, "vhost-user-blk-pci at the destination"),
    "queues-differ":
        (lambda p: fs(p)["properties"].update({"num-request-queues": 4}), REFUSED,
         "num-request-queues is 4 at the source, 2 at the destination"),
    "virtio-differs":
        (lambda p: negotiated(p, ["VIRTIO_F_RING_PACKED: layout", "VIRTIO_F_X"], ["VIRTIO_F_RING"]),
         REFUSED, "VIRTIO_F_RING_PACKED, VIRTIO_F_X"),
    "features-unknown": (None, CANNOT_TELL, "while the guest uses"),
    "no-device-state": (lambda p: drop_protocol(p, "DEVICE_STATE"), REFUSED, "DEVICE_STATE"),
    "no-log-all":
        (lambda p: fs(p)["vhost"]["features"].clear(), REFUSED, "LOG_ALL"),
    "no-log-shmfd": (lambda p: drop_protocol(p, "LOG_SHMFD"), REFUSED, "LOG_SHMFD"),
    "post-copy-impossible": (lambda p: both(p, "postcopy-ram", True), REFUSED, "PAGEFAULT"),
    "back-end-silent": (is_silent, CANNOT_TELL, "at the destination: "),
    "same-back-end": (one_back_end, CANNOT_TELL, "--plan"),
    "stateless-elsewhere":
        (lambda p: p.backends["source"].session["migration"].update(mode="stateless"), REFUSED,
         "the same socket"),
    "session-unknown": (has_several, CANNOT_TELL, "several are connected"),
    "migration-none":
        (lambda p: p.backends["source"].session.update(migration={"mode": "none"}), REFUSED,
         "at the source"),
    "device-state":
        (lambda p: p.backends["source"].session.update(device_state="failed"), REFUSED, "it failed"),
    "stream-unreadable": (lambda p: is_foreign(p, "destination"), REFUSED, "another make"),
    "cannot-compare": (lambda p: is_foreign(p, "source"), CANNOT_TELL, "at the source"),
    "cannot-tell": (no_instance, CANNOT_TELL, "cannot be compared"),
    "cannot-travel": (says_no, REFUSED, "inode /a\x1b: it is out of the share"),
    "over-limit": (lambda p: has_limits(p, inode_limit=10), REFUSED,
                   "11 inodes at the source, 10 are allowed at the destination (--inode-limit)"),
}
# Where one thing is missing, more cannot be known.
WITH_IT = {"stream-unreadable": {"cannot-compare"}, "session-unknown": {"cannot-tell"},
           "same-back-end": set()}
# The reasons of model documents, of which godwit-check(1) has the codes.
DOCUMENTS = {
    "model-unknown": lambda b: b.info["models"].update({"example.org/other": b.info["models"].popitem()[1]}),
    "param-unknown": lambda b: b.info["models"]["example.org/fs"]["params"].pop("queues"),
    "value-not-allowed":
        lambda b: b.info["models"]["example.org/fs"]["params"]["queues"].update(max=1),
    "param-required": lambda b: needs_more(b.info["models"]["example.org/fs"]),
    "param-differs": lambda b: b.info["instances"][0].update(params={"queues": 4}, unset=["xattr"]),
    "state-format-unreadable":
        lambda b: b.info["models"]["example.org/fs"]["state"].update(read=[2]),
    "no-capacity": lambda b: b.info["models"]["example.org/fs"].update(available_instances=0),
}
BINDING = {"source-state", "destination-not-waiting", "migration-running", "migration-blocked",
           "no-return-path", "no-uri", "device-missing", "migration-none"}


class Gates(unittest.TestCase):
    def pair(self):
        pair = Pair(GODWIT)
        self.addCleanup(pair.close)
        return pair

    def test_all_are_here(self):
        with open(TABLE, encoding="utf-8") as file:
            codes = re.findall(r'^\t\{"([a-z-]+)",', file.read(), re.M)
        self.assertGreater(len(codes), 20)
        self.assertEqual(sorted(codes), sorted(CASES))
        with open(PAGE, encoding="utf-8") as file:
            told = re.findall(r"^\| `([a-z-]+)` \| (refused|cannot tell) \| (yes|no) \|", file.read(),
                              re.M)
        self.assertEqual([code for code, _, _ in told], codes)
        for code, verdict, overridable in told:
            self.assertEqual(verdict.replace(" ", "-"), CASES[code][1], code)
            self.assertEqual(overridable == "no", code in BINDING, code)

    def closed(self, pair, code, verdict, part, *arguments):
        report = pair.report(*arguments)
        expected = 1 if verdict == REFUSED else 3
        self.assertEqual(report["exit"], expected, report)
        self.assertEqual({one["code"] for one in report["findings"]},
                         {code} | WITH_IT.get(code, set()), report["findings"])
        found = [one for one in report["findings"] if one["code"] == code]
        self.assertIn(verdict, {one["verdict"] for one in found})
        self.assertTrue(any(part in one["text"] for one in found), found)
        for name in ("migrate", "migrate-set-capabilities"):
            self.assertEqual(pair.source.asked(name), [])
        self.assertEqual(pair.destination.asked("migrate-incoming"), [])
        return report

    def test_each(self):
        for code, (close, verdict, part) in CASES.items():
            if close is None:
                continue
            with self.subTest(gate=code):
                pair = self.pair()
                close(pair)
                self.closed(pair, code, verdict, part)

    def test_text(self):
        pair = self.pair()
        CASES["queues-differ"][0](pair)
        says_no(pair)
        ran = pair.ask()
        self.assertEqual(ran.returncode, 1)
        self.assertTrue(ran.stdout.startswith("refused; nothing was begun\n  queues-differ share: "),
                        ran.stdout)
        # What takes its time is not asked when it is of no use any more.
        self.assertEqual(pair.backends["source"].asked("preflight"), [])
        fs(pair)["properties"]["num-request-queues"] = 2
        self.assertIn("  cannot-travel share: something of it would not survive: inode /a?: ",
                      pair.ask().stdout)

    def test_limits(self):
        """Just so many go; 0 is no limit, and so is what an older build does not tell."""
        for limits in ({"inode_limit": 11}, {"inode_limit": 0, "inode_bytes_limit": 0}, {},
                       {"inode_limit": "11"}, {"inode_bytes_limit": 2 << 20}):
            pair = self.pair()
            has_limits(pair, **limits)
            self.assertEqual(pair.report("--dry-run")["findings"], [], limits)
        pair = self.pair()
        has_limits(pair, inode_bytes_limit=1 << 20)
        self.closed(pair, "over-limit", REFUSED, "2097152 bytes of inodes at the source, 1048576 are")

    def test_virtio(self):
        """Of two QEMUs one may have a name for a feature and the other none: that is no answer. What
        the guest does not use, or a QEMU does not tell, does not matter here."""
        packed = ["VIRTIO_F_RING_PACKED: layout"]
        for used, offered, bits, passes in (
                (packed, packed, (0, 0), True), ([], [], (0, 0), True), ([], packed, (0, 8), True),
                (packed, ["VIRTIO_F_RING_PACKED"], (3, 3), True), ([], [], (1, 3), True),
                (packed, [], (0, 8), False), ([], packed, (4, 3), False)):
            pair = self.pair()
            negotiated(pair, used, offered, *bits)
            if passes:
                self.assertEqual(pair.report("--dry-run")["findings"], [], (used, offered, bits))
            else:
                self.closed(pair, "virtio-differs", CANNOT_TELL, "" if used else "bits 0x4")
        pair = self.pair()
        negotiated(pair, packed, [])
        fs(pair, "destination")["virtio"] = {}
        self.assertEqual(pair.report("--dry-run")["findings"], [])

    def test_features_unknown(self):
        """Another make's back-end that the guest does not use yet."""
        pair = self.pair()
        is_foreign(pair, "source")
        del fs(pair)["vhost"]
        report = pair.report()
        self.assertEqual(report["exit"], 3)
        self.assertEqual({one["code"] for one in report["findings"]},
                         {"features-unknown", "cannot-compare"})

    def test_features_by_bits(self):
        """A QEMU that has no names for them."""
        pair = self.pair()
        fs(pair)["vhost"] = {"features": {"dev-features": [], "unknown-dev-features": 1 << 26},
                             "protocol-features": {"protocols": [],
                                                   "unknown-protocols": 1 << 19 | 1 << 1}}
        self.assertEqual(pair.report("--dry-run")["exit"], 0)
        fs(pair)["vhost"]["protocol-features"]["unknown-protocols"] = 1 << 1
        self.closed(pair, "no-device-state", REFUSED, "", "--dry-run")

    def test_ours_needs_no_qemu_for_its_features(self):
        pair = self.pair()
        del fs(pair)["vhost"]
        self.assertEqual(pair.report("--dry-run")["exit"], 0)

    def test_nobody_is_connected(self):
        """A back-end of which that can be said is not the one that the QEMU has."""
        for side, more in (("source", {"cannot-tell"}), ("destination", set())):
            with self.subTest(side=side):
                pair = self.pair()
                pair.backends[side].session["connected"] = False
                report = pair.report("--dry-run")
                self.assertEqual(report["exit"], 3)
                self.assertEqual({one["code"] for one in report["findings"]},
                                 {"session-unknown"} | more)

    def test_none_of_several_is_used(self):
        """In stateless mode both sides are at one process, and before the guest uses its device there
        are two that are alike."""
        pair = self.pair()
        one_back_end(pair)
        session = pair.backends["source"].session
        session.update(device_state="fresh", migration={"mode": "stateless"})
        pair.backends["source"].info["instances"] *= 2
        pair.backends["source"].answers["query-status"] = lambda _: {"sessions": [session] * 2}
        report = pair.report("--dry-run")
        self.assertEqual((report["exit"], report["findings"]), (0, []))

    def test_no_uri(self):
        pair = self.pair()
        port = pair.destination.listen_tcp()
        command = [GODWIT, "migrate", "--from", pair.source.path, "--to", f"tcp:127.0.0.1:{port}"]
        pair.command = lambda *more: [*command, *more]
        self.closed(pair, "no-uri", REFUSED, "--uri")
        self.assertEqual(pair.report("--dry-run", "--uri", "tcp:b:1")["exit"], 0)

    def test_one_way(self):
        for uri in ("file:/tmp/x", "exec:cat>/tmp/x"):
            self.closed(self.pair(), "no-return-path", REFUSED, "one way", "--uri", uri)

    def test_both_directions(self):
        """Gates that look at both sides see both."""
        for code, close, part in (
                ("no-return-path", lambda p: p.destination.capabilities.pop("return-path"),
                 "destination's QEMU"),
                ("migration-running", lambda p: p.destination.migrate.update(status="active"),
                 "to the destination"),
                ("background-snapshot",
                 lambda p: both(p, "background-snapshot", True), "at the source"),
                ("capabilities-differ",
                 lambda p: p.destination.capabilities.update({"postcopy-ram": True}),
                 "on at the destination"),
                ("memory-not-shared", lambda p: p.source.memory[0].update(share=False),
                 "of the source"),
                ("vfio-user-device",
                 lambda p: add_device(p, "destination", id="n", type="vfio-user-pci"),
                 "of the destination"),
                ("device-missing",
                 lambda p: add_device(p, "destination", id="more", type="vhost-user-fs-pci"),
                 "the destination (vhost-user-fs"),
                ("device-differs", lambda p: fs(p)["properties"].update(addr=3 << 3 | 1),
                 "addr is 03.1 at the source, 02.0 at the destination"),
                ("queues-differ", lambda p: fs(p)["properties"].update({"queue-size": 64}),
                 "queue-size is 64")):
            with self.subTest(gate=code):
                pair = self.pair()
                close(pair)
                if code == "device-missing":
                    pair.destination.devices[-1]["socket"] = pair.dir + "/none"
                self.closed(pair, code, REFUSED, part)

    def test_without_devices(self):
        """Nothing of another process: memory need not be shared."""
        pair = self.pair()
        for qemu in (pair.source, pair.destination):
            qemu.devices.clear()
            qemu.memory[0]["share"] = False
        self.assertEqual(pair.report()["outcome"], "moved")

    def test_documents(self):
        for code, change in DOCUMENTS.items():
            with self.subTest(code=code):
                pair = self.pair()
                change(pair.backends["destination"])
                report = pair.report()
                self.assertEqual(report["exit"], 1, report)
                self.assertEqual({one["code"] for one in report["findings"]}, {code})
        pair = self.pair()
        pair.backends["source"].info["instances"][0]["requires"] = ["access:write"]
        pair.backends["destination"].info["provides"] = ["cap:x"]
        self.closed(pair, "prerequisite-missing", REFUSED, "access:write")
        pair.backends["destination"].info["provides"] = ["access:write"]
        self.assertEqual(pair.report()["outcome"], "moved")
        pair = self.pair()
        pair.backends["destination"].info["format"] = 2
        self.assertEqual(pair.report()["exit"], 3)

    def test_destination_has_a_word(self):
        """Which values go together it alone knows; it is asked with all that the source is."""
        pair = self.pair()
        asked = []
        def refuse(arguments):
            asked.append(arguments["document"])
            return {"compatible": False, "reasons": [{"code": "combination-refused",
                                                      "text": "not both\x1b"}]}
        pair.backends["destination"].answers["check-migration"] = refuse
        self.closed(pair, "combination-refused", REFUSED, "not both?")
        self.assertEqual(asked[0]["params"], {"queues": 2})
        self.assertEqual(pair.backends["source"].asked("check-migration"), [])

    def test_destination_has_no_word(self):
        pair = self.pair()
        def unknown(_):
            raise Refusal("not found", "CommandNotFound")
        def busy(_):
            raise Refusal("not now")
        pair.backends["destination"].answers["check-migration"] = unknown
        report = pair.report("--dry-run")
        self.assertEqual(report["exit"], 0)
        self.assertIn("share: its back-end cannot say before", report["notes"][0])
        pair.backends["destination"].answers["check-migration"] = busy
        self.closed(pair, "cannot-tell", CANNOT_TELL, "not now")

    def test_undecided_source(self):
        """The guest has not used it yet: it is what its program makes of it then, or saves."""
        pair = self.pair()
        source, destination = (pair.backends[side] for side in ("source", "destination"))
        source.info["instances"][0].update(params={}, unset=["xattr", "queues"])
        source.info["models"]["example.org/fs"]["profiles"]["1"] = {"queues": 4}
        self.assertEqual(pair.report("--dry-run")["exit"], 0)
        self.assertEqual(destination.asked("check-migration")[0]["document"]["params"],
                         {"queues": 4})
        destination.info["instances"][0].update(params={"queues": 2}, unset=["xattr"])
        self.closed(pair, "param-differs", REFUSED, "queues")
        for wrong in ("queues", [7], {}):
            source.info["instances"][0]["unset"] = wrong
            self.closed(pair, "cannot-tell", CANNOT_TELL, "unset")
        source.info["instances"][0]["unset"] = ["xattr", "queues"]
        source.info["models"]["example.org/fs"].pop("default")
        self.closed(pair, "cannot-tell", CANNOT_TELL, "not decided these parameters yet: xattr, queues")

    def test_checkers(self):
        """The operator's own programs get what both sides said of the device."""
        pair = self.pair()
        checkers = os.path.join(pair.dir, "checkers.d")
        os.mkdir(checkers, mode=0o755)
        checker = os.path.join(checkers, "mine")
        with open(checker, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\ncat >{pair.dir}/documents\necho not on a Monday\nexit 1\n")
        os.chmod(checker, 0o755)
        self.closed(pair, "checker-refused", REFUSED, "not on a Monday", "--checkers", checkers)
        with open(f"{pair.dir}/documents", encoding="utf-8") as file:
            documents = json.load(file)
        self.assertEqual(documents["from"]["params"], {"queues": 2})
        self.assertEqual(documents["to"]["implementation"]["name"], "fsd")

    def test_all_at_once(self):
        """Whoever has to mend several things is told of all of them; refusals win."""
        pair = self.pair()
        for code in ("memory-not-shared", "queues-differ", "no-log-shmfd", "cannot-tell"):
            CASES[code][0](pair)
        report = pair.report()
        self.assertEqual(report["exit"], 1)
        self.assertEqual([one["code"] for one in report["findings"]],
                         ["memory-not-shared", "queues-differ", "no-log-shmfd", "cannot-tell"])

    def test_override(self):
        """It goes on, and says loudly in spite of what; where nothing could be moved it does not."""
        for code, (close, _, _) in CASES.items():
            if close is None:
                continue
            with self.subTest(gate=code):
                pair = self.pair()
                close(pair)
                report = pair.report("--dry-run", "--override", "I know")
                self.assertEqual(report["override"], "I know")
                self.assertEqual(report["exit"], 1 if code in BINDING else 0, report)
                self.assertEqual({one["overridden"] for one in report["findings"]},
                                 {code not in BINDING})
        pair = self.pair()
        CASES["cannot-tell"][0](pair)
        ran = pair.ask("--override", "I know")
        self.assertEqual(ran.returncode, 0)
        self.assertIn("OVERRIDDEN (I know): cannot-tell share: ", ran.stderr)
        self.assertEqual(pair.ask("--override", "").returncode, 2)
        self.assertIn("  OVERRIDDEN cannot-tell share: ", ran.stdout)

    def test_override_is_logged(self):
        """In the system's log, which is what listens at /dev/log of that mount namespace."""
        if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
            self.skipTest("needs root, for a mount namespace with a log of its own")
        pair = self.pair()
        CASES["queues-differ"][0](pair)
        CASES["cannot-tell"][0](pair)
        at, command = os.path.join(pair.dir, "log"), pair.command
        bound = (f"if [ -e /dev/log ]; then mount --bind {at} $(readlink -f /dev/log); else "
                 f"mount -t tmpfs tmpfs /dev && ln -s {at} /dev/log; fi; exec \"$@\"")
        pair.command = lambda *more: ["unshare", "--mount", "sh", "-ec", bound, "sh", *command(*more)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(at)
            log.settimeout(30)
            self.assertEqual(pair.report("--dry-run", "--override", "I know")["exit"], 0)
            said = log.recv(4096).decode() + log.recv(4096).decode()
        for part in ("OVERRIDDEN (I know): queues-differ share: ",
                     "OVERRIDDEN (I know): cannot-tell share: "):
            self.assertIn(part, said)

    def test_foreign_that_reads_virtiofsd(self):
        """Saved for virtiofsd: then another make is no obstacle, only not to be compared."""
        pair = self.pair()
        is_foreign(pair, "destination")
        pair.backends["source"].session["details"]["state_format"] = "virtiofsd-v2"
        self.closed(pair, "cannot-compare", CANNOT_TELL, "at the destination")

    def test_foreign_card(self):
        """A card's netdev is only in what the monitor says to people."""
        for network, exit_code in ((r" \ n0: index=0,type=vhost-user,vhost-user0 to c0", 3),
                                   (r" \ n0: index=0,type=user,net=10.0.2.0", 0)):
            with self.subTest(network=network):
                pair = self.pair()
                for qemu in (pair.source, pair.destination):
                    qemu.devices.append({"id": "nic", "type": "virtio-net-pci",
                                         "properties": {"netdev": "n0"}})
                    qemu.network = "nic: index=0,type=nic,model=virtio-net-pci\r\n" + network + "\r\n"
                    qemu.chardevs.append({"label": "c0", "filename": "unix:/nowhere/passt.sock"})
                report = pair.report("--dry-run")
                self.assertEqual(report["exit"], exit_code, report)
                self.assertEqual({one.get("device") for one in report["findings"]},
                                 {"nic"} if exit_code else set())

    def test_preflight_is_not_known(self):
        pair = self.pair()
        def unknown(_):
            raise Refusal("not found", "CommandNotFound")
        pair.backends["source"].answers["preflight"] = unknown
        report = pair.report()
        self.assertEqual(report["outcome"], "moved")
        self.assertIn("share: its back-end cannot say before", report["notes"][0])

    def test_preflight_refused(self):
        pair = self.pair()
        def busy(_):
            raise Refusal("another one is under way")
        pair.backends["source"].answers["preflight"] = busy
        self.closed(pair, "cannot-travel", CANNOT_TELL, "another one")

    def test_many_obstacles(self):
        """More than a report holds are counted, and still refused."""
        pair = self.pair()
        says_no(pair)
        preflight = pair.backends["source"].preflight
        preflight["cannot_travel"] *= 1000
        preflight["cannot_travel_left_out"] = 7
        ran = pair.ask()
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(ran.stdout, r"\n  and \d{3} more\n")


class Plan(unittest.TestCase):
    def setUp(self):
        self.pair = Pair(GODWIT)
        self.addCleanup(self.pair.close)

    def ask(self, plan):
        path = os.path.join(self.pair.dir, "plan")
        with open(path, "w", encoding="utf-8") as file:
            file.write(plan if isinstance(plan, str) else json.dumps(plan))
        return self.pair.ask("--dry-run", "--plan", path)

    def test_elsewhere(self):
        """The control sockets are where the plan says."""
        for side in ("source", "destination"):
            backend = self.pair.backends[side]
            os.rename(backend.path, backend.path + "2")
            backend.path += "2"
        self.assertNotEqual(self.pair.ask("--dry-run").returncode, 0)
        paths = {"from": self.pair.backends["source"].path, "to": self.pair.backends["destination"].path}
        ran = self.ask({"devices": {"share": paths}})
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)

    def test_null(self):
        ran = self.ask({"devices": {"share": {"from": None}}})
        self.assertEqual(ran.returncode, 3)
        self.assertIn("cannot-compare", ran.stdout)

    def test_wrong(self):
        for plan in ("", "[]", "{}", '{"devices": 1}', '{"devices": {"share": 1}}',
                     '{"devices": {"share": {"form": "x"}}}', '{"devices": {"share": {"to": 1}}}',
                     '{"devices": {"shore": {}}}', '{"devices": {}, "devices": {}}'):
            with self.subTest(plan=plan):
                ran = self.ask(plan)
                self.assertEqual(ran.returncode, 2, ran.stdout + ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
        for long in ('{"devices": {}, "x": "' + "x" * 2_000_000 + '"}',
                     '{"devices": {}, "x": ' + "[" * 1000 + "]" * 1000 + "}"):
            self.assertEqual(self.ask(long).returncode, 2)
        self.assertEqual(self.pair.ask("--plan", "/nowhere").returncode, 2)


unittest.main()
