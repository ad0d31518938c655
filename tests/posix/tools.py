#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs fio with verification, stress-ng and dbench in a guest, on the share from which they are also
loaded. Exit status 0: all of them were content; 1; 77: skipped (it says why)."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vm"))
# pylint: disable=wrong-import-position
import guest
from machine import Config, DaemonError, Lab, Machine, Skip, default_daemon
from qemu import QemuError
from vmtest import limit_time

SKIPPED = 77
FAILURES = (DaemonError, guest.GuestError, OSError, QemuError)
TIME_LIMIT_S = 3600
RUN_TIMEOUT = 900.0
TOOLS, WORK = f"{guest.SHARE}/tools", f"{guest.SHARE}/work"
DBENCH_LOAD = Path("/usr/share/dbench/client.txt")

FIO = f"fio --directory={WORK} --thread --verify=crc32c --verify_fatal=1 --fallocate=none --size=8M"
# What asks for more than a file system, or for a block device beneath it, says so and does not count.
STRESSORS = """access chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl
    fiemap file-ioctl filename flock fpunch fsize fstat getdent hdd io iomix link locka lockf
    lockofd mknod open readahead rename seek symlink sync-file touch utime xattr"""


@dataclass
class Job:
    """One command, and what its output has to say."""

    name: str
    command: str
    says: str


def jobs(seconds: int) -> list[Job]:
    """All of them; stress-ng gives each of its stressors so many seconds."""
    clean = r"err= 0"
    table = [
        Job("fio, random, two jobs", f"{FIO} --name=a --rw=randrw --bs=4k --numjobs=2", clean),
        Job("fio, odd sizes", f"{FIO} --name=b --rw=randwrite --bsrange=512-64k", clean),
        Job("fio, mapped", f"{FIO} --name=c --rw=randwrite --bs=4k --ioengine=mmap", clean),
        Job("fio, O_DIRECT", f"{FIO} --name=d --rw=randrw --bs=16k --direct=1", clean),
        Job("fio, O_SYNC", f"{FIO} --name=e --rw=write --bs=64k --sync=1 --size=4M", clean),
        Job("dbench", f"dbench -c {TOOLS}/client.txt -D {WORK} -t {3 * seconds} 2", r"Throughput"),
    ]
    for name in STRESSORS.split():
        command = f"stress-ng --{name} 1 --timeout {seconds} --temp-path {WORK} --verify"
        table.append(Job(f"stress-ng {name}", command, r"successful run completed"))
    return table


def collect(tool: str, into: Path) -> None:
    """A program and the libraries that it is linked with."""
    path = shutil.which(tool)
    if path is None:
        raise Skip(f"no {tool} here; scripts/install-deps fs-tools gets it")
    shutil.copy(path, into / "bin")
    text = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", text):
        shutil.copy(library, into / "lib")


def in_guest(machine: Machine, job: Job, output: Path) -> str | None:
    """Runs it; what it has to complain of."""
    tool, *words = job.command.split()
    loader = next((output.parent / "tools" / "lib").glob("ld-linux*"))
    command = [f"{TOOLS}/lib/{loader.name}", "--library-path", f"{TOOLS}/lib", f"{TOOLS}/bin/{tool}"]
    line = " ".join([f"{guest.SHARE}/{output.name}", *command, *words])
    ran = machine.guest.ask(f"run {line}", RUN_TIMEOUT)
    text = output.read_text(errors="replace") if output.exists() else ""
    if ran.failed or not re.search(job.says, text):
        return "; ".join([*ran.failed, *text.splitlines()[-6:]])
    return None


def run_all(lab: Lab, seconds: int) -> list[str]:
    """Each job in a row; those that failed."""
    failed = []
    tools = lab.share / "tools"
    for directory in (tools / "bin", tools / "lib", lab.share / "work"):
        directory.mkdir(parents=True)
    for tool in ("fio", "stress-ng", "dbench"):
        collect(tool, tools)
    shutil.copy(DBENCH_LOAD, tools)
    machine = lab.machine("A")
    for job in jobs(seconds):
        start = time.monotonic()
        trouble = in_guest(machine, job, lab.share / "output")
        took = time.monotonic() - start
        print(f"{job.name}: {trouble or 'passed'}, {took:.1f} s", flush=True)
        if trouble:
            failed.append(job.name)
    return failed + [f"the guest's kernel: {line}" for line in lab.kernel_complaints()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guest-dir", type=Path, required=True, help="from scripts/fetch-guest")
    parser.add_argument("--init", type=Path, required=True, help="the guest's program")
    parser.add_argument("--daemon", required=True, help="the back-end; $DAEMON overrides it")
    parser.add_argument("--seconds", type=int, default=2, help="for each stressor")
    args = parser.parse_args()
    daemon = default_daemon(args.daemon)
    config = Config(
        args.guest_dir.resolve(), args.init, daemon, queues=2, say=print, options=("--xattr",)
    )
    limit_time(TIME_LIMIT_S)
    try:
        with Lab(config) as lab:
            failed = run_all(lab, args.seconds)
    except Skip as reason:
        print(reason)
        return SKIPPED
    except FAILURES as err:
        print(f"FAILED: {err}")
        return 1
    for name in failed:
        print(f"failed: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
