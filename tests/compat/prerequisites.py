#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What moves beside the model: named in documents and in the stream's header, compared by check and
again at LOAD."""
import json
import os
import tempfile

from common import FS, GODWIT, GODWIT_FS, Case, instance, main, nic, run

WRITE = "access:write"
MISSING = f"prerequisite-missing:{WRITE}"


class Prerequisites(Case):
    def setUp(self):
        super().setUp()
        self.here, self.there = self.directory / "here", self.directory / "there"
        self.here.mkdir()
        self.there.mkdir()

    def provides(self, *arguments):
        ran = run(GODWIT_FS, "--print-migration-info", *arguments)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return [w for w in json.loads(ran.stdout)["provides"] if w.startswith("shared-backing:")]

    def test_the_same_directory_has_one_name(self):
        one, = self.provides("--shared-dir", str(self.here))
        self.assertEqual(self.provides(f"--shared-dir={self.here}/.", "--xattr"), [one])
        self.assertNotEqual(self.provides("--shared-dir", str(self.there)), [one])

    def test_nobody_can_tell(self):
        self.assertEqual(self.provides(), ["shared-backing:unknown"])
        self.assertEqual(self.provides("--shared-dir", "/nonexistent"), ["shared-backing:unknown"])

    def test_share_id(self):
        """For file systems that have no name of their own, or another one on each host."""
        one = self.provides("--shared-dir", str(self.here), "--share-id", "vm1")
        self.assertEqual(self.provides("--shared-dir", str(self.there), "--share-id", "vm1"), one)
        self.assertNotEqual(self.provides("--shared-dir", str(self.there), "--share-id", "vm2"),
                            one)
        self.assertNotIn("unknown", one[0])
        ran = run(GODWIT_FS, "--shared-dir", str(self.here), "--socket-path",
                  str(self.directory / "s"), "--share-id", "x" * 2000)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("--share-id", ran.stderr)

    def test_a_file_system_without_a_name(self):
        """tmpfs is in no other host's memory: check cannot tell, but of the same one."""
        name, = self.provides("--shared-dir", "/dev/shm")
        if not name.startswith("shared-backing:unknown-"):
            self.skipTest("needs a tmpfs at /dev/shm")
        source = instance({}, FS, requires=[name])
        self.goes(source, f"{GODWIT_FS} --shared-dir /dev/shm")
        self.assertIn("cannot tell", self.unknown(source, f"{GODWIT_FS} --shared-dir {self.here}"))
        self.goes(source, f"{GODWIT_FS} --shared-dir {self.here} --migration-identity=same-tree")

    def test_load_where_nobody_can_tell(self):
        """It is said in the log, and every inode is proven as always; "cannot tell" is for who asks
        beforehand."""
        state = str(self.directory / "state")
        with self.daemon(self.here, "--reconnect") as control:
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        if not self.provides("--shared-dir", "/dev/shm")[0].startswith("shared-backing:unknown-"):
            self.skipTest("needs a tmpfs at /dev/shm")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as share:
            self.unknown(state, f"{GODWIT_FS} --shared-dir {share}")
            self.load(state, share)
        log = self.log.read_text(encoding="utf-8")
        self.assertIn("cannot tell which it has", log)
        self.assertNotIn("prerequisite-missing", log)

    def test_check(self):
        name, = self.provides("--shared-dir", str(self.here), "--share-id", "vm1")
        source = instance({}, FS, requires=[name])
        self.goes(source, f"{GODWIT_FS} --shared-dir {self.there} --share-id vm1")
        self.stays(source, f"{GODWIT_FS} --shared-dir {self.there} --share-id vm2",
                   f"prerequisite-missing:{name}")
        self.goes(source, f"{GODWIT_FS} --shared-dir {self.there} "
                          "--migration-identity=same-tree")
        self.unknown(source, GODWIT_FS)

    def test_a_profile_moves_with_its_directory(self):
        """An instance that does not run yet requires what one that does would."""
        source = f"{GODWIT_FS} --shared-dir {self.here}"
        name, = self.provides("--shared-dir", str(self.here))
        if "unknown" in name:
            self.skipTest("needs a file system with a name of its own for temporary files")
        self.goes(source, source, "--profile", "2")
        self.assertEqual(self.codes(source, f"{GODWIT_FS} --shared-dir {self.there}", "--profile",
                                    "2"), [f"prerequisite-missing:{name}"])
        self.goes(source, f"{GODWIT_FS} --shared-dir {self.there} "
                          "--migration-identity=same-tree", "--profile", "2")
        # Nothing is said of a directory: models are compared, and nothing else.
        self.goes(GODWIT_FS, GODWIT_FS, "--profile", "2")

    def test_a_document_that_requires(self):
        told = json.loads(run(GODWIT_FS, "--print-migration-info").stdout)
        build = dict(told, requires=["uplink:blue"])
        self.goes(build, dict(told, provides=["uplink:blue"]), "--profile", "2")
        self.assertEqual(self.codes(build, told, "--profile", "2"),
                         ["prerequisite-missing:uplink:blue"])
        for wrong in ("uplink:blue", [7], ["x" * 3000]):
            self.assertIn("requires", self.unknown(dict(told, requires=wrong), told,
                                                   "--profile", "2"))

    def test_handles(self):
        """A state of mode file-handles needs a capability where it goes."""
        source = instance({}, FS, requires=["cap:dac_read_search"])
        never = f"{GODWIT_FS} --shared-dir {self.here} --inode-file-handles=never"
        self.stays(source, never, "prerequisite-missing:cap:dac_read_search")
        if os.geteuid():
            self.skipTest("needs root, which can open files by handle")
        self.goes(source, f"{GODWIT_FS} --shared-dir {self.here}")
        with self.daemon(self.here, "--migration-mode=file-handles") as control:
            told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
            self.assertEqual(told["requires"][0], "cap:dac_read_search")

    def test_handles_at_load(self):
        """The same, where only a load is asked: of a daemon that could open them by the capability
        that it was told not to use, of one without it, and of one that can."""
        if os.geteuid():
            self.skipTest("needs root, which can open files by handle")
        state = str(self.directory / "state")
        with self.daemon(self.here, "--reconnect", "--migration-mode=file-handles") as control:
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        for less in "--inode-file-handles=never", "--modcaps=-dac_read_search":
            there = f"{GODWIT_FS} --shared-dir {self.here} {less}"
            self.stays(state, there, "prerequisite-missing:cap:dac_read_search")
            self.assertEqual(self.load(state, self.here, less).returncode, 1)
            self.assertIn("prerequisite-missing: the source requires cap:dac_read_search",
                          self.log.read_text(encoding="utf-8"))
        self.assertEqual(self.load(state, self.here).returncode, 0)

    def words(self, *arguments, kind="access:"):
        """What it requires, and provides, of a kind."""
        ran = run(*arguments, "--print-migration-info")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return [[word for word in json.loads(ran.stdout)[of] if word.startswith(kind)]
                for of in ("requires", "provides")]

    def test_access(self):
        """A guest that could write does not go where it may not; from there to here it does."""
        here = f"{GODWIT_FS} --shared-dir {self.here}"
        self.assertEqual(self.words(*here.split()), [[WRITE], [WRITE]])
        self.assertEqual(self.words(*here.split(), "--readonly"), [[], []])
        for source, destination, reasons in ((here, here, []), (here, f"{here} --readonly", [MISSING]),
                                             (f"{here} --readonly", f"{here} --readonly", []),
                                             (f"{here} --readonly", here, [])):
            self.assertEqual(self.codes(source, destination, "--profile", "3"), reasons)
            if reasons:
                self.assertEqual(self.report["verdict"], "incompatible")

    def test_keys(self):
        """Who verifies states is not sent what would not pass; who does not takes any."""
        keys = []
        for name in ("key", "other"):
            (self.directory / name).write_bytes(name.encode() * 32)
            os.truncate(self.directory / name, 32)
            (self.directory / name).chmod(0o600)
            keys.append(f"{GODWIT_FS} --shared-dir {self.here} --state-key {self.directory / name}")
        key, other = keys
        none = f"{GODWIT_FS} --shared-dir {self.here}"
        word = self.words(*key.split(), kind="state-key:")[0][0]
        for source, destination, reasons in (
                (key, key, []), (key, none, []), (none, none, []),
                (none, key, ["prerequisite-missing:state-key:none"]),
                (key, other, [f"prerequisite-missing:{word}"])):
            self.assertEqual(self.codes(source, destination, "--profile", "3"), reasons)
        with self.daemon(self.here, "--state-key", str(self.directory / "key")) as control:
            told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
            self.assertEqual(told["requires"][-1], word)
            self.assertEqual(self.codes(none, control, "--profile", "3"),
                             ["prerequisite-missing:state-key:none"])

    def test_users(self):
        """A guest whose files are anyone's does not go where all are one user's, nor back."""
        if os.geteuid():
            self.skipTest("needs root, which can be others")
        self.directory.chmod(0o755)
        here = f"{GODWIT_FS} --shared-dir {self.here}"
        other = self.directory / "other"
        other.write_text(f"#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups"
                         f" {GODWIT_FS} --inode-file-handles=never \"$@\"\n", encoding="utf-8")
        other.chmod(0o755)
        other = f"{other} --shared-dir {self.here}"
        self.assertEqual(self.words(*here.split(), kind="users:"), [["users:all"]] * 2)
        required, provided = self.words(*other.split(), kind="users:")
        self.assertEqual(required, provided)
        self.assertNotIn("users:all", required)
        less = f"{here} --modcaps=-chown"
        for source, destination in ((here, here), (other, other), (less, less)):
            self.assertEqual(self.codes(source, destination, "--profile", "3"), [])
        for source, destination in ((here, other), (here, less)):
            self.assertEqual(self.codes(source, destination, "--profile", "3"),
                             ["prerequisite-missing:users:all"])
        self.assertEqual(self.codes(other, here, "--profile", "3"),
                         [f"prerequisite-missing:{required[0]}"])

    def test_users_at_load(self):
        """The same, where only a load is asked."""
        if os.geteuid():
            self.skipTest("needs root, which can be others")
        state = str(self.directory / "state")
        with self.daemon(self.here, "--reconnect") as control:
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(self.load(state, self.here, "--modcaps=-setuid:-setgid").returncode, 1)
        self.assertIn("prerequisite-missing: the source requires users:all",
                      self.log.read_text(encoding="utf-8"))
        self.assertEqual(self.load(state, self.here, "--modcaps=-mknod").returncode, 0)

    def test_access_of_instances(self):
        """The same of one that runs, of its saved state, and at the load."""
        for source in [], ["--readonly"]:
            state = str(self.directory / "state")
            with self.daemon(self.here, "--reconnect", "--migration-profile", "3",
                             *source) as control:
                ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                          state)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                for destination in "", " --readonly":
                    there = f"{GODWIT_FS} --shared-dir {self.here}{destination}"
                    reasons = [MISSING] if destination and not source else []
                    for what in control, state:
                        self.assertEqual(self.codes(what, there), reasons)
                told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
                self.assertEqual(WRITE in told["requires"], not source)
            for destination in [], ["--readonly"]:
                ran = self.load(state, self.here, *destination)
                log = self.log.read_text("utf-8")
                if destination and not source:
                    self.assertEqual(ran.returncode, 1)
                    self.assertIn(f"prerequisite-missing: the source requires {WRITE}, device "
                                  "virtio-fs has nothing of the kind", log)
                else:
                    self.assertEqual(ran.returncode, 0, ran.stderr + log)

    def test_access_found(self):
        """Of two hosts the one where it may write."""
        hosts = self.directory / "hosts"
        hosts.mkdir()
        for name, option in ("may", "--xattr"), ("may-not", "--readonly"):
            ran = run(GODWIT_FS, "--shared-dir", str(self.here), option, "--print-migration-info")
            (hosts / f"{name}.json").write_text(ran.stdout, encoding="utf-8")
        ran = run(GODWIT, "find", "--json", "--from", self.put(instance({}, FS, requires=[WRITE])),
                  str(hosts))
        self.assertEqual(ran.returncode, 0, ran.stderr)
        found = json.loads(ran.stdout)
        self.assertEqual([host["host"] for host in found["found"]], ["may"])
        self.assertEqual([(host["host"], [reason["code"] for reason in host["reasons"]])
                          for host in found["rejected"]],
                         [("may-not", ["prerequisite-missing"])])

    def test_access_of_the_mount(self):
        """A share on a file system that is mounted read-only is one where nobody may write."""
        program = (f"mount --bind {self.here} {self.here} && "
                   f"mount -o remount,bind,ro {self.here} && exec \"$@\"")
        command = ["unshare", "--mount", "sh", "-ec", program, "sh", GODWIT_FS, "--shared-dir",
                   str(self.here)]
        if run(*command[:-3], "true").returncode:
            self.skipTest("needs to mount something: run it as root")
        self.assertEqual(self.words(*command), [[], []])

    def load(self, state, share, *arguments):
        with self.daemon(share, "--reconnect", *arguments) as control:
            return run(GODWIT, "load", "--socket", control.removesuffix(".control"), state)

    def test_load(self):
        """The header says it, and it is compared before a byte of state is used."""
        state = str(self.directory / "state")
        with self.daemon(self.here, "--reconnect", "--share-id", "vm1") as control:
            ran = run(GODWIT, "save", "--socket", control.removesuffix(".control"), "--output",
                      state)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            told, = json.loads(run(GODWIT, "info", "--json", control).stdout)["instances"]
        saved = json.loads(run(GODWIT, "info", "--json", state).stdout)
        self.assertEqual(saved["requires"] + ["state-key:none"], told["requires"])
        self.assertEqual(saved["requires"],
                         self.provides("--shared-dir", str(self.there), "--share-id", "vm1") +
                         [WRITE] + self.words(GODWIT_FS, "--shared-dir", str(self.there),
                                              kind="users:")[1])
        ran = self.load(state, self.there, "--share-id", "vm2")
        self.assertEqual(ran.returncode, 1)
        log = self.log.read_text(encoding="utf-8")
        self.assertIn(f"prerequisite-missing: the source requires {saved['requires'][0]}", log)
        for arguments in (["--share-id", "vm1"], ["--migration-identity=same-tree"]):
            ran = self.load(state, self.there, *arguments)
            self.assertEqual(ran.returncode, 0, ran.stderr + self.log.read_text("utf-8"))

    def baseline(self, *hosts):
        """Exit code, the answer, and what is against what was given up."""
        ran = run(GODWIT, "baseline", "--json", *map(self.put, hosts))
        if not ran.stdout:
            self.assertEqual(ran.stderr.count("\n"), 1)
            return ran.returncode, ran.stderr, []
        said = json.loads(ran.stdout)
        codes = {f"{r['code']}:{r['subject']}" for given in said["given_up"]
                 for report in given["refused"] for r in report["reasons"]}
        return ran.returncode, said["baseline"], sorted(codes)

    def test_baseline(self):
        """Instances of each host have to find on every other what they would require."""
        def host(requires, provides=None):
            return dict(nic("build-3"), requires=requires,
                        **({} if provides is None else {"provides": provides}))
        code, chosen, _ = self.baseline(host(["a:1"], ["a:1"]), host(["b:2"], ["b:2", "a:1"]),
                                        host([], ["a:any", "b:2"]))
        self.assertEqual((code, chosen), (1, None))
        for hosts, expected in (
            ((host(["a:1"], ["a:1"]), host(["a:1"], ["a:1", "b:1"])), (0, [])),
            ((host(["a:1"], ["a:1"]), host([], ["a:any"])), (0, [])),
            ((host(["a:1"], ["a:1"]), host(["a:2"], ["a:2"])),
             (1, ["prerequisite-missing:a:1", "prerequisite-missing:a:2"])),
            ((host(["a:1"], ["a:1"]), host([])), (1, ["cannot-tell:a:1"])),
            ((host([]), host([])), (0, [])),
        ):
            code, chosen, codes = self.baseline(*hosts)
            self.assertEqual((code, codes), expected)
            self.assertEqual((chosen or {}).get("profile"), None if code else "3")
        many = [host([f"a:{i}" for i in range(first, first + 9)]) for first in (0, 9)]
        code, sentence, _ = self.baseline(*many)
        self.assertEqual(code, 1)
        self.assertIn("more than 16 different things, a:16 among them", sentence)

    def test_baseline_of_directories(self):
        one, other = (f"{GODWIT_FS} --shared-dir {d}" for d in (self.here, self.there))
        self.assertEqual(self.baseline(GODWIT_FS, GODWIT_FS)[0], 0)
        self.assertEqual(self.baseline(one, one)[0], 0)
        self.assertEqual(self.baseline(one, other)[0], 1)

    def test_requires_that_are_none(self):
        for wrong in (7, "a:b", [7], ["a b"], [""], ["x" * 200], ["a:1"] * 17, {"a": "b"}):
            document = dict(nic("build-3"), requires=wrong)
            self.assertIn("member 'requires' is not", self.unknown(instance({}), document))


main()
