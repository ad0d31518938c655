#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit export`: golden files of each format, what asks for such a host, collisions and limits."""
import json
import pathlib
import re

from common import GODWIT, GODWIT_FS, NIC, NIC_DOCUMENTS, ROOT, Case, instance, main, nic, run

GOLDEN = pathlib.Path(ROOT, "tests/compat/golden")
ALIAS = ("--alias", f"{NIC}=mynic")


class Export(Case):
    def export(self, *arguments, code=0):
        ran = run(GODWIT, "export", *arguments)
        self.assertEqual(ran.returncode, code, ran.stderr)
        if code:
            self.assertEqual((ran.stdout, ran.stderr.count("\n")), ("", 1))
        return ran.stderr if code else ran.stdout

    def build(self, params, profiles, model=NIC, **more):
        return self.put({"format": 1, "models": {model: dict(
            {"params": params, "profiles": profiles}, **more)}})

    def test_golden(self):
        build = str(NIC_DOCUMENTS / "build-4.json")
        for name, arguments in (
            ("nfd", ["nfd", "--expiry", "2026-09-01T00:00:00Z"]),
            ("labels", ["labels"]),
            ("dra.json", ["dra", "--node", "node-1", "--generation", "7"]),
            ("placement.json", ["placement", "--generation", "3"]),
            ("labels-selector.json", ["labels", "--selector", "--profile", "3"]),
            ("nfd-selector.json", ["nfd", "--selector", "--profile", "3"]),
            ("dra-selector", ["dra", "--selector", "--profile", "3"]),
            ("placement-selector", ["placement", "--selector", "--profile", "3"]),
        ):
            with self.subTest(name=name):
                said = self.export(*arguments[1:], *ALIAS, arguments[0], build)
                self.assertEqual(said, (GOLDEN / name).read_text("utf-8"))

    def test_what_is_asked_for_is_what_is_said(self):
        """A selector's tokens are among the host's, and not among those of one that cannot."""
        can = set(self.export("labels", str(NIC_DOCUMENTS / "build-3.json")).split())
        cannot = set(self.export("labels", str(NIC_DOCUMENTS / "build-1.json")).split())
        asked = json.loads(self.export("--selector", "--profile", "3", "labels",
                                       str(NIC_DOCUMENTS / "build-3.json")))
        for term in self.expressions(asked):
            token = f"{term['key']}={term['values'][0]}"
            self.assertIn(token, can)
            self.assertNotIn(token, cannot)

    @staticmethod
    def expressions(affinity):
        required = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        return required["nodeSelectorTerms"][0]["matchExpressions"]

    def test_an_instance_without_a_profile(self):
        """48 is in no profile; bounds are what a scheduler can compare."""
        what = self.put(nic("instance-filter-48"))
        terms = self.expressions(json.loads(self.export("--selector", *ALIAS, "labels", what)))
        self.assertEqual([(t["key"].split("/")[1], t["operator"], t["values"]) for t in terms], [
            ("m.mynic.rss", "In", ["true"]),
            ("m.mynic.rx-filter-size.min", "Lt", ["49"]),
            ("m.mynic.rx-filter-size.max", "Gt", ["47"])])
        cel = self.export("--selector", "dra", what)
        self.assertIn(f'.model == "{NIC}"', cel)
        self.assertIn(".rxFilterSizeMin <= 48", cel)
        self.assertIn(".rxFilterSizeMax >= 48", cel)
        for name in ("nfd", "placement"):
            self.assertIn("does not name one", self.export("--selector", name, what, code=3))
        enum = self.put(instance({"link-speed": "10g"}))
        self.assertIn("link-speed=10g", self.export("--selector", "labels", enum, code=3))

    def test_the_last_numbers_there_are(self):
        """Nothing lies behind them, so that the bound need only be there."""
        for value, sides in ((2 ** 63 - 1, [("min", "Exists", None), ("max", "Gt", [2 ** 63 - 2])]),
                             (-2 ** 63, [("min", "Lt", [1 - 2 ** 63]), ("max", "Exists", None)]),
                             (2 ** 63 - 2, [("min", "Lt", [2 ** 63 - 1]),
                                            ("max", "Gt", [2 ** 63 - 3])])):
            what = self.put(instance({"p": value}))
            terms = self.expressions(json.loads(self.export("--selector", "labels", what)))
            self.assertEqual([(t["key"].split(".")[-1], t["operator"], t.get("values"))
                              for t in terms],
                             [(suffix, operator, bound and [str(b) for b in bound])
                              for suffix, operator, bound in sides])

    def test_node(self):
        """What Kubernetes would not take as a name is refused here."""
        build = str(NIC_DOCUMENTS / "build-1.json")
        for wrong in ("N_1", "n_1", "Node", 'a"b', "-a", "a-", "a.", ".a", "a..b", "a.-b", "a-.b",
                      "-", ".", "a b", "\u00e9", "x" * 235):
            self.assertIn("--node", self.export(f"--node={wrong}", "dra", build, code=2))
        for good in ("a", "7", "node-1", "node--1.rack-2.example", "x" * 234):
            name = json.loads(self.export("--node", good, "dra", build))["metadata"]["name"]
            self.assertEqual(name, f"{good}-godwit-project.org")
            self.assertLessEqual(len(name), 253)

    def test_collisions(self):
        """a-b and a_b, a.b: one trait, one attribute."""
        build = self.build({}, {"a-b": {}, "a_b": {}})
        self.assertIn("would both be called CUSTOM_GODWIT_",
                      self.export("placement", build, code=1))
        self.assertIn("would both be called profile_a_b",
                      self.export("--node", "n", "dra", build, code=1))
        self.export("labels", build)
        build = self.build({"p": {"type": "int", "off": 0, "min": 1, "max": 2}}, {"max": {}})
        self.assertIn("m.", self.export("labels", build, code=1))
        two = self.put({"format": 1, "models": {"a.b/x": {"params": {}, "profiles": {"1": {}}},
                                                "a.b/y": {"params": {}, "profiles": {"1": {}}}}})
        same = ("--alias", "a.b/x=z", "--alias", "a.b/y=z")
        for name in ("labels", "placement"):
            self.assertIn("would both be called", self.export(*same, name, two, code=1))
        self.assertIn("would both be called", self.export(*same, "--node", "n", "dra", two, code=1))
        self.export("labels", two)

    def test_limits(self):
        long = self.build({}, {"x" * 60: {}})
        self.assertIn("at most 63", self.export("labels", long, code=1))
        self.assertIn("at most 63", self.export("nfd", long, code=1))
        self.assertIn("at most 32 bytes", self.export("--node", "n", "dra", long, code=1))
        self.export("placement", long)
        self.assertIn("no sign at its ends", self.export("labels", self.build({}, {"x.": {}}),
                                                         code=1))
        many = self.build({f"p{i}": {"type": "bool", "off": False} for i in range(32)}, {})
        self.assertIn("at most 32", self.export("--node", "n", "dra", many, code=1))
        self.assertIn("at most 64", self.export("--node", "n", "dra", self.build(
            {}, {}, "a.b/" + "x" * 70), code=1))
        negative = self.build({"p": {"type": "int", "off": 0, "min": -1, "max": 2}}, {})
        self.assertIn("'-1'", self.export("labels", negative, code=1))
        big = {"format": 1, "models": {f"a.b/{i}": {"params": {}, "profiles": {
            f"profile-{k}-{'x' * 30}": {} for k in range(40)}} for i in range(25)}}
        self.assertIn("65536 are read", self.export("nfd", self.put(big), code=1))

    def test_ours_fits(self):
        """What godwit-fs is can be said in each of them."""
        for name in ("nfd", "labels", "dra", "placement"):
            self.assertIn("1", self.export("--node", "n", name, GODWIT_FS))
        for line in self.export("labels", GODWIT_FS).splitlines():
            key, value = line.split("=")
            self.assertRegex(key, r"^godwit-project\.org/[A-Za-z0-9][\w.-]{0,61}[A-Za-z0-9]$")
            self.assertRegex(value, r"^[A-Za-z0-9]+$")
        traits = json.loads(self.export("placement", GODWIT_FS))["traits"]["traits"]
        self.assertTrue(all(re.fullmatch(r"CUSTOM_[A-Z0-9_]+", trait) for trait in traits))

    def test_usage(self):
        build = str(NIC_DOCUMENTS / "build-1.json")
        for wrong in ([], ["nfd"], ["xml", build], ["nfd", build, build],
                      ["--expiry", "soon", "nfd", build], ["--profile", "1", "nfd", build]):
            self.export(*wrong, code=2)
        self.assertIn("--node", self.export("dra", build, code=1))
        self.assertIn("[a-z0-9]", self.export("--alias", f"{NIC}=My Nic", "labels", build, code=1))
        self.export("nfd", "/nonexistent", code=3)


main()
