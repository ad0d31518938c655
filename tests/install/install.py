#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `make install` puts where, and that somebody else's program can be built with it alone.

usage: install.py BUILD SOURCE SANITIZERS COMPILER...
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))
SANITIZERS = sys.argv.pop(1)
COMPILER = sys.argv[1:]
del sys.argv[1:]
HERE = pathlib.Path(__file__).resolve().parent


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def option(name):
    options = json.loads(run("meson", "introspect", "--buildoptions", BUILD))
    return next(o["value"] for o in options if o["name"] == name)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # pylint: disable=consider-using-with
        cls.directory = tempfile.TemporaryDirectory(prefix="godwit-install-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.root = cls.work / "root"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.root)
        cls.prefix = option("prefix")
        cls.top = cls.root / cls.prefix.lstrip("/")
        cls.lib = cls.top / option("libdir")

    def test_files(self):
        """Each thing where it belongs, and nothing else."""
        libdir, mandir = option("libdir"), option("mandir")
        expected = {
            "bin/godwit",
            "libexec/godwit-fs",
            "libexec/godwit-relay",
            f"{libdir}/libgodwit.so",
            f"{libdir}/libgodwit.so.0",
            f"{libdir}/libgodwit.so.{self.version()}",
            f"{libdir}/pkgconfig/godwit.pc",
            "lib/systemd/system/godwit-fs@.service",
            "share/bash-completion/completions/godwit",
            "share/godwit/apparmor/godwit-fs",
            "share/godwit/apparmor/libvirt",
            "share/godwit/selinux/godwit_fs.fc",
            "share/godwit/selinux/godwit_fs.te",
            "share/godwit/systemd/example.conf",
            "share/godwit/systemd/recover.conf",
            "share/godwit/vhost-user/godwit-fs.json",
        }
        expected |= {f"include/godwit/{h.name}" for h in (SOURCE / "include/godwit").iterdir()}
        if shutil.which("scdoc"):
            expected |= {f"{mandir}/man1/{page.stem}" for page in (SOURCE / "man").glob("*.scd")}
        found = {str(path.relative_to(self.top)) for path in self.top.rglob("*")
                 if not path.is_dir() or path.is_symlink()}
        self.assertEqual(found, expected)
        outside = [path for path in self.root.rglob("*")
                   if not path.is_dir() and self.top not in path.parents]
        self.assertEqual(outside, [])

    def version(self):
        return re.search(r"(\d+\.\d+\.\d+)", run(self.top / "bin/godwit", "--version")).group(1)

    def test_nothing_points_into_the_build(self):
        for binary in ("bin/godwit", "libexec/godwit-fs", self.lib / "libgodwit.so"):
            dynamic = run("readelf", "-d", self.top / binary)
            self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH)\)")
        self.assertRegex(run("readelf", "-d", self.lib / "libgodwit.so"),
                         r"\(SONAME\).*\[libgodwit\.so\.0\]")

    def test_nothing_is_picked_up_by_itself(self):
        """No other program looks where ours offer themselves, until the operator links them there."""
        watched = ("share/qemu", "etc/qemu", "etc/apparmor.d", "etc/systemd", "share/selinux")
        self.assertEqual([path for path in watched if (self.top / path).exists()], [])
        unit = (self.top / "lib/systemd/system/godwit-fs@.service").read_text()
        self.assertIn(f"ExecStart={self.prefix}/libexec/godwit-fs ", unit)

    def test_discovery(self):
        found = json.loads((self.top / "share/godwit/vhost-user/godwit-fs.json").read_text())
        self.assertEqual(set(found), {"description", "type", "binary", "features"})
        self.assertEqual(found["type"], "fs")
        self.assertEqual(found["binary"], f"{self.prefix}/libexec/godwit-fs")
        daemon = self.root / found["binary"].lstrip("/")
        self.assertTrue(os.access(daemon, os.X_OK))
        capabilities = json.loads(run(daemon, "--print-capabilities"))
        self.assertEqual(found["features"], capabilities["features"])

    def test_completion(self):
        script = self.top / "share/bash-completion/completions/godwit"
        words = run("bash", "-c", f'. {script}; COMP_WORDS=("$0" s); COMP_CWORD=1; _godwit;'
                    'echo "${COMPREPLY[@]}"', self.top / "bin/godwit").split()
        self.assertIn("status", words)

    def flags(self, *what):
        """What pkg-config says, with only this library to be found."""
        tool = shutil.which("pkg-config") or shutil.which("pkgconf")
        environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(self.lib / "pkgconfig"),
                       "PKG_CONFIG_SYSROOT_DIR": str(self.root),
                       "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
        return run(tool, *what, "godwit", env=environment).split()

    def test_program_in_c(self):
        program = self.work / "echo"
        sanitize = [] if SANITIZERS == "none" else [f"-fsanitize={SANITIZERS}"]
        run(*COMPILER, "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic",
            "-Werror", *sanitize, HERE / "echo.c", *self.flags("--cflags", "--libs"), "-pthread",
            "-o", program)
        self.assertIn("libgodwit.so.0", run("readelf", "-d", program))
        said = run(program, "who goes there", timeout=60,
                   env={**os.environ, "LD_LIBRARY_PATH": str(self.lib)})
        self.assertEqual(said, "who goes there\n")

    def test_device_in_cxx(self):
        compiler = os.environ.get("CXX", "c++").split()
        if not shutil.which(compiler[0]):
            self.skipTest(f"no C++ compiler ({compiler[0]})")
        headers = self.work / "all.h"
        headers.write_text("".join(f"#include <godwit/{path.name}>\n"
                                   for path in sorted((self.top / "include/godwit").iterdir())))
        run(*compiler, "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
            f'-DGODWIT_HEADERS="{headers}"', *self.flags("--cflags"), HERE / "device.cc")


unittest.main()
