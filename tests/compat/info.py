#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit info`: everything that can tell a model and parameters, as text and as documents."""
import json
import os
import pathlib
import subprocess
import time

from common import FS, GODWIT, GODWIT_FS, NIC, ROOT, Case, instance, main, nic, run

GOLDEN = pathlib.Path(ROOT, "tests/golden")
UUID = "c2e088ba-954f-11ec-8584-525400666f2b"


class What(Case):
    def setUp(self):
        super().setUp()
        self.share = self.directory / "share"
        self.share.mkdir()

    def documents(self, *what, code=0, **options):
        ran = run(GODWIT, "info", "--json", *what, **options)
        self.assertEqual(ran.returncode, code, ran.stderr)
        self.stderr = ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def text(self, *what):
        ran = run(GODWIT, "info", *what)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stdout

    def test_usage(self):
        self.assertEqual(run(GODWIT, "info").returncode, 2)
        self.assertEqual(run(GODWIT, "info", "--warp", "x").returncode, 2)

    def test_documents(self):
        self.assertEqual(self.documents(self.put(nic("build-3"))), [nic("build-3")])
        shown, = self.documents(self.put(instance({"rss": True, "rx-filter-size": 16},
                                                  requires=["cap:x"])))
        fingerprint = shown.pop("fingerprint")
        self.assertEqual(len(fingerprint), 64)
        self.assertEqual(shown, instance({"rss": True, "rx-filter-size": 16}, unset=[],
                                         requires=["cap:x"]))
        text = self.text(self.put(nic("build-4")))
        self.assertIn("1 to 128", text)
        self.assertIn("room for 8", text)
        self.assertIn("profile 3 (default): rss=on rx-filter-size=64", text)
        self.assertIn("rx-filter-size           16", self.text(self.put(nic("instance-filter-16"))))

    def test_standard_input(self):
        self.assertEqual(self.documents("-", input=json.dumps(nic("build-1"))), [nic("build-1")])

    def test_a_program(self):
        printed = json.loads(run(GODWIT_FS, "--print-migration-info").stdout)
        self.assertEqual(self.documents(GODWIT_FS), [printed])
        self.assertEqual(self.documents(f"{GODWIT_FS} --cache never"), [printed])
        self.assertEqual(self.documents(f"{GODWIT_FS} --warp"), [printed])
        self.assertEqual(self.documents("godwit-fs", env=dict(
            os.environ, PATH=os.path.dirname(GODWIT_FS) + ":" + os.environ["PATH"])), [printed])

    def test_a_program_that_says_too_much(self):
        self.documents(self.program("#!/bin/sh\nexec yes '{'\n", "loud"), code=3)
        self.assertIn("it says more than 1048576 bytes", self.stderr)

    def test_a_control_socket(self):
        with self.daemon(self.share, "--migration-profile", "2") as control:
            shown, = self.documents(control)
            self.assertIn(FS, shown["models"])
            told, = shown["instances"]
            self.assertEqual(told["params"], {"num-request-queues": 4, "submounts": True})
            self.assertEqual(told["profile"], "2")
            self.assertIn("submounts                on", self.text(control))
            # What it shows is what check reads, and the fingerprint is the same.
            code, report = self.check(control, f"{GODWIT_FS} --shared-dir {self.share}")
            self.assertEqual((code, report["fingerprint"]), (0, told["fingerprint"]))

    def test_what_runs_is_fixed(self):
        """A destination that waits takes over what it was not told, and nothing else."""
        with self.daemon(self.share, "--m-num-request-queues=2") as control:
            self.goes(instance({"num-request-queues": 2, "submounts": True}, FS), control)
            self.stays(instance({"num-request-queues": 3}, FS), control,
                       "param-differs:num-request-queues")

    def test_state_files(self):
        for name, params in (("godwit-fs-1.stream", {}), ("godwit-fs-2-locks.stream",
                                                         {"state": 2})):
            shown, = self.documents(str(GOLDEN / name))
            self.assertEqual((shown["model"], shown["params"]), (FS, params))
            self.goes(str(GOLDEN / name), GODWIT_FS)
        self.assertIn("state file", self.text(str(GOLDEN / "godwit-fs-1.stream")))

    def test_a_damaged_state(self):
        """What is said of it is no answer."""
        whole = (GOLDEN / "godwit-fs-1.stream").read_bytes()
        for damaged in (whole[:-8], whole[:300] + b"?" + whole[301:], whole + b"?"):
            path = self.directory / "damaged"
            path.write_bytes(damaged)
            self.documents(str(path), code=3)

    def test_what_is_nothing(self):
        for text in (b"", b"[1", b"\xef\xbb\xbf{}", b" \n", b"\0" * 100):
            path = self.directory / "nothing"
            path.write_bytes(text)
            self.documents(str(path), code=3)
            self.assertIn(f"{path}: neither a document ('{{' is expected) nor a device state",
                          self.stderr)

    def test_what_is_not_there(self):
        for name in ("nowhere.json", "nowhere.json --with-options"):
            self.documents(name, code=3)
            self.assertIn("nowhere.json: no such file, device or program\n", self.stderr)

    def test_options_come_first(self):
        """And nothing is run that is called like one."""
        ran = run(GODWIT, "info", str(GOLDEN / "godwit-fs-1.stream"), "--json")
        self.assertEqual((ran.returncode, ran.stdout), (2, ""))
        self.assertIn("options come before operands", ran.stderr)

    def test_one_of_several_is_wrong(self):
        self.assertEqual(self.documents("/nonexistent", self.put(nic("build-1")), code=3),
                         [nic("build-1")])
        self.assertIn("/nonexistent", self.stderr)


class Programs(Case):
    def test_what_is_no_back_end(self):
        """The reason is there, in a line, and steers no terminal."""
        for text, said in (("exit 7", "ends with 7"), ("kill -SEGV $$", "signal 11 ended it"),
                           ("printf 'no\\033[2J\\rtwo\\nthree' >&2; exit 1", "no?[2J?two"),
                           ("yes '{'", "more than 1048576 bytes"), ("echo 7", "'{' expected"),
                           (":", "'{' expected")):
            with self.subTest(text=text):
                ran = run(GODWIT, "info", self.program(f"#!/bin/sh\n{text}\n", "back-end"))
                self.assertEqual((ran.returncode, ran.stdout), (3, ""))
                self.assertEqual(ran.stderr.count("\n"), 1)
                self.assertIn(said, ran.stderr)
                self.assertNotIn("\033", ran.stderr)


class Pipes(Case):
    def test_what_a_shell_makes(self):
        """<(command), whose end comes when it comes."""
        text = json.dumps(nic("build-1"))
        for script in ("printf %s '$1'", "sleep 0.2; printf %s '$1'",
                       "printf %.20s '$1'; sleep 0.2; printf %s '$1' | tail -c +21"):
            ran = run("bash", "-c", f'{GODWIT} info --json <({script.replace("$1", text)})')
            self.assertEqual((ran.returncode, ran.stderr), (0, ""))
            self.assertEqual(json.loads(ran.stdout), nic("build-1"))
        ran = run("bash", "-c", f"{GODWIT} info <(echo 7)")
        self.assertEqual((ran.returncode, ran.stderr.count("\n")), (3, 1))

    def test_who_writes_comes_later(self):
        path = self.directory / "pipe"
        os.mkfifo(path)
        with subprocess.Popen([GODWIT, "info", "--json", path], stdout=subprocess.PIPE,
                              text=True) as asked:
            time.sleep(0.1)
            path.write_text(json.dumps(nic("build-2")), "utf-8")
            self.assertEqual(json.loads(asked.communicate(timeout=60)[0]), nic("build-2"))

    def test_nobody_comes(self):
        """It is waited for, but not for ever; a pipe among documents of hosts is not."""
        path = self.directory / "hosts" / "h.json"
        path.parent.mkdir()
        os.mkfifo(path)
        before = time.monotonic()
        ran = run(GODWIT, "find", "--json", "--from", self.put(nic("instance-1")), path.parent)
        self.assertEqual((ran.returncode, json.loads(ran.stdout)["rejected"][0]["verdict"]),
                         (3, "cannot-tell"))
        self.assertLess(time.monotonic() - before, 8)
        ran = run(GODWIT, "info", path)
        self.assertEqual((ran.returncode, ran.stderr.count("\n")), (3, 1))


class Mdev(Case):
    def attribute(self, path, value):
        path = self.directory / "sys" / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n", encoding="utf-8")

    def type(self, name, most, room, profiles):
        """A type of a parent, as its driver would show it."""
        at = f"class/mdev_bus/0000:00:02.0/mdev_supported_types/{name}"
        self.attribute(f"{at}/available_instances", room)
        self.attribute(f"{at}/migration/model", NIC)
        self.attribute(f"{at}/migration/state_read", "1 2")
        for param, values in (("rss", {"type": "bool", "off": "off"}),
                              ("rx-filter-size", {"type": "int", "off": 0, "min": 1, "max": most}),
                              ("link-speed", {"type": "enum", "off": "virtual",
                                              "values": "virtual 10g"})):
            for member, value in values.items():
                self.attribute(f"{at}/migration/params/{param}/{member}", value)
        for profile, params in profiles.items():
            for param, value in params.items():
                self.attribute(f"{at}/migration/profiles/{profile}/{param}", value)
        self.attribute(f"{at}/migration/default", next(iter(profiles)))

    def setUp(self):
        super().setUp()
        self.root = str(self.directory / "sys")
        self.type("nic-64", 64, 2, {"3": {"rss": "on", "rx-filter-size": 64}})
        self.type("nic-var", 128, 1, {"16": {"rss": "on", "rx-filter-size": 16}})
        self.attribute("class/mdev_bus/0000:00:02.0/mdev_supported_types/other/name", "other")

    def device(self, params):
        at = f"bus/mdev/devices/{UUID}"
        self.attribute(f"{at}/migration/model", NIC)
        for param, value in params.items():
            self.attribute(f"{at}/migration/params/{param}", value)
        os.symlink("../../../../class/mdev_bus/0000:00:02.0/mdev_supported_types/nic-64",
                   self.directory / "sys" / at / "mdev_type")

    def test_a_parent(self):
        ran = run(GODWIT, "info", "--json", "--sysfs-root", self.root, "0000:00:02.0")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        first, second = map(json.loads, ran.stdout.splitlines())
        model = first["models"][NIC]
        self.assertEqual(model["params"]["rx-filter-size"],
                         {"type": "int", "off": 0, "min": 1, "max": 64})
        self.assertEqual(model["params"]["link-speed"]["values"], ["virtual", "10g"])
        self.assertEqual(model["profiles"], {"3": {"rss": True, "rx-filter-size": 64}})
        self.assertEqual((model["default"], model["available_instances"]), ("3", 2))
        self.assertEqual(model["state"]["read"], [1, 2])
        self.assertEqual(second["implementation"]["name"], "0000:00:02.0/nic-var")

    def test_the_type_that_fits_best(self):
        """Both could be; the one with exactly such a profile is it."""
        for size, chosen in ((64, "nic-64"), (16, "nic-var"), (100, "nic-var")):
            self.goes(instance({"rss": True, "rx-filter-size": size}), "0000:00:02.0",
                      "--sysfs-root", self.root)
            self.assertEqual(self.report["chosen"], f"0000:00:02.0/{chosen}")

    def test_a_device(self):
        self.device({"rss": "on", "rx-filter-size": 16})
        ran = run(GODWIT, "info", "--sysfs-root", self.root, UUID)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("mdev device", ran.stdout)
        self.assertIn("rx-filter-size           16", ran.stdout)
        self.goes(UUID, nic("build-3"), "--sysfs-root", self.root)
        path = os.path.join(self.root, "bus/mdev/devices", UUID)
        self.goes(path, nic("build-3"))
        # It is made: its own type says what absence means, and its parameters do not change.
        self.goes(nic("instance-filter-16"), path)
        self.stays(nic("instance-filter-48"), path, "param-differs:rx-filter-size")

    def test_what_is_needed_beside_the_model(self):
        """Equal driver versions, say: in words, for a type and for a device."""
        at = "class/mdev_bus/0000:00:02.0/mdev_supported_types/nic-64/migration"
        self.device({"rss": "on"})
        self.attribute(f"bus/mdev/devices/{UUID}/migration/requires", "driver:550 cap:net_admin")
        self.attribute(f"{at}/provides", "cap:net_admin driver:550")
        self.attribute(f"{at}/requires", "driver:550")
        shown = json.loads(run(GODWIT, "info", "--json", "--sysfs-root", self.root,
                               "0000:00:02.0").stdout.splitlines()[0])
        self.assertEqual((shown["provides"], shown["requires"]),
                         (["cap:net_admin", "driver:550"], ["driver:550"]))
        here = ("--sysfs-root", self.root)
        self.assertEqual(self.codes(UUID, nic("build-3"), *here),
                         ["cannot-tell:driver:550", "cannot-tell:cap:net_admin"])
        self.goes(UUID, dict(nic("build-3"), provides=["driver:550", "cap:net_admin"]), *here)
        self.assertEqual(self.codes(UUID, dict(nic("build-3"), provides=["driver:560"]), *here),
                         ["prerequisite-missing:driver:550", "prerequisite-missing:cap:net_admin"])
        self.attribute(f"{at}/provides", "driver:560")
        self.assertEqual(self.codes(instance({}, requires=["driver:550"]), "0000:00:02.0", *here),
                         ["cannot-tell:driver:550"])  # nic-var does not say
        self.attribute(f"{at}/requires", "/".join("x" * 100))
        self.assertIn("nic-64: member 'requires'", self.unknown(instance({}), "0000:00:02.0", *here))

    def test_baseline_of_parents(self):
        """A host can run what one of its types can; types are not hosts of their own."""
        def baseline(*whats):
            ran = run(GODWIT, "baseline", "--json", "--sysfs-root", self.root,
                      *map(self.put, whats))
            return json.loads(ran.stdout)
        chosen = baseline("0000:00:02.0", nic("build-3"))["baseline"]
        self.assertEqual(chosen["instance"]["params"], {"rss": True, "rx-filter-size": 64})
        # nic-64 cannot, nic-var can.
        larger = nic("build-4")
        larger["models"][NIC]["profiles"]["3"]["rx-filter-size"] = 128
        said = baseline("0000:00:02.0", larger)
        self.assertEqual(said["baseline"]["instance"]["params"]["rx-filter-size"], 128)
        self.assertEqual(said["given_up"], [])
        # None of them can: both say why, and the document that can does not.
        larger["models"][NIC]["params"]["rx-filter-size"]["max"] = 200
        larger["models"][NIC]["profiles"]["3"]["rx-filter-size"] = 200
        said = baseline("0000:00:02.0", larger)
        self.assertEqual([r["for"].split("/")[-1] for r in said["given_up"][0]["refused"]],
                         ["nic-64", "nic-var"])
        self.assertEqual(said["baseline"]["instance"]["params"]["rx-filter-size"], 64)
        # Another model beside it is no reason.
        self.type("gpu", 1, 1, {"1": {"rss": "on"}})
        self.attribute("class/mdev_bus/0000:00:02.0/mdev_supported_types/gpu/migration/model",
                       "vendor-b.example/gpu")
        again = baseline("0000:00:02.0", larger)
        self.assertEqual(again["baseline"]["instance"], said["baseline"]["instance"])
        self.assertEqual(again["given_up"][0]["refused"], said["given_up"][0]["refused"])
        # Unless that is asked for, and the other has none.
        ran = run(GODWIT, "baseline", "--sysfs-root", self.root, "--model", "vendor-b.example/gpu",
                  "0000:00:02.0", self.put(larger))
        self.assertEqual(ran.returncode, 1)
        self.assertIn("model-unknown", ran.stdout)

    def test_nothing_there(self):
        self.attribute("class/mdev_bus/0000:00:03.0/mdev_supported_types/other/name", "other")
        for what in ("0000:00:03.0", "0000:00:04.0"):
            ran = run(GODWIT, "info", "--sysfs-root", self.root, what)
            self.assertEqual((ran.returncode, ran.stdout), (3, ""))
            self.assertIn(what, ran.stderr)

    def test_values_that_are_none(self):
        at = "class/mdev_bus/0000:00:02.0/mdev_supported_types/nic-64/migration"
        self.attribute(f"{at}/params/rx-filter-size/max", "many")
        self.assertIn("rx-filter-size.max", self.unknown(
            nic("instance-1"), "0000:00:02.0", "--sysfs-root", self.root))


main()
