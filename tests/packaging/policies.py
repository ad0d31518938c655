#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The rules for AppArmor and SELinux are ones: their compilers take them.

usage: policies.py apparmor PROFILE FOR-LIBVIRT
       policies.py selinux MODULE CONTEXTS

No kernel is asked: most test machines have neither.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77


def compiles(*command, **options):
    ran = subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, **options)
    if ran.returncode != 0:
        print(" ".join(map(str, command)), ran.stdout, sep="\n")
    return ran.returncode == 0


def apparmor(directory, profile, for_libvirt):
    def parses(path):
        return compiles("apparmor_parser", "--skip-kernel-load", "--skip-cache", "--quiet", path)

    # As libvirt's own profile would include it.
    whole = directory / "libvirtd"
    whole.write_text("include <tunables/global>\nprofile libvirtd /usr/sbin/libvirtd {\n"
                     f'  include "{for_libvirt}"\n}}\n', encoding="utf-8")
    broken = directory / "broken"
    broken.write_text(profile.read_text(encoding="utf-8").replace("capability chown,", "chown,"),
                      encoding="utf-8")
    return parses(profile) and parses(whole) and not parses(broken)


def selinux(directory, module, contexts):
    compiled, package = directory / f"{module.stem}.mod", directory / f"{module.stem}.pp"
    return (compiles("checkmodule", "-M", "-m", "-o", compiled, module)
            and compiles("semodule_package", "-o", package, "-m", compiled, "-f", contexts)
            and package.stat().st_size > 0)


def main():
    check, compiler = {"apparmor": (apparmor, "apparmor_parser"),
                       "selinux": (selinux, "checkmodule")}[sys.argv[1]]
    if not shutil.which(compiler):
        print(f"{compiler} is not installed (scripts/install-deps deb)")
        return SKIPPED
    with tempfile.TemporaryDirectory() as directory:
        files = [pathlib.Path(path).resolve() for path in sys.argv[2:]]
        return 0 if check(pathlib.Path(directory), *files) else 1


sys.exit(main())
