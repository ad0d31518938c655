#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The network card of docs/models/my-nic.md: every case of its table comes out as said."""
import pathlib
import re

from common import NIC, ROOT, Case, instance, main, nic


class MyNic(Case):
    def test_1_rss_off_to_a_build_without(self):
        self.goes(nic("instance-1"), nic("build-1"))

    def test_2_rss_off_to_a_build_with(self):
        """It goes, and stays without: what is approved is the form without rss."""
        self.goes(nic("instance-1"), nic("build-2"))
        before = self.report["fingerprint"]
        self.goes(nic("instance-1"), nic("build-1"))
        self.assertEqual(self.report["fingerprint"], before)

    def test_3_rss_on_to_a_build_without(self):
        self.stays(nic("instance-rss"), nic("build-1"), "param-unknown:rss")

    def test_4_rss_on_to_a_build_with(self):
        self.goes(nic("instance-rss"), nic("build-2"))

    def test_5_version_1_of_a_newer_build(self):
        """Its list of parameters is empty, so that an old build accepts it."""
        self.goes(nic("build-2"), nic("build-1"), "--profile", "1")
        # Said aloud, an old build does not know what it is.
        self.stays(instance({"rss": False}), nic("build-1"), "param-unknown:rss")

    def test_6_filter_16_there_and_back(self):
        self.goes(nic("instance-filter-16"), nic("build-4"))
        there = self.report["fingerprint"]
        self.goes(nic("instance-filter-16"), nic("build-3"))
        self.assertEqual(self.report["fingerprint"], there)

    def test_7_into_an_instance_made_with_16(self):
        made = dict(nic("build-4"), instances=[nic("instance-filter-16")])
        self.stays(instance({"rss": True, "rx-filter-size": 32}), made,
                   "param-differs:rx-filter-size")
        self.goes(nic("instance-filter-16"), made)

    def test_8_48_is_in_no_version(self):
        self.goes(nic("instance-filter-48"), nic("build-3"))
        self.stays(instance({"rx-filter-size": 65}), nic("build-3"),
                   "value-not-allowed:rx-filter-size")
        self.goes(instance({"rx-filter-size": 65}), nic("build-4"))

    def with_layouts(self, build, numbers, **profiles):
        document = nic(build)
        model = document["models"][NIC]
        model["params"]["state"] = {"type": "int", "off": 1, "min": 1, "max": max(numbers)}
        model["state"] = {"read": numbers, "write": numbers}
        model["profiles"].update(profiles)
        return document

    def test_9_a_register_that_was_forgotten(self):
        """Version 2 saves it, version 1 still loads; a device made as version 1 stays that."""
        mended = self.with_layouts("build-2", [1, 2], **{"2": {"rss": True, "state": 2}})
        self.goes(nic("build-1"), mended, "--profile", "1")
        self.goes(mended, nic("build-1"), "--profile", "1")
        self.assertEqual(self.codes(mended, nic("build-2"), "--profile", "2"),
                         ["param-unknown:state"])
        made = dict(mended, instances=[nic("instance-1")])
        self.stays(instance({"state": 2}), made, "param-differs:state")

    def test_10_extra_state_in_a_rare_case(self):
        """Mandatory where it matters: a number that only that rare instance needs."""
        old = self.with_layouts("build-3", [1, 2])
        new = self.with_layouts("build-3", [1, 2, 3])
        self.goes(instance({"state": 2}), old)
        self.stays(instance({"state": 3}), old, "state-format-unreadable:state")
        self.goes(instance({"state": 3}), new)

    def test_11_link_speed(self):
        """Visible to the guest it is a parameter; virtualised it is off, and any port will do."""
        slow = nic("build-3")
        slow["models"][NIC]["params"]["link-speed"]["values"] = ["virtual", "10g"]
        self.stays(instance({"link-speed": "25g"}), slow, "value-not-allowed:link-speed")
        self.goes(instance({"link-speed": "25g"}), nic("build-3"))
        self.goes(instance({}), slow)

    def test_12_a_sound_card_with_two_channels(self):
        """What the guest sees is a parameter, where the sound comes out is none."""
        card = {"format": 1, "models": {"vendor-a.example/sound": {
            "params": {"channels": {"type": "int", "min": 1, "max": 8}},
            "profiles": {"stereo": {"channels": 2}, "7.1": {"channels": 8}}, "default": "7.1"}}}
        self.goes(instance({"channels": 2}, "vendor-a.example/sound"), card)
        made = dict(card, instances=[instance({"channels": 8}, "vendor-a.example/sound")])
        self.stays(instance({"channels": 2}, "vendor-a.example/sound"), made,
                   "param-differs:channels")

    def test_13_a_pool_of_ready_made_devices(self):
        """One that has the source's parameters is found among them; else it is refused."""
        pool = dict(nic("build-3"), instances=[
            instance({"rss": True, "rx-filter-size": 64}), instance({"rss": True})])
        self.goes(instance({"rss": True}), pool)
        self.stays(instance({}), pool, "param-differs:rss")
        # Not made yet in this respect: it can be set first.
        pool["instances"].append(instance({}, unset=["rss", "rx-filter-size"]))
        self.goes(instance({}), pool)

    def test_14_a_stream_changed_without_a_parameter(self):
        """Forbidden: the layouts are what `state` says, and it is part of every comparison."""
        new = self.with_layouts("build-3", [2, 3])
        self.stays(instance({}), new, "state-format-unreadable:state")

    def test_15_fixed_submodels(self):
        """One model with an enum, or one each."""
        gpu = {"format": 1, "models": {
            "vendor-a.example/gfx": {"params": {"memory": {
                "type": "enum", "values": ["2g", "4g"]}}},
            "vendor-a.example/gfx-4g": {"params": {}}}}
        self.goes(instance({"memory": "4g"}, "vendor-a.example/gfx"), gpu)
        self.stays(instance({"memory": "8g"}, "vendor-a.example/gfx"), gpu,
                   "value-not-allowed:memory")
        self.stays(instance({}, "vendor-a.example/gfx"), gpu, "param-required:memory")
        self.goes(instance({}, "vendor-a.example/gfx-4g"), gpu)
        self.stays(instance({}, "vendor-a.example/gfx-8g"), gpu,
                   "model-unknown:vendor-a.example/gfx-8g")

    def test_16_a_combination(self):
        """Documents say yes, the destination's own check says no."""
        document = {"format": 1, "models": {NIC: {"params": {
            "num-queues": {"type": "int", "off": 1, "min": 1, "max": 8},
            "new-feature": {"type": "bool", "off": False}}}}}
        both = instance({"num-queues": 4, "new-feature": True})
        self.goes(both, document)
        answer = ('{"compatible": false, "reasons": [{"code": "combination-refused", '
                  '"text": "num-queues and new-feature"}]}')
        program = self.backend(document, f"echo '{answer}'; exit 1")
        self.assertEqual([code.split(":")[0] for code in self.codes(both, program)],
                         ["combination-refused"])
        self.assertFalse((self.directory / "started").exists())

    def test_17_no_free_slot(self):
        full = nic("build-4")
        full["models"][NIC]["available_instances"] = 0
        self.stays(nic("instance-rss"), full, f"no-capacity:{NIC}")

    def test_the_page_has_them_all(self):
        page = pathlib.Path(ROOT, "docs/models/my-nic.md").read_text(encoding="utf-8")
        rows = set(re.findall(r"`(test_\d+_\w+)`", page))
        own = {name for name in dir(self) if re.match(r"test_\d", name)}
        self.assertEqual(rows, own)
        self.assertEqual(len(own), 17)


main()
