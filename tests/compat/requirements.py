#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What was asked for (docs/compatibility.md, R22 to R33), each in a few lines."""
import json
import os
import pathlib
import re

from common import FS, GODWIT, GODWIT_FS, LATER, NIC, ROOT, Case, instance, main, nic, run


class Requirements(Case):
    def setUp(self):
        super().setUp()
        self.share = self.directory / "share"
        self.share.mkdir()

    def printed(self):
        return json.loads(run(GODWIT_FS, "--print-migration-info").stdout)

    def save(self, *arguments, program=GODWIT_FS):
        state = str(self.directory / f"state{self.count}")
        with self.daemon(self.share, "--reconnect", *arguments, program=program) as control:
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        return state

    def load(self, control, state):
        return run(GODWIT, "load", "--socket", control.removesuffix(".control"), state)

    def told(self, control):
        return json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"][0]

    def test_r22_models(self):
        """Several models in one implementation, several implementations of one model."""
        both = nic("build-1")
        both["models"]["vendor-b.example/my-nic"] = {"params": {"speed": {
            "type": "int", "min": 1, "max": 2}}}
        self.goes(nic("instance-1"), both)
        self.goes(nic("instance-1"), dict(nic("build-1"), implementation={"name": "other"}))
        self.stays(instance({}, "vendor-b.example/my-nic"), both, "param-required:speed")
        self.stays(instance({}, "vendor-b.example/my-nic"), nic("build-1"),
                   "model-unknown:vendor-b.example/my-nic")
        for name in ("my-nic", "/my-nic", "a b/c", "x" * 200 + "/y"):
            self.unknown(instance({}, name), both)

    def test_r23_parameters(self):
        """Typed and bounded; what a newer build invents changes nothing for who has not got it."""
        newer = nic("build-3")
        newer["models"][NIC]["params"]["invented"] = {"type": "int", "off": 7, "min": 1, "max": 9}
        for name in ("instance-1", "instance-rss", "instance-filter-16"):
            self.goes(nic(name), nic("build-3"))
            before = self.report["fingerprint"]
            self.goes(nic(name), newer)
            self.assertEqual(self.report["fingerprint"], before)
        self.stays(instance({"invented": 0}), newer, "value-not-allowed:invented")
        self.stays(instance({"invented": "7"}), newer, "value-not-allowed:invented")

    def test_r24_profiles(self):
        """Names may differ, and mean something else elsewhere."""
        renamed = nic("build-3")
        model = renamed["models"][NIC]
        model["profiles"] = {"gold": model["profiles"]["3"], "3": {}}
        model["default"] = "gold"
        self.goes(nic("build-3"), renamed, "--profile", "3")
        there = self.report["fingerprint"]
        self.goes(renamed, nic("build-3"), "--profile", "gold")
        self.assertEqual(self.report["fingerprint"], there)

    def test_r25_fixed_for_life(self):
        """What arrives is what left, whatever the destination's default; and it stays that."""
        state = self.save("--migration-profile", "1")
        with self.daemon(self.share, "--reconnect") as control:
            self.assertNotEqual(self.told(control)["unset"], [])
            self.assertEqual(self.load(control, state).returncode, 0)
            told = self.told(control)
            self.assertEqual((told["unset"], told["profile"]), ([], "1"))
            self.stays(instance({"state": 2}, FS), control, "param-differs:num-request-queues",
                       "param-differs:state")

    def test_r26_kernel_and_user_space(self):
        """The same question to sysfs, to a program, to a socket and to a file, by one command."""
        device = self.directory / "sys/bus/mdev/devices/uuid/migration"
        (device / "params").mkdir(parents=True)
        (device / "model").write_text(f"{NIC}\n", encoding="utf-8")
        (device / "params/rss").write_text("on\n", encoding="utf-8")
        self.goes("uuid", nic("build-2"), "--sysfs-root", str(self.directory / "sys"))
        state = self.save()
        with self.daemon(self.share, "--m-num-request-queues=4") as control:
            for what in (GODWIT_FS, control, state):
                ran = run(GODWIT, "info", what)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.assertIn(FS, ran.stdout)

    def test_r27_long_before(self):
        """Without a device, without rights, with whatever else is on the command line."""
        options = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
        home = self.directory / "nobody"
        home.mkdir(mode=0o755)
        os.chmod(self.directory, 0o755)
        program = home / "godwit-fs"
        program.write_bytes(pathlib.Path(GODWIT_FS).read_bytes())
        program.chmod(0o755)
        ran = run(str(program), "--print-migration-info", "--socket-path", str(home / "s"),
                  cwd="/", **options)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertEqual(json.loads(ran.stdout)["models"], self.printed()["models"])
        self.assertEqual(os.listdir(home), ["godwit-fs"])

    def test_r28_check_find_baseline(self):
        self.goes(nic("instance-rss"), nic("build-2"))
        self.checker("#!/bin/sh\necho 'this rack is full of cats'\nexit 1\n")
        self.stays(nic("instance-rss"), nic("build-2"), "checker-refused:checker")
        hosts = self.directory / "hosts"
        hosts.mkdir()
        full = nic("build-4")
        full["models"][NIC]["available_instances"] = 0
        for name, document in (("a", nic("build-1")), ("b", nic("build-4")), ("c", full)):
            (hosts / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
        ran = run(GODWIT, "baseline", "--json", *(str(hosts / f"{n}.json") for n in "bc"))
        self.assertEqual(json.loads(ran.stdout)["baseline"]["profile"], "3", ran.stderr)
        ran = run(GODWIT, "baseline", "--json", *(str(hosts / f"{n}.json") for n in "abc"))
        self.assertEqual(json.loads(ran.stdout)["baseline"]["profile"], "1", ran.stderr)
        ran = run(GODWIT, "find", "--json", "--from", self.put(nic("instance-rss")), str(hosts))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        report = json.loads(ran.stdout)
        self.assertEqual([host["host"] for host in report["found"]], ["b"])
        self.assertIn("no-capacity", json.dumps(report["rejected"]))

    def test_r29_four_steps(self):
        """Model, then parameters, then the state; what failed at one step never takes the next. That
        one side runs then, and one only, takes a VMM: tests/cli/migrate-run.py."""
        state = self.save("--m-num-request-queues=2")
        destination = f"{GODWIT_FS} --shared-dir {self.share}"
        self.stays(instance({"warp": 9}, "a.b/c"), destination, "model-unknown:a.b/c")
        self.stays(instance({"warp": 9}, FS), destination, "param-unknown:warp")
        self.goes(state, destination)
        with self.daemon(self.share, "--reconnect") as control:
            self.assertEqual(self.load(control, state).returncode, 0)
            status = json.loads(run(GODWIT, "status", "--json", control).stdout)["status"]
            session, = status["sessions"]
            self.assertEqual((session["last_transfer"]["direction"],
                              session["last_transfer"]["result"]), ("load", "ok"))
            # It holds the device, and does not run before its front-end starts it.
            self.assertNotEqual(session["device_state"], "running")

    def test_r30_early_and_clear(self):
        """A load that is refused leaves a destination that is as fresh as before."""
        good, other = self.save("--m-num-request-queues=2"), self.save("--m-num-request-queues=5")
        damaged = self.directory / "damaged"
        damaged.write_bytes(pathlib.Path(good).read_bytes()[:-1] + b"?")
        with self.daemon(self.share, "--reconnect", "--m-num-request-queues=2") as control:
            before = self.told(control)
            for state in (other, str(damaged)):
                ran = self.load(control, state)
                self.assertEqual(ran.returncode, 1)
                self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
                self.assertEqual(self.told(control), before)
            self.assertEqual(self.load(control, good).returncode, 0)
        self.assertIn("num-request-queues: the source has 5, this instance 2",
                      self.log.read_text("utf-8"))

    def test_r31_ways_out(self):
        """An override that everybody hears of."""
        code, report = self.check(nic("instance-rss"), nic("build-1"), "--override", "I know")
        self.assertEqual((code, report["verdict"], report["override"]),
                         (0, "incompatible", "I know"))
        self.assertIn("OVERRIDDEN", self.stderr)

    def later(self, record):
        """A state that a later build wrote, with a record that is not known here."""
        self.assertIsNone(os.environ.get("LATER_RECORD"))
        os.environ["LATER_RECORD"] = record
        try:
            return self.save("--migration-profile", "3", program=LATER)
        finally:
            del os.environ["LATER_RECORD"]

    def test_r31_what_may_be_dropped(self):
        """Of two records that this build does not know, the one that may be dropped is."""
        hint, thing = self.later("optional"), self.later("mandatory")
        for state, name in (hint, "gw_later_hint_v1"), (thing, "gw_later_thing_v1"):
            self.assertIn(name, run(GODWIT, "state", "show", state).stdout)
        with self.daemon(self.share, "--reconnect") as control:
            self.assertEqual(self.load(control, hint).returncode, 0, self.log.read_text("utf-8"))
            self.assertIn("gw_later_hint_v1) are skipped", self.log.read_text("utf-8"))
            self.assertEqual(self.told(control)["params"]["state"], 2)
        with self.daemon(self.share, "--reconnect") as control:
            self.assertEqual(self.load(control, thing).returncode, 1)
            self.assertRegex(self.log.read_text("utf-8"), r"gw_later_thing_v1.*mandatory")
            # Nothing of it was taken over, and another state is.
            self.assertNotEqual(self.told(control)["unset"], [])
            self.assertEqual(self.load(control, hint).returncode, 0)

    def test_r32_registry(self):
        """Each model that a program here has has its page, with parameters and records, and pages
        have no other model."""
        daemons = [path for path in pathlib.Path(GODWIT_FS).parent.glob("godwit-*")
                   if path.is_file() and os.access(path, os.X_OK)]
        self.assertGreaterEqual({path.name for path in daemons},
                                {"godwit-fs", "godwit-null", "godwit-relay"})
        models = {}
        for daemon in daemons:
            models.update(json.loads(run(daemon, "--print-migration-info").stdout)["models"])
        pages = pathlib.Path(ROOT, "docs/models")
        for model, described in models.items():
            text = (pages / (model.split("/")[-1] + ".md")).read_text("utf-8")
            self.assertIn(f"Model `{model}`.", text)
            for name in described["params"]:
                self.assertIn(f"| `{name}` |", text)
            self.assertRegex(text, r"(?s)## Records of the state\n.*\n\| `gw_\w+`")
        told = [name for page in pages.glob("*.md")
                for name in re.findall(r"^Model `([^`]+)`\.$", page.read_text("utf-8"), re.M)]
        self.assertEqual(sorted(told), sorted(models))

    def test_r33_in_terms_of_the_problem(self):
        """Inodes, names, handles, locks; nothing that only this host's kernel, or this process,
        could make sense of."""
        page = pathlib.Path(ROOT, "docs/models/virtio-fs.md").read_text("utf-8")
        records = page[page.index("## Records of the state"):]
        fields = re.findall(r"(?:\| |, )\**(\w+)\** (?:u8|u16|u32|u64|i64|bool|bytes|fixed)\b",
                            records)
        self.assertGreater(len(fields), 50)
        self.assertFalse({"fd", "dev", "st_dev", "pid", "pointer", "address", "path"} & set(fields))
        state = pathlib.Path(self.save()).read_bytes()
        self.assertNotIn(str(self.share).encode(), state)


main()
