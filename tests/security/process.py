#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What godwit-fs is once it has shut itself in, seen from outside.

usage: process.py GODWIT-FS
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
NOBODY = 65534
# chown, dac_override, dac_read_search, fowner, fsetid, setgid, setuid, mknod, setfcap
NEEDED = sum(1 << n for n in (0, 1, 2, 3, 4, 6, 7, 27, 31))
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts")
IS_ROOT = os.geteuid() == 0


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def read_status(path):
    with open(f"{path}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(word) for word in file.read().split()]


def is_gone(pid):
    """A zombie that nobody has waited for does nothing any more."""
    try:
        return read_status(f"/proc/{pid}")["State"].startswith("Z")
    except OSError:
        return True


class Shut(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        os.chmod(self.dir, 0o777)
        self.share = os.path.join(self.dir, "share")
        self.path = os.path.join(self.dir, "s")
        os.mkdir(self.share)
        with open(os.path.join(self.share, "inside"), "w", encoding="utf-8"):
            pass
        self.program = shutil.copy(PROGRAM, self.dir)  # for who cannot get at the build

    def command(self, *options):
        return [self.program, "--shared-dir", self.share, "--socket-path", self.path,
                *(() if "--log-level=error" in options else ("--log-level", "warn")), *options]

    def start(self, *options, nobody=False):
        """The process outside, and the one inside (the same without walls)."""
        # pylint: disable=subprocess-popen-preexec-fn
        outer = subprocess.Popen(self.command(*options), stderr=subprocess.PIPE, text=True,
                                 preexec_fn=become_nobody if nobody and IS_ROOT else None)
        self.addCleanup(outer.stderr.close)
        self.addCleanup(outer.wait)
        self.addCleanup(outer.kill)
        if not self.until(lambda: outer.poll() is not None or self.is_ready(outer)) or (
                outer.poll() is not None):
            if outer.poll() is not None and "user namespace" in (said := outer.stderr.read()):
                self.skipTest(said)
            self.fail("it is not ready")
        return outer, (children(outer.pid) or [outer.pid])[0]

    def is_ready(self, outer):
        """The last step is the filter; a thread of the pool comes after it. ThreadSanitizer has one of
        its own, from the beginning."""
        inner = (children(outer.pid) or [outer.pid])[0]
        try:
            return any(comm.read_text("utf-8").startswith("fs-pool")
                       for comm in pathlib.Path(f"/proc/{inner}/task").glob("*/comm"))
        except OSError:
            return False  # one has just ended

    def until(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def threads(self, pid):
        """The program's: ThreadSanitizer has one that was there before anything was given up, under
        the program's name, as no other thread."""
        tasks = {task.name: (task / "comm").read_text("utf-8")
                 for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}
        return [task for task, name in tasks.items()
                if task == str(pid) or not self.is_built_with(b"__tsan_init") or name != tasks[str(pid)]]

    def assert_status(self, pid, caps, filtered=True):
        for task in self.threads(pid):
            status = read_status(f"/proc/{pid}/task/{task}")
            for field in ("CapPrm", "CapEff", "CapBnd"):
                self.assertEqual(int(status[field], 16) & ~caps, 0, f"{task}: {field}")
            for field in ("CapInh", "CapAmb"):
                self.assertEqual(int(status[field], 16), 0, f"{task}: {field}")
            self.assertEqual(status["NoNewPrivs"], "1")
            if filtered and self.has_filters():
                self.assertEqual(status["Seccomp"], "2", task)

    def has_filters(self):
        """A build with sanitizers has none."""
        return not self.is_built_with(b"__asan_init") and not self.is_built_with(b"__tsan_init")

    def is_built_with(self, symbol):
        return symbol in pathlib.Path(self.program).read_bytes()

    def assert_other_namespaces(self, pid, names=NAMESPACES):
        for name in names:
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{name}"),
                                os.readlink(f"/proc/self/ns/{name}"), name)

    @unittest.skipUnless(IS_ROOT, "as root")
    def test_root(self):
        outer, inner = self.start()
        self.assert_status(inner, NEEDED)
        self.assert_status(outer.pid, 0b100010, filtered=False)
        self.assert_other_namespaces(inner)
        self.assertEqual(os.listdir(f"/proc/{inner}/root"), ["inside"])
        with open(f"/proc/{inner}/mounts", encoding="utf-8") as file:
            mounts = file.read().splitlines()
        self.assertEqual(len(mounts), 1, mounts)
        self.assertIn("nosuid,nodev", mounts[0])

    @unittest.skipUnless(IS_ROOT, "as root")
    def test_fewer_capabilities(self):
        _, inner = self.start("--modcaps=-mknod:-setfcap:-dac_read_search")
        self.assert_status(inner, NEEDED & ~(1 << 27 | 1 << 31 | 1 << 2))

    @unittest.skipUnless(IS_ROOT, "as root")
    def test_readonly_share_cannot_be_written(self):
        _, inner = self.start("--readonly")
        with open(f"/proc/{inner}/mounts", encoding="utf-8") as file:
            self.assertIn(" ro,", file.read())

    @unittest.skipUnless(IS_ROOT, "as root")
    def test_chroot(self):
        _, inner = self.start("--sandbox=chroot")
        self.assert_status(inner, NEEDED)
        self.assertEqual(os.readlink(f"/proc/{inner}/root"), self.share)

    def test_nobody(self):
        _, inner = self.start(nobody=True)
        self.assert_status(inner, 0)
        self.assert_other_namespaces(inner, ("user",) if not IS_ROOT else (*NAMESPACES, "user"))

    def test_without_walls_capabilities_go_too(self):
        outer, inner = self.start("--sandbox=none")
        self.assertEqual(inner, outer.pid)
        self.assert_status(inner, NEEDED)

    def test_no_filters(self):
        _, inner = self.start("--seccomp=none")
        self.assertEqual(read_status(f"/proc/{inner}")["Seccomp"],
                         read_status("/proc/self")["Seccomp"])

    def test_what_is_inside_ends_with_what_is_outside(self):
        outer, inner = self.start()
        outer.kill()
        outer.wait()
        self.assertTrue(self.until(lambda: is_gone(inner)))

    def test_what_is_outside_ends_with_what_is_inside(self):
        outer, inner = self.start()
        os.kill(inner, signal.SIGKILL)
        self.assertEqual(outer.wait(timeout=20), 1)
        self.assertIn("signal 9", outer.stderr.read())
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(os.path.exists(self.path + ".control"))

    @unittest.skipUnless(IS_ROOT, "only root can give somebody subordinate ids")
    def test_subordinate_ids(self):
        """A range of ids that /etc/subuid grants, in a mount namespace where it does."""
        if not shutil.which("newuidmap"):
            self.skipTest("there is no newuidmap (Debian's package uidmap)")
        grants = os.path.join(self.dir, "grants")
        with open(grants, "w", encoding="utf-8") as file:
            file.write(f"{NOBODY}:200000:1000\nnobody:200000:1000\n")
        os.chown(self.share, 200000, 200000)
        script = (f"mount --bind {grants} /etc/subuid && mount --bind {grants} /etc/subgid && "
                  f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "
                  '"$@"')
        outer = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "sh",
                                  *self.command("--uid-map=:0:200000:1000:",
                                                "--gid-map=:0:200000:1000:")],
                                 stderr=subprocess.PIPE, text=True)
        self.addCleanup(outer.stderr.close)
        self.addCleanup(outer.wait)
        self.addCleanup(outer.kill)
        ready = self.until(lambda: outer.poll() is not None or (
            os.path.exists(self.path) and children(outer.pid) and self.is_ready(outer)))
        self.assertTrue(ready)
        if outer.poll() is not None:
            said = outer.stderr.read()
            if "user namespace" in said or "mount" in said:
                self.skipTest(said)
            self.fail(said)
        inner = children(outer.pid)[0]
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{inner}/{name}", encoding="utf-8") as file:
                self.assertEqual(file.read().split(), ["0", "200000", "1000"])
        # Root in there: the first of the range out here, with what serving files takes.
        status = read_status(f"/proc/{inner}")
        self.assertEqual(status["Uid"].split(), ["200000"] * 4)
        self.assertEqual(status["Gid"].split(), ["200000"] * 4)
        self.assert_status(inner, NEEDED)
        self.assertNotEqual(int(status["CapEff"], 16), 0)

    def test_handles_that_cannot_be_opened(self):
        """Tried before anything is served, whatever capabilities there seem to be."""
        become = become_nobody if IS_ROOT else None
        for options, before in ((("--modcaps=-dac_read_search",), None), ((), become),
                                (("--sandbox=none",), become)):
            if before is None and not IS_ROOT:
                continue
            for asked in ("--migration-mode=file-handles", "--inode-file-handles=mandatory"):
                ran = subprocess.run(self.command("--log-level=error", asked, *options),
                                     capture_output=True, text=True, timeout=30, check=False,
                                     preexec_fn=before)
                self.assertEqual(ran.returncode, 1, ran.stderr)
                self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
                self.assertTrue(asked in ran.stderr or "user namespace" in ran.stderr, ran.stderr)
                self.assertFalse(os.path.exists(self.path))

    def test_refused(self):
        """One line says what cannot be, and what to do; nothing is left behind."""
        become = become_nobody if IS_ROOT else None
        for options, hint in ((("--sandbox=chroot",), "--sandbox=namespace"),
                              (("--uid-map=:0:100000:10:",), "newuidmap")):
            ran = subprocess.run(self.command(*options), capture_output=True, text=True,
                                 timeout=30, check=False, preexec_fn=become)
            self.assertEqual(ran.returncode, 1, ran.stderr)
            self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
            self.assertTrue(hint in ran.stderr or "user namespace" in ran.stderr, ran.stderr)
            self.assertFalse(os.path.exists(self.path))


unittest.main()
