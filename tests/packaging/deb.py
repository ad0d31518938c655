#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is in the Debian packages, and that installing them changes nothing of what a host does.

usage: deb.py DIRECTORY-OF-PACKAGES
"""
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

PACKAGES = pathlib.Path(sys.argv.pop(1)).resolve()
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
DOC = "usr/share/doc/{}/"
# Each line is there at least once, and every file is of a line.
CONTENTS = {
    "libgodwit0": ["usr/lib/*/libgodwit.so.0", "usr/lib/*/libgodwit.so.0.*"],
    "libgodwit-dev": ["usr/include/godwit/*.h", "usr/lib/*/libgodwit.so",
                      "usr/lib/*/pkgconfig/godwit.pc"],
    # Of the pages all but godwit-fs.1.
    "godwit": ["usr/bin/godwit", "usr/share/bash-completion/completions/godwit",
               "usr/libexec/godwit-relay", "usr/share/man/man1/godwit.1.gz",
               "usr/share/man/man1/godwit-find.1.gz", "usr/share/man/man1/godwit-[!f]*.1.gz"],
    "godwit-fs": ["usr/libexec/godwit-fs", "usr/share/man/man1/godwit-fs.1.gz",
                  "usr/lib/systemd/system/godwit-fs@.service",
                  "usr/share/godwit/apparmor/godwit-fs", "usr/share/godwit/apparmor/libvirt",
                  "usr/share/godwit/selinux/godwit_fs.fc", "usr/share/godwit/selinux/godwit_fs.te",
                  "usr/share/godwit/systemd/example.conf", "usr/share/godwit/systemd/recover.conf",
                  "usr/share/godwit/vhost-user/godwit-fs.json", DOC.format("godwit-fs") + "*.md*"],
}
# Where other programs look for what they then use.
WATCHED = ("usr/share/qemu", "etc/qemu", "etc/apparmor.d", "etc/libvirt", "etc/systemd",
           "usr/share/selinux", "etc/init.d", "etc/cron*", "usr/lib/udev", "usr/lib/tmpfiles.d")


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory(prefix="godwit-deb-")
        cls.addClassCleanup(directory.cleanup)
        cls.work = pathlib.Path(directory.name)
        cls.root = cls.work / "root"  # all of them, as installed on one host
        cls.debs = {run("dpkg-deb", "--field", path, "Package").strip(): path
                    for path in PACKAGES.glob("*.deb") if "-dbgsym_" not in path.name}
        for name, path in cls.debs.items():
            run("dpkg-deb", "--extract", path, cls.root)
            run("dpkg-deb", "--extract", path, cls.work / name)
            run("dpkg-deb", "--control", path, cls.work / f"{name}.control")

    def test_which(self):
        self.assertEqual(set(self.debs), set(CONTENTS))
        version = re.search(r"^  version: '(.*)',", (SOURCE / "meson.build").read_text(), re.M)[1]
        for path in self.debs.values():
            self.assertEqual(run("dpkg-deb", "--field", path, "Version").strip(), version)

    def test_files(self):
        for name, patterns in CONTENTS.items():
            patterns = patterns + [DOC.format(name) + "copyright", DOC.format(name) + "changelog.gz"]
            top = self.work / name
            found = [str(path.relative_to(top)) for path in top.rglob("*")
                     if not path.is_dir() or path.is_symlink()]
            with self.subTest(package=name):
                self.assertEqual([f for f in found
                                  if not any(fnmatch.fnmatch(f, p) for p in patterns)], [])
                self.assertEqual([p for p in patterns if not fnmatch.filter(found, p)], [])

    def test_changes_nothing_by_itself(self):
        for pattern in WATCHED:
            self.assertEqual(list(self.root.glob(pattern)), [])
        self.assertEqual(list(self.root.glob("etc/**/*.*")), [])
        for name in CONTENTS:
            control = {path.name for path in (self.work / f"{name}.control").iterdir()}
            # No script that dpkg runs: nothing is started, enabled, linked or loaded.
            self.assertLessEqual(control, {"control", "md5sums", "shlibs", "symbols", "triggers"})

    def test_links_of_the_operator_lead_somewhere(self):
        """What the pages tell to link and copy is there, and names the program that is there."""
        offered = self.root / "usr/share/godwit"
        found = json.loads((offered / "vhost-user/godwit-fs.json").read_text())
        self.assertEqual(found["binary"], "/usr/libexec/godwit-fs")
        unit = (self.root / "usr/lib/systemd/system/godwit-fs@.service").read_text()
        self.assertIn("ExecStart=/usr/libexec/godwit-fs ", unit)
        for path in ("apparmor/godwit-fs", "apparmor/libvirt", "selinux/godwit_fs.fc"):
            self.assertIn("/usr/libexec/godwit-fs", (offered / path).read_text())
        for page in ("libvirt.md", "systemd.md", "kubevirt.md"):
            for path in re.findall(r"/usr/share/godwit[\w./-]*", (SOURCE / "docs" / page).read_text()):
                self.assertTrue((self.root / path.lstrip("/")).exists(), f"{page}: {path}")

    def test_programs_run(self):
        library = next(self.root.glob("usr/lib/*/libgodwit.so.0")).parent
        environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}
        share, path = self.work / "share", self.work / "socket"
        share.mkdir()
        with subprocess.Popen([self.root / "usr/libexec/godwit-fs", f"--shared-dir={share}",
                               f"--socket-path={path}"], stderr=subprocess.DEVNULL) as daemon:
            deadline = time.monotonic() + 30
            while not pathlib.Path(f"{path}.control").exists():
                self.assertLess(time.monotonic(), deadline)
                self.assertIsNone(daemon.poll())
                time.sleep(0.01)
            said = run(self.root / "usr/bin/godwit", "status", "--json", f"{path}.control",
                       env=environment)
            daemon.terminate()
        self.assertEqual(json.loads(said)["status"]["program"], "godwit-fs")

    def test_hardened(self):
        for program in ("usr/libexec/godwit-fs", "usr/bin/godwit"):
            dynamic = run("readelf", "--wide", "--dynamic", self.root / program)
            self.assertIn("BIND_NOW", dynamic)
            self.assertRegex(dynamic, r"FLAGS_1.*PIE")
            self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH)\)")

    def test_symbols_have_a_version(self):
        symbols = (self.work / "libgodwit0.control/symbols").read_text().splitlines()
        self.assertTrue(symbols[0].startswith("libgodwit.so.0 libgodwit0 "))
        exported = [line for line in symbols if line.startswith(" gw_")]
        self.assertGreater(len(exported), 50)
        self.assertEqual([s for s in exported if "@GODWIT_" not in s], [])

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian(self):
        changes = next(PACKAGES.glob("*.changes"))
        ran = subprocess.run(["lintian", "--fail-on=error,warning", "--info", changes], text=True,
                             check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(ran.returncode, 0, ran.stdout)


unittest.main()
