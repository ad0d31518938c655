#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit export`: golden files of each format, what asks for such a host, collisions and limits."""
import json
import os
import pathlib
import re

from common import GODWIT, GODWIT_FS, NIC, NIC_DOCUMENTS, ROOT, Case, instance, main, nic, run

GOLDEN = pathlib.Path(ROOT, "tests/compat/golden")
ALIAS = ("--alias", f"{NIC}=mynic")


def node_labels(said):
    """What a node is labelled with: lines of `labels`, or what Node Feature Discovery makes of its
    file, where a directive holds for the one line that follows it."""
    labels, hidden = {}, False
    for line in said.splitlines():
        if line.startswith("#"):
            hidden |= line == "# +no-label"
            continue
        if not hidden:
            labels.update([line.split("=")])
        hidden = False
    return labels


def matches(expressions, labels):
    """As a scheduler of Kubernetes reads a nodeAffinity."""
    found = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, values: key in labels,
        "Gt": lambda key, values: key in labels and int(labels[key]) > int(values[0]),
        "Lt": lambda key, values: key in labels and int(labels[key]) < int(values[0]),
    }
    return all(found[e["operator"]](e["key"], e.get("values")) for e in expressions)


def cel(expression, device):
    """As a scheduler of Kubernetes reads such an expression, of a device of a ResourceSlice. What a
    device does not have is an error there, and here."""
    attributes = {name: next(iter(value.values())) for name, value in device["attributes"].items()}
    capacity = {name: int(value["value"]) for name, value in device.get("capacity", {}).items()}
    text = expression.strip()
    for pattern, by in ((r'device\.attributes\["godwit-project\.org"\]\.(\w+)', r'attributes["\1"]'),
                        (r'device\.attributes\["godwit-project\.org"\]', "attributes"),
                        (r'device\.capacity\["godwit-project\.org"\]\.(\w+)', r'capacity["\1"]'),
                        (r'device\.capacity\["godwit-project\.org"\]', "capacity"),
                        (r'\.compareTo\(quantity\("(\d+)"\)\) >= 0', r" >= \1"),
                        (r"device\.driver", '"godwit-project.org"'),
                        (r"&&", "and"), (r"\|\|", "or"), (r"!\(", "not (")):
        text = re.sub(pattern, by, text)
    # pylint: disable-next=eval-used
    return eval(text, {"__builtins__": {}}, {"attributes": attributes, "capacity": capacity})


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
        host = {"nfd": ["--expiry", "2026-09-01T00:00:00Z"], "labels": [],
                "dra": ["--node", "node-1", "--generation", "7"],
                "placement": ["--generation", "3"]}
        for kind, room in (("", 8), ("-full", 0), ("-unsaid", None)):
            build = self.with_room(room)
            for name, options in host.items():
                with self.subTest(name=name, room=room):
                    self.golden(name + kind, self.export(*options, *ALIAS, name, build))
        for name in host:
            with self.subTest(name=name):
                self.golden(f"{name}-selector", self.export("--selector", "--profile", "3", *ALIAS,
                                                            name, build))

    def golden(self, name, said):
        """Byte for byte. GOLDEN_WRITE=1 in the environment makes them anew."""
        path = GOLDEN / name
        if os.environ.get("GOLDEN_WRITE"):
            path.write_text(said, "utf-8")
        self.assertEqual(said, path.read_text("utf-8"))

    def with_room(self, room, **members):
        """The newest build on a host with room for so many; None: it does not say."""
        document = dict(nic("build-4"), **members)
        document["models"][NIC].pop("available_instances")
        if room is not None:
            document["models"][NIC]["available_instances"] = room
        return self.put(document)

    def test_a_host_without_room(self):
        """It says so, and what asks passes it by; one that does not say is taken."""
        asked = self.expressions(json.loads(self.export("--selector", "--profile", "3", "labels",
                                                        self.with_room(8))))
        for name in ("labels", "nfd"):
            for room, taken in ((0, False), (1, True), (2 ** 63 - 1, True), (None, True)):
                said = self.export(name, self.with_room(room))
                self.assertIs(matches(asked, node_labels(said)), taken, (name, room))
        for room, devices in ((0, 0), (1, 1), (None, 1)):
            said = json.loads(self.export("--node", "n", "dra", self.with_room(room)))
            self.assertEqual(len(said["spec"]["devices"]), devices)
        for room, total in ((0, None), (1, 1), (None, 2 ** 31 - 1), (2 ** 40, 2 ** 31 - 1)):
            said = json.loads(self.export("placement", self.with_room(room)))
            inventories = said["inventories"]["inventories"]
            self.assertEqual([i["total"] for i in inventories.values()], [total] * bool(total))

    def test_cel_finds_what_can(self):
        """Each way to ask, of devices of each kind."""
        def device(document):
            return json.loads(self.export("--node", "n", "dra", document))["spec"]["devices"][0]
        other = nic("build-4")
        other["models"][NIC]["profiles"]["3"] = {"rss": True}
        devices = [device(self.put(d)) for d in (nic("build-4"), other, nic("build-2"))]
        devices += [device(self.with_room(None)), device(self.build({}, {}, "a.b/c"))]
        for what, found in (
            (("--profile", "3", str(NIC_DOCUMENTS / "build-4.json")), [1, 0, 0, 1, 0]),
            ((self.put(nic("instance-filter-48")),), [1, 1, 0, 1, 0]),
            ((self.put(instance({"rx-filter-size": 129})),), [0, 0, 0, 0, 0]),
            ((self.put(instance({"rss": True})),), [1, 1, 1, 1, 0]),
            ((self.put(instance({})),), [1, 1, 1, 1, 0]),
            ((self.put(instance({}, "a.b/c")),), [0, 0, 0, 0, 1]),
        ):
            asked = self.export("--selector", *what[:-1], "dra", what[-1])
            self.assertEqual([int(cel(asked, d)) for d in devices], found, asked)
        full = dict(devices[0], capacity={"instances": {"value": "0"}})
        self.assertFalse(cel(self.export("--selector", "dra", self.put(instance({}))), full))

    def test_several_back_ends_of_a_host(self):
        """One slice of the pool, one set of traits; the same model twice is a collision."""
        build, other = self.with_room(2), self.build({}, {"1": {}}, "a.b/other")
        devices = json.loads(self.export("--node", "n", *ALIAS, "--alias", "a.b/other=other", "dra",
                                         build, other))["spec"]["devices"]
        self.assertEqual([d["name"] for d in devices], ["mynic", "other"])
        self.assertEqual([d.get("capacity", {}).get("instances", {}).get("value") for d in devices],
                         ["2", None])
        for name in ("labels", "nfd"):
            self.assertEqual(node_labels(self.export(name, build, other)),
                             node_labels(self.export(name, build)) |
                             node_labels(self.export(name, other)))
        said = json.loads(self.export("placement", build, other))
        self.assertEqual((len(said["traits"]["traits"]), len(said["inventories"]["inventories"])),
                         (4, 2))
        for name in ("labels", "nfd", "dra", "placement"):
            self.assertIn("would both be called",
                          self.export("--node", "n", name, build, build, code=1))
        what = self.put(instance({}))
        self.assertIn("it is an instance", self.export("labels", build, what, code=3))
        self.export("labels", build, "/nonexistent", code=3)

    def test_what_is_made_already(self):
        """Who counts what it gave away is told the sum."""
        made = [instance({"rss": True}), instance({}), instance({}, "a.b/c")]
        build = self.with_room(3, instances=made)
        device = json.loads(self.export("--node", "n", "dra", build))["spec"]["devices"][0]
        self.assertEqual(device["capacity"]["instances"]["value"], "5")
        said = json.loads(self.export(*ALIAS, "placement", build))["inventories"]["inventories"]
        self.assertEqual(said, {"CUSTOM_GODWIT_MYNIC": {"total": 5}})
        self.assertIn("available_instances=3\n", self.export("labels", build))
        full = self.with_room(0, instances=made)
        self.assertEqual(json.loads(self.export("--node", "n", "dra", full))["spec"]["devices"], [])
        most = self.with_room(2 ** 63 - 1, instances=made)
        device = json.loads(self.export("--node", "n", "dra", most))["spec"]["devices"][0]
        self.assertEqual(device["capacity"]["instances"]["value"], str(2 ** 63 - 1))

    def test_a_profile_of_the_same_name(self):
        """Two builds call different things 3: no token of one is the other's."""
        other = nic("build-4")
        other["models"][NIC]["profiles"]["3"]["rx-filter-size"] = 65
        one, other = str(NIC_DOCUMENTS / "build-4.json"), self.put(other)
        select = ("--selector", "--profile", "3")
        asked = [self.expressions(json.loads(self.export(*select, "labels", b)))
                 for b in (one, other)]
        said = [node_labels(self.export("labels", b)) for b in (one, other)]
        self.assertEqual([[matches(a, s) for s in said] for a in asked],
                         [[True, False], [False, True]])
        asked = [re.search(r"required=(\w+)", self.export(*select, "placement", b)).group(1)
                 for b in (one, other)]
        said = [json.loads(self.export("placement", b))["traits"]["traits"] for b in (one, other)]
        self.assertEqual([[a in s for s in said] for a in asked], [[True, False], [False, True]])
        asked = [re.search(r'profile_3 == ("\w+")', self.export(*select, "dra", b)).group(1)
                 for b in (one, other)]
        said = [json.loads(self.export("--node", "n", "dra", b)) for b in (one, other)]
        said = [json.dumps(s["spec"]["devices"][0]["attributes"]["profile_3"]) for s in said]
        self.assertEqual([[a in s for s in said] for a in asked], [[True, False], [False, True]])

    def test_the_fingerprint_is_the_one_that_info_shows(self):
        """Of an instance, too, and whatever is off does not change it."""
        build = nic("build-4")
        settings = build["models"][NIC]["profiles"]["3"]
        what = self.put(instance(settings, profile="3"))
        shown = json.loads(run(GODWIT, "info", "--json", what).stdout)["fingerprint"]
        build["models"][NIC]["profiles"]["3"] = dict(settings, **{"link-speed": "virtual"})
        for of in (str(NIC_DOCUMENTS / "build-4.json"), self.put(build)):
            self.assertIn(f"m.mynic.p.3={shown[:16]}\n", self.export(*ALIAS, "labels", of))
        for select in (("--selector", what), ("--selector", "--profile", "3", self.put(build))):
            self.assertIn(f"_3_{shown[:16].upper()}\n", self.export(*select[:-1], "placement", select[-1]))

    def test_what_is_not_decided(self):
        """No token says that it may become anything."""
        what = self.put(instance({"rss": True}, unset=["link-speed"], profile="3"))
        for name in ("labels", "nfd", "dra", "placement"):
            self.assertIn("link-speed is not decided yet",
                          self.export("--selector", name, what, code=3))

    def test_what_is_asked_for_is_what_is_said(self):
        """A selector's tokens are among the host's, and not among those of one that cannot."""
        can = set(self.export("labels", str(NIC_DOCUMENTS / "build-3.json")).split())
        cannot = set(self.export("labels", str(NIC_DOCUMENTS / "build-1.json")).split())
        asked = json.loads(self.export("--selector", "--profile", "3", "labels",
                                       str(NIC_DOCUMENTS / "build-3.json")))
        for term in self.expressions(asked)[:-1]:
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
            ("m.mynic.rx-filter-size.max", "Gt", ["47"]),
            ("m.mynic.available_instances", "NotIn", ["0"])])
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
            terms = self.expressions(json.loads(self.export("--selector", "labels", what)))[:-1]
            self.assertEqual([(t["key"].split(".")[-1], t["operator"], t.get("values"))
                              for t in terms],
                             [(suffix, operator, bound and [str(b) for b in bound])
                              for suffix, operator, bound in sides])

    def test_nfd_labels_no_parameters(self):
        """A directive holds for one line, and each parameter has its own."""
        build = str(NIC_DOCUMENTS / "build-4.json")
        labels = node_labels(self.export(*ALIAS, "nfd", build))
        self.assertEqual({key.split("/")[1] for key in labels},
                         {"m.mynic.p.1", "m.mynic.p.2", "m.mynic.p.3",
                          "m.mynic.available_instances"})

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
        # Their contents make the traits differ.
        build = self.build({"p": {"type": "bool", "off": False}}, {"a-b": {}, "a_b": {"p": True}})
        traits = json.loads(self.export("placement", build))["traits"]["traits"]
        self.assertEqual(len(set(traits)), 2)
        self.assertIn("profile_a_b", self.export("--node", "n", "dra", build, code=1))
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
        # One less, and what is counted of it: model, 30 bools, and its capacity.
        fits = self.build({f"p{i}": {"type": "bool", "off": False} for i in range(30)}, {},
                          available_instances=1)
        device = json.loads(self.export("--node", "n", "dra", fits))["spec"]["devices"][0]
        self.assertEqual(len(device["attributes"]) + len(device["capacity"]), 32)
        what = self.put(instance({f"parameter-{i:02}-of-some-length": i for i in range(64)}))
        self.assertIn("CEL is read up to 10240", self.export("--selector", "dra", what, code=3))
        self.assertIn("at most 64", self.export("--node", "n", "dra", self.build(
            {}, {}, "a.b/" + "x" * 70), code=1))
        crowd = [self.put({"format": 1, "models": {f"a.b/{k}-{i}": {"params": {}}
                                                   for i in range(43)}}) for k in range(3)]
        self.assertIn("more than 128 models", self.export("--node", "n", "dra", *crowd, code=1))
        said = json.loads(self.export("--node", "n", "dra", *crowd[:2]))
        self.assertEqual(len(said["spec"]["devices"]), 86)
        negative = self.build({"p": {"type": "int", "off": 0, "min": -1, "max": 2}}, {})
        self.assertIn("'-1'", self.export("labels", negative, code=1))
        big = {"format": 1, "models": {f"a.b/{i}": {"params": {}, "profiles": {
            f"profile-{k}-{'x' * 30}": {} for k in range(40)}} for i in range(25)}}
        self.assertIn("65536 are read", self.export("nfd", self.put(big), code=1))

    def test_ours_fits(self):
        """What godwit-fs is can be said in each of them."""
        for name in ("nfd", "labels", "dra", "placement"):
            self.assertIn("1", self.export("--node", "n", name, GODWIT_FS))
        for name in ("labels", "nfd", "dra", "placement"):
            self.assertIn("GODWIT" if name == "placement" else "godwit",
                          self.export("--selector", "--profile", "3", name, GODWIT_FS))
        for line in self.export("labels", GODWIT_FS).splitlines():
            key, value = line.split("=")
            self.assertRegex(key, r"^godwit-project\.org/[A-Za-z0-9][\w.-]{0,61}[A-Za-z0-9]$")
            self.assertRegex(value, r"^[A-Za-z0-9]+$")
        traits = json.loads(self.export("placement", GODWIT_FS))["traits"]["traits"]
        self.assertTrue(all(re.fullmatch(r"CUSTOM_[A-Z0-9_]+", trait) for trait in traits))

    def test_usage(self):
        build = str(NIC_DOCUMENTS / "build-1.json")
        for wrong in ([], ["nfd"], ["xml", build], ["--selector", "nfd", build, build],
                      ["nfd", *[build] * 65],
                      ["--expiry", "soon", "nfd", build], ["--profile", "1", "nfd", build]):
            self.export(*wrong, code=2)
        self.assertIn("--node", self.export("dra", build, code=1))
        self.assertIn("[a-z0-9]", self.export("--alias", f"{NIC}=My Nic", "labels", build, code=1))
        self.export("nfd", "/nonexistent", code=3)


main()
