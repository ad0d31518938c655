#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run godwit conform against the back-ends of other makes that this machine has, and print a table.

usage: conform.py BUILD
environment: VIRTIOFSD, PASST, QEMU_STORAGE_DAEMON: programs to take instead of those in PATH

virtiofsd runs without its sandbox: a parent process would hide what it dies of.

A finding is the other make's, not a failure here. What fails is a check that does not come to a
verdict, or a back-end that should be there and cannot be talked to.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(sys.argv[1])
GODWIT = f"{BUILD}/src/cli/godwit"


def program(variable, *places):
    """The first that is there."""
    for place in (os.environ.get(variable), *places):
        found = place and shutil.which(place)
        if found:
            return found
    return None


def says(command, words):
    """Does its help speak of what is needed?"""
    ran = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    return words in ran.stdout + ran.stderr


def version(name, command):
    """The first line of what it says of itself."""
    ran = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return (ran.stdout or f"{name} of an unknown version").splitlines()[0].strip()


def peers(share, disk):
    """Name, type, command; or name and why not."""
    yield "godwit-fs", "fs", f"{BUILD}/src/daemon/godwit-fs --shared-dir={share} --tag=t --log-level=off --socket-path={{socket}}"
    virtiofsd = program("VIRTIOFSD", "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd")
    if virtiofsd:
        yield version("virtiofsd", virtiofsd), "fs", f"{virtiofsd} --sandbox=none --shared-dir={share} --log-level=off --inode-file-handles=never --socket-path={{socket}}"
    else:
        yield "virtiofsd", None, "not installed; VIRTIOFSD=path"
    passt = program("PASST", "passt")
    if passt and says(passt, "--vhost-user"):
        yield version("passt", passt), "net", f"{passt} -q -f -1 --runas 0:0 --vhost-user -s {{socket}}"
    else:
        yield "passt", None, "not installed, or too old for vhost-user; PASST=path"
    qsd = program("QEMU_STORAGE_DAEMON", "qemu-storage-daemon")
    if qsd:
        yield (
            version("qemu-storage-daemon", qsd),
            "block",
            f"{qsd} --blockdev file,node-name=f,filename={disk} --export vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path={{socket}}",
        )
    else:
        yield "qemu-storage-daemon", None, "not installed; QEMU_STORAGE_DAEMON=path"


def run(kind, command):
    """Each check's verdict."""
    ran = subprocess.run(
        [GODWIT, "conform", "--json", "--type", kind, "--timeout", "3000", "--exec", command],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=900, check=False,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def report(name, checks):
    """One line, and what it gets wrong."""
    count = {v: sum(c["verdict"] == v for c in checks) for v in ("pass", "fail", "skip")}
    must = sum(c["verdict"] == "fail" and c["level"] == "must" for c in checks)
    print(f"\n### {name}\n\n{count['pass']} passed, {must} failed of those that must be, "
          f"{count['fail'] - must} of those that should; {count['skip']} do not apply\n")
    if count["fail"]:
        print("| check | level | seen |\n| --- | --- | --- |")
    for check in checks:
        if check["verdict"] == "fail":
            print(f"| `{check['check']}` | {check['level']} | {check['seen'].replace('|', '/')} |")
    sys.stdout.flush()


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gw-interop-") as share:
        os.chmod(share, 0o755)
        with open(f"{share}/disk", "wb") as disk:
            disk.truncate(16 << 20)
        for name, kind, how in peers(share, f"{share}/disk"):
            if not kind:
                print(f"\n### {name}\n\nskipped: {how}")
                continue
            checks = run(kind, how)
            if not checks:
                print(f"\n### {name}\n\ncould not be talked to: {how}")
                failed = 1
                continue
            report(name, checks)
            failed |= any("came to no end" in c.get("seen", "") for c in checks)
    return failed


sys.exit(main())
