#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What was said against schemes of this kind (docs/compatibility.md, O1 to O10), and does not hold."""
import json

from common import FS, GODWIT, GODWIT_FS, NIC, Case, instance, main, nic, run


class Objections(Case):
    def setUp(self):
        super().setUp()
        self.share = self.directory / "share"
        self.share.mkdir()

    def fingerprint(self, what):
        ran = run(GODWIT, "info", "--json", self.put(what))
        shown = json.loads(ran.stdout)
        return (shown["instances"][0] if "models" in shown else shown)["fingerprint"]

    def test_o1_one_string_is_enough(self):
        """A card whose model has a thousand words to say is told by one, and names what is not off."""
        big = nic("build-3")
        for i in range(60):
            big["models"][NIC]["params"][f"p{i}"] = {"type": "int", "off": 0, "min": 0, "max": 9}
        self.goes(nic("instance-rss"), big)
        approved = self.report["fingerprint"]
        self.assertEqual(approved, self.fingerprint(nic("instance-rss")))
        # Said aloud that all else is off, it is the same device and the same string.
        said = instance(dict({"rss": True}, **{f"p{i}": 0 for i in range(60)}))
        self.goes(said, big)
        self.assertEqual(self.report["fingerprint"], approved)
        with self.daemon(self.share, "--migration-profile", "1") as control:
            told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
            self.assertEqual(told["params"], {"num-request-queues": 4})

    def test_o2_no_ranges_to_parse(self):
        params = json.loads(run(GODWIT_FS, "--print-migration-info").stdout)["models"][FS]["params"]
        members = {"bool": {"off"}, "int": {"off", "min", "max"}, "enum": {"off", "values"}}
        for name, param in params.items():
            with self.subTest(param=name):
                self.assertEqual(set(param) - {"type", "description"}, members[param["type"]])
                if param["type"] == "int":
                    self.assertTrue(all(isinstance(param[m], int) for m in ("min", "max")))
        text = nic("build-2")
        text["models"][NIC]["params"]["rss"] = {"type": "str"}
        self.assertIn("rss.type' is not bool, int or enum", self.unknown(nic("instance-1"), text))
        text["models"][NIC]["params"]["rss"] = {"type": "int", "min": "1-5", "max": 9}
        self.assertIn("rss.min' is not an integer", self.unknown(nic("instance-1"), text))

    def test_o3_nothing_is_made(self):
        self.goes(nic("instance-rss"), self.backend(nic("build-2")))
        self.assertFalse((self.directory / "started").exists())
        self.goes(GODWIT_FS, f"{GODWIT_FS} --shared-dir /nonexistent --socket-path "
                             f"{self.directory}/s", "--profile", "1")
        self.assertFalse((self.directory / "s").exists())

    def test_o4_combinations(self):
        """Each is accepted by the document; the program knows better, by the code of start-up."""
        params = {"lock-wait": True}
        printed = json.loads(run(GODWIT_FS, "--print-migration-info").stdout)
        self.goes(instance(params, FS), printed)
        codes = self.codes(instance(params, FS), GODWIT_FS)
        self.assertEqual([code.split(":")[0] for code in codes], ["combination-refused"])
        ran = run(GODWIT_FS, "--shared-dir", str(self.share), "--socket-path",
                  str(self.directory / "s"), "--migration-profile", "1", "--m-lock-wait=on")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("combination-refused", ran.stderr)

    def types(self, types):
        """An mdev parent with a type each: the size of its filter, and its profile's."""
        for name, (most, size) in types.items():
            at = self.directory / "sys/class/mdev_bus/dev/mdev_supported_types" / name
            for path, value in (("available_instances", 1), ("migration/model", NIC),
                                ("migration/default", "p"),
                                ("migration/params/rx-filter-size/type", "int"),
                                ("migration/params/rx-filter-size/off", 0),
                                ("migration/params/rx-filter-size/min", 1),
                                ("migration/params/rx-filter-size/max", most),
                                ("migration/profiles/p/rx-filter-size", size)):
                (at / path).parent.mkdir(parents=True, exist_ok=True)
                (at / path).write_text(f"{value}\n", encoding="utf-8")
        return "dev", "--sysfs-root", str(self.directory / "sys")

    def test_o5_which_of_two_right_answers(self):
        """A type with just that, or one that can be tuned to it: the first, and always the same."""
        where = self.types({"gfx-var": (8, 8), "gfx-4": (4, 4), "gfx-var2": (8, 8)})
        for size, chosen in ((4, "gfx-4"), (8, "gfx-var"), (3, "gfx-4"), (7, "gfx-var")):
            self.goes(instance({"rx-filter-size": size}), *where)
            self.assertEqual(self.report["chosen"], f"dev/{chosen}")

    def test_o6_after_the_check(self):
        """What was approved is what arrives, or it does not arrive."""
        state = str(self.directory / "state")
        with self.daemon(self.share, "--reconnect", "--m-num-request-queues=2") as control:
            self.goes_now(control)
            approved = self.report["fingerprint"]
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(self.fingerprint(state), approved)
        with self.daemon(self.share, "--reconnect", "--m-num-request-queues=3") as control:
            ran = run(GODWIT, "load", "--socket", control.removesuffix(".control"), state)
            self.assertEqual(ran.returncode, 1)
            self.assertIn("param-differs", self.log.read_text("utf-8"))

    def goes_now(self, control):
        """What is still open of it takes the default when it first runs, or is saved."""
        told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
        model = json.loads(run(GODWIT_FS, "--print-migration-info").stdout)["models"][FS]
        profile = dict(model["profiles"][model["default"]], **told["params"])
        self.goes(dict(told, params=profile, unset=[]), f"{GODWIT_FS} --shared-dir {self.share}")

    def test_o7_sysfs_and_others(self):
        where = self.types({"gfx-4": (4, 4)})
        for path in (self.directory / "sys").rglob("*"):
            if path.is_file():
                self.assertEqual(path.read_text("utf-8").count("\n"), 1)
        shown = json.loads(run(GODWIT, "info", "--json", "--sysfs-root", where[2], "dev").stdout)
        self.goes(instance({"rx-filter-size": 4}), shown)
        self.goes(instance({"rx-filter-size": 4}), *where)

    def test_o8_other_options(self):
        one = json.loads(run(GODWIT_FS, "--print-migration-info").stdout)
        other = json.loads(run(GODWIT_FS, "--print-migration-info", "--shared-dir",
                               str(self.share), "--cache", "never", "--xattr").stdout)
        self.assertEqual(one["models"], other["models"])
        self.assertNotEqual(one["provides"], other["provides"])
        self.assertEqual(set(one["implementation"]), {"name", "build", "boot"})

    def test_o9_one_tool_for_every_vendor(self):
        """Vendors' documents, and no program of theirs; to management it is one string."""
        for vendor in ("vendor-a.example/my-nic", "vendor-b.example/gpu", "x.y/z"):
            document = {"format": 1, "models": {vendor: {"params": {
                "size": {"type": "int", "off": 0, "min": 1, "max": 4}}}}}
            self.goes(instance({"size": 4}, vendor), document)
            self.assertRegex(self.report["fingerprint"], "^[0-9a-f]{64}$")
            self.stays(instance({"size": 5}, vendor), document, "value-not-allowed:size")

    def test_o10_profiles(self):
        self.goes(nic("build-4"), nic("build-3"), "--profile", "3")
        self.assertEqual(self.codes(nic("build-3"), nic("build-2"), "--profile", "2"),
                         ["param-unknown:rx-filter-size"])
        with self.daemon(self.share, "--migration-profile", "2") as control:
            told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
            self.assertEqual(told["profile"], "2")


main()
