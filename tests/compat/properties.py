#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What holds of any documents: made at random, from a seed that a failure tells."""
import copy
import os
import random
import subprocess

from common import GODWIT, NIC, Case, instance, json, main, run

SEED = int(os.environ.get("COMPAT_SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = int(os.environ.get("COMPAT_ROUNDS", 60))
WORDS = ["none", "red", "green", "blue"]


class Properties(Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print(f"COMPAT_SEED={SEED}", flush=True)

    def param(self):
        """One parameter, and a value that it accepts."""
        kind = self.random.choice(["bool", "int", "enum"])
        if kind == "bool":
            param, value = {"type": kind, "off": False}, self.random.choice([True, False])
        elif kind == "int":
            low = self.random.randrange(-5, 5)
            high = low + self.random.randrange(0, 50)
            param = {"type": kind, "off": self.random.randrange(-9, 9), "min": low, "max": high}
            value = self.random.randint(low, high)
        else:
            values = self.random.sample(WORDS, self.random.randint(1, 4))
            param = {"type": kind, "off": values[0], "values": values}
            value = self.random.choice(values)
        if self.random.random() < 0.2:
            del param["off"]
        return param, value

    def model(self):
        params, profile = {}, {}
        for i in range(self.random.randrange(0, 7)):
            params[f"p{i}"], value = self.param()
            if "off" not in params[f"p{i}"] or self.random.random() < 0.6:
                profile[f"p{i}"] = value
        numbers = sorted(self.random.sample(range(1, 6), self.random.randint(1, 3)))
        model = {"params": params, "profiles": {"it": profile}, "default": "it",
                 "state": {"read": numbers, "write": numbers}}
        if self.random.random() < 0.3:
            model["available_instances"] = self.random.randrange(3)
        return model

    def host(self):
        return {"format": 1, "models": {NIC: self.model()}, "provides": self.random.sample(
            ["a:1", "a:2", "b:unknown", "c:any"], 2)}

    def source(self, host):
        """Something like a profile of the host, and not always one."""
        params = dict(host["models"][NIC]["profiles"]["it"])
        if self.random.random() < 0.4:
            params[f"p{self.random.randrange(9)}"] = self.random.choice([True, 3, "red", 77])
        return instance(params, requires=self.random.sample(["a:1", "b:1", "c:1"],
                                                            self.random.randrange(3)))

    def disturbed(self, document):
        """The same to who reads it: other order, and members that nobody knows."""
        if not isinstance(document, dict):
            return copy.deepcopy(document)
        members = [(name, value if name in ("params", "profiles") and not isinstance(value, dict)
                    else self.disturbed(value)) for name, value in document.items()]
        self.random.shuffle(members)
        return dict(members)

    def with_unknown_members(self, document):
        document = self.disturbed(document)
        document["x-later"] = {"deep": [[1, 2.5], None, "text"]}
        for model in document.get("models", {}).values():
            model["x-later"] = [{}]
            for param in model["params"].values():
                param["x-later"] = "…"
        return document

    def answer(self, source, host):
        code, report = self.check(source, host)
        return code, sorted((r["code"], r["subject"]) for r in report["reasons"])

    def test_order_and_unknown_members_do_not_matter(self):
        for _ in range(ROUNDS):
            host = self.host()
            source = self.source(host)
            self.assertEqual(self.answer(source, host),
                             self.answer(self.with_unknown_members(source),
                                         self.with_unknown_members(host)), (source, host))

    def test_one_that_is_equal_always_qualifies(self):
        """A host takes what its own profiles are, as far as it reads the layout and has room."""
        for _ in range(ROUNDS):
            host = self.host()
            model = host["models"][NIC]
            model["state"]["read"] = [1]
            model.pop("available_instances", None)
            self.goes(instance(model["profiles"]["it"]), host)

    def test_a_new_parameter_is_harmless(self):
        for _ in range(ROUNDS // 2):
            host = self.host()
            source = self.source(host)
            before = self.answer(source, host)
            newer = copy.deepcopy(host)
            param, _ = self.param()
            param.setdefault("off", {"bool": False, "int": 0, "enum": param.get(
                "values", [None])[0]}[param["type"]])
            newer["models"][NIC]["params"]["zz-new"] = param
            self.assertEqual(self.answer(source, newer), before)

    def baseline(self, hosts):
        ran = run(GODWIT, "baseline", "--json", *hosts)
        self.assertIn(ran.returncode, (0, 1), ran.stderr)
        if not ran.stdout:
            return None
        chosen = json.loads(ran.stdout)["baseline"]
        return chosen and chosen["instance"]["params"]

    def test_baseline(self):
        """Whatever the order; everybody can run it."""
        for _ in range(ROUNDS // 3):
            first = self.host()
            hosts = [first]
            for _ in range(2):
                other = copy.deepcopy(first)
                params = other["models"][NIC]["params"]
                profile = other["models"][NIC]["profiles"]["it"]
                for name in self.random.sample(sorted(params), min(1, len(params))):
                    del params[name]
                    profile.pop(name, None)
                hosts.append(other)
            paths = [self.put(host) for host in hosts]
            chosen = self.baseline(paths)
            self.random.shuffle(paths)
            self.assertEqual(self.baseline(paths), chosen)
            if chosen is None:
                continue
            for host in hosts:
                _, reasons = self.answer(instance(chosen), host)
                self.assertLessEqual({r[0] for r in reasons}, {"no-capacity"})

    def test_adding_a_host_never_removes_another(self):
        hosts = self.directory / "hosts"
        hosts.mkdir()
        first = self.host()
        source = self.put(self.source(first))
        found = set()
        for i in range(ROUNDS // 4):
            document = copy.deepcopy(first) if self.random.random() < 0.5 else self.host()
            (hosts / f"h{i}.json").write_text(json.dumps(document), encoding="utf-8")
            ran = subprocess.run([GODWIT, "find", "--json", "--from", source, hosts], check=False,
                                 capture_output=True, text=True, timeout=60)
            self.assertIn(ran.returncode, (0, 1, 3), ran.stderr)
            now = self.found(ran.stdout)
            self.assertLessEqual(found, now)
            found = now

    @staticmethod
    def found(text):
        report = json.loads(text)
        return {host["host"] for host in report["found"]}


main()
