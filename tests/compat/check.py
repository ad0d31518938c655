#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit check`: exit codes, what is cannot-tell, overriding, checkers, the destination's own word."""
import json
import os
import pathlib
import time

from common import FS, GODWIT, GODWIT_FS, NIC, Case, instance, main, nic, run


class Documents(Case):
    def test_usage(self):
        for wrong in ([], ["--from", "a"], ["--to", "a"], ["--from", "a", "--to", "b", "c"],
                      ["--from", "a", "--to", "b", "--override", ""],
                      ["--from", "a", "--to", "b", "--model", "c"]):
            ran = run(GODWIT, "check", *wrong)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), wrong)
            self.assertEqual(ran.stderr.count("\n"), 1)

    def test_text(self):
        ran = run(GODWIT, "check", "--checkers", "/nonexistent", "--from",
                  self.put(nic("instance-filter-48")), "--to", self.put(nic("build-1")))
        lines = ran.stdout.splitlines()
        self.assertEqual(ran.returncode, 1)
        self.assertEqual([line.split(":")[0] for line in lines],
                         ["incompatible", "param-unknown", "param-unknown"])

    def test_explain(self):
        ran = run(GODWIT, "check", "--checkers", "/nonexistent", "--explain", "--from",
                  self.put(nic("instance-filter-48")), "--to", self.put(nic("build-2")))
        rows = {line.split()[0]: line.split()[1:] for line in ran.stdout.splitlines()}
        self.assertEqual(rows["rx-filter-size"], ["48", "-", "param-unknown"])
        self.assertEqual(rows["rss"], ["on", "off,", "on"])
        made = dict(nic("build-3"), instances=[nic("instance-filter-16")])
        ran = run(GODWIT, "check", "--checkers", "/nonexistent", "--explain", "--from",
                  self.put(nic("instance-filter-48")), "--to", self.put(made))
        rows = {line.split()[0]: line.split()[1:] for line in ran.stdout.splitlines()}
        self.assertEqual(rows["rx-filter-size"], ["48", "16,", "fixed", "param-differs"])

    def test_cannot_tell_is_never_yes(self):
        """And names document and member."""
        good = nic("build-3")
        for wrong, part in (
            ("/nonexistent", "/nonexistent"),
            (self.write("{", "cut"), "cut: line 1"),
            (self.write('{"format": 1, "format": 1}', "twice"), "twice: line 1: duplicate"),
            (self.put(dict(good, format=2), "later"), "later: its format is 2"),
            (self.put({"format": 1}, "neither"), "neither: it has neither"),
            (self.put(dict(good, models=[]), "list"), "list: member 'models' is not"),
            (self.write("{" + " " * (1024 * 1024), "big"), "big: more than 1048576 bytes"),
            (self.write('{"a":' * 20 + "1" + "}" * 20, "deep"), "deep: more than 16 objects"),
            (self.write("just text", "text"), "text: neither a document ('{' is expected) nor a device"),
            (str(self.directory), "neither an mdev parent nor an mdev device"),
        ):
            with self.subTest(part=part):
                self.assertIn(part, self.unknown(nic("instance-1"), wrong))
                self.assertIn(part, self.unknown(wrong, good))

    def test_an_implementation_is_no_instance(self):
        self.assertIn("it is no instance", self.unknown(nic("build-1"), nic("build-2")))
        two = dict(nic("build-1"), instances=[nic("instance-1"), nic("instance-1")])
        self.assertIn("2 instances", self.unknown(two, nic("build-2")))
        self.assertIn("profile '9'", self.unknown(nic("build-1"), nic("build-2"),
                                                  "--profile", "9"))

    def test_undecided(self):
        self.assertIn("rss", self.unknown(instance({}, unset=["rss"]), nic("build-2")))

    def test_instances_alone(self):
        """Without the model nobody knows what absence means."""
        self.goes(nic("instance-rss"), nic("instance-rss"))
        self.stays(instance({"rss": True}), instance({"rss": False}), "param-differs:rss")
        self.assertIn("rss", self.unknown(nic("instance-rss"), nic("instance-1")))
        self.stays(nic("instance-1"), instance({}, "a.b/c"), f"model-unknown:{NIC}")

    def test_prerequisites(self):
        source = instance({}, requires=["cap:net_admin", "uplink:blue"])
        self.unknown(instance({}, requires=["uplink:blue"]), nic("build-1"))
        self.goes(source, dict(nic("build-1"), provides=["uplink:blue", "cap:net_admin"]))
        self.stays(source, dict(nic("build-1"), provides=["uplink:red", "cap:net_admin"]),
                   "prerequisite-missing:uplink:blue")
        self.assertIn("cannot tell which", self.unknown(source, dict(
            nic("build-1"), provides=["uplink:unknown", "cap:net_admin"])))


class Override(Case):
    def test_it_is_loud(self):
        source, destination = self.put(nic("instance-rss")), self.put(nic("build-1"))
        code, report = self.check(source, destination, "--override", "the card is dead anyway")
        self.assertEqual(code, 0)
        self.assertEqual(report["verdict"], "incompatible")
        self.assertEqual(report["override"], "the card is dead anyway")
        self.assertEqual([r["code"] for r in report["reasons"]], ["param-unknown"])
        self.assertIn("OVERRIDDEN", self.stderr)
        self.assertIn("the card is dead anyway", self.stderr)
        self.assertIn("ignored: param-unknown: parameter rss", self.stderr)

    def test_nothing_to_override(self):
        code, _ = self.check(nic("instance-1"), nic("build-1"), "--override", "to be sure")
        self.assertEqual((code, self.stderr), (0, ""))

    def test_it_is_logged(self):
        """In the system's log, which is what listens at /dev/log of this mount namespace."""
        script = self.write(f"""
import os, socket, subprocess, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("{self.directory}/log")
log.settimeout(30)
if not os.path.exists("/dev/log"):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev"], check=True)
    os.symlink("{self.directory}/log", "/dev/log")
else:
    subprocess.run(["mount", "--bind", "{self.directory}/log", os.path.realpath("/dev/log")],
                   check=True)
ran = subprocess.run(["{GODWIT}", "check", "--checkers", "/nonexistent",
                      "--from", "{self.put(nic('instance-rss'))}",
                      "--to", "{self.put(nic('build-1'))}", "--override", "because I say so"],
                     stdin=subprocess.PIPE, capture_output=True)
assert ran.returncode == 0, ran.stderr
said = log.recv(4096).decode() + log.recv(4096).decode()
assert "because I say so" in said and "param-unknown" in said, said
""", "script.py")
        if os.geteuid() or run("unshare", "--mount", "true").returncode:
            self.skipTest("needs root, for a mount namespace with a log of its own")
        ran = run("unshare", "--mount", "python3", script)
        self.assertEqual(ran.returncode, 0, ran.stderr)


class Checkers(Case):
    def test_they_get_both_documents(self):
        self.checker(f"#!/bin/sh\ncat >{self.directory}/seen\n")
        self.goes(nic("instance-rss"), nic("build-2"))
        seen = json.loads((self.directory / "seen").read_text(encoding="utf-8"))
        self.assertEqual(seen["from"]["params"], {"rss": True})
        self.assertEqual(seen["to"], nic("build-2"))

    def test_they_may_refuse(self):
        self.checker("#!/bin/sh\necho 'not before midnight'\nexit 1\n", "10-time")
        self.checker("#!/bin/sh\nexit 2\n", "20-other")
        self.checker("#!/bin/sh\nexit 1\n", "30-silent")
        self.stays(nic("instance-rss"), nic("build-2"), "checker-refused:10-time",
                   "checker-refused:30-silent")
        self.assertIn("not before midnight", self.report["reasons"][0]["text"])

    def test_what_is_no_answer(self):
        for text in ("#!/bin/sh\nexit 7\n", "#!/bin/sh\nkill -SEGV $$\n",
                     "#!/bin/sh\nkill -PIPE $$\n",
                     "#!/nonexistent/interpreter\n", "#!/bin/sh\nyes\n"):
            with self.subTest(text=text):
                self.checker(text)
                self.assertIn("checker", self.unknown(nic("instance-rss"), nic("build-2")))

    def test_their_output_steers_nothing(self):
        self.checker("#!/bin/sh\nprintf 'a\\033[2Jb\\n'\nexit 1\n")
        self.stays(nic("instance-rss"), nic("build-2"), "checker-refused:checker")
        self.assertIn("a?[2Jb", self.report["reasons"][0]["text"])

    def test_one_that_does_not_end(self):
        """It is killed with what it started."""
        self.checker(f"#!/bin/sh\nsleep 300 &\necho $! >{self.directory}/child\nwait\n")
        begin = time.monotonic()
        self.assertIn("does not come to an end", self.unknown(nic("instance-rss"),
                                                              nic("build-2")))
        self.assertGreater(time.monotonic() - begin, 9)
        child = int((self.directory / "child").read_text(encoding="utf-8"))
        deadline = time.monotonic() + 20
        while self.lives(child):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    @staticmethod
    def lives(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8").split()[2] != "Z"
        except OSError:
            return False

    def test_one_that_anybody_could_change(self):
        path = self.checker("#!/bin/sh\nexit 0\n")
        os.chmod(path, 0o777)
        self.assertIn("could change it", self.unknown(nic("instance-rss"), nic("build-2")))

    def test_a_directory_that_anybody_could_change(self):
        """Who can write in it can put a file of root's there, or take one away."""
        self.checker("#!/bin/sh\nexit 0\n")
        for mode in (0o775, 0o757, 0o1777):
            self.checkers.chmod(mode)
            text = self.unknown(nic("instance-rss"), nic("build-2"))
            self.assertIn(f"{self.checkers}: others than its owner", text)
        self.checkers.chmod(0o755)
        self.goes(nic("instance-rss"), nic("build-2"))
        if os.geteuid():
            return
        os.chown(self.checkers, 12345, -1)
        self.assertIn("could change it", self.unknown(nic("instance-rss"), nic("build-2")))

    def test_hidden_ones_are_passed_over(self):
        self.checker("#!/bin/sh\nexit 1\n", ".off")
        self.goes(nic("instance-rss"), nic("build-2"))


class Programs(Case):
    def test_real(self):
        self.goes(instance({"num-request-queues": 4}, FS), GODWIT_FS)
        self.stays(instance({"warp": 4}, FS), GODWIT_FS, "param-unknown:warp")
        codes = self.codes(instance({"posix-acl": "always"}, FS), GODWIT_FS)
        self.assertEqual([c.split(":")[0] for c in codes], ["combination-refused"])
        self.assertIn("posix-acl", self.report["reasons"][0]["text"])
        self.goes(GODWIT_FS, f"{GODWIT_FS} --shared-dir /nonexistent", "--profile", "1")

    def test_one_that_waits(self):
        """It is asked over its control socket."""
        share = self.directory / "share"
        share.mkdir()
        with self.daemon(share) as control:
            self.goes(instance({"num-request-queues": 4}, FS), control)
            codes = self.codes(instance({"lock-wait": True}, FS), control)
            self.assertEqual([c.split(":")[0] for c in codes], ["combination-refused"])

    def test_its_own_word(self):
        """Its answer counts, whatever it is."""
        for check, verdict in (("exit 0", "compatible"), ("exit 3", "cannot-tell"),
                               ("exit 1", "incompatible"), ("echo nonsense; exit 1",
                                                            "incompatible"),
                               ("kill -SEGV $$", "cannot-tell")):
            with self.subTest(check=check):
                self.codes(nic("instance-rss"), self.backend(nic("build-2"), check))
                self.assertEqual(self.report["verdict"], verdict)
                asked = json.loads((self.directory / "asked").read_text(encoding="utf-8"))
                self.assertEqual((asked["model"], asked["params"]), (NIC, {"rss": True}))
        self.assertFalse((self.directory / "started").exists())

    def test_one_that_fails(self):
        broken = self.program("#!/bin/sh\necho 'no can do' >&2\nexit 1\n", "broken")
        self.assertIn("no can do", self.unknown(nic("instance-1"), broken))


main()
