#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the same cases on a file system of the host and, through a guest, on the share that lies on
it, and compares them. Exit status 0: no difference but the expected ones; 1; 77: skipped."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vm"))
# pylint: disable=wrong-import-position
import cases
import compare
import guest
from machine import Config, DaemonError, Lab, Machine, Skip, default_daemon
from qemu import QemuError
from vmtest import limit_time

SKIPPED = 77
TIME_LIMIT_S = 900
RUN_TIMEOUT = 600.0
PROGRAM, CASES = "posix-cases", "cases"  # in the guest

# The back-end's options; docs/posix.md has a column for each.
CONFIGS: dict[str, tuple[str, ...]] = {
    "default": ("--xattr",),
    "plain": (),
    "writeback": ("--xattr", "--writeback"),
    "always": ("--xattr", "--cache=always"),
    "never": ("--xattr", "--cache=never"),
    "metadata": ("--xattr", "--cache=metadata", "--allow-mmap"),
    "acl": ("--xattr", "--posix-acl"),
    "direct": ("--xattr", "--allow-direct-io", "--preserve-noatime"),
    "killpriv": ("--xattr", "--killpriv-v2"),
    "locks": ("--xattr", "--posix-lock", "--flock"),
    "mapped": ("--xattr", "--xattrmap=:map:trusted.:user.guest.:"),
}


class RunError(Exception):
    """The cases did not run to their end."""


FAILURES = (DaemonError, guest.GuestError, OSError, QemuError, RunError, compare.OutputError)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guest-dir", type=Path, required=True, help="from scripts/fetch-guest")
    parser.add_argument("--init", type=Path, required=True, help="the guest's program")
    parser.add_argument("--program", type=Path, required=True, help="what runs the cases")
    parser.add_argument("--daemon", required=True, help="the back-end; $DAEMON overrides it")
    parser.add_argument("--config", choices=CONFIGS, action="append", help="default: all")
    parser.add_argument("--cases", default="*", help="patterns of names; default: all")
    parser.add_argument("--sandbox", default="namespace", help="of the back-end")
    parser.add_argument("--keep", action="store_true", help="leave logs and share behind")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the expected ones too")
    return parser.parse_args()


def unprivileged() -> list[str]:
    """As an ordinary user there is much that neither side can do."""
    return [] if os.geteuid() == 0 else ["-u"]


class Host:
    """The cases, run here; begun at once, so that a guest can boot meanwhile."""

    def __init__(self, program: Path, cases_file: Path, beside: Path) -> None:
        # Removed with all that is in it, whatever its mode: pylint: disable=consider-using-with
        self._dir = tempfile.TemporaryDirectory(
            prefix="host-", dir=beside, ignore_cleanup_errors=True
        )
        os.chmod(self._dir.name, 0o755)
        command = [str(program), *unprivileged(), str(cases_file), self._dir.name]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def results(self) -> dict[str, list[str]]:
        """All of them, once they are there."""
        out, err = self._process.communicate(timeout=RUN_TIMEOUT)
        if self._process.returncode != 0:
            raise RunError(f"on the host: {err.strip() or self._process.returncode}")
        return compare.parse(out)

    def close(self) -> None:
        """Leaves nothing."""
        self._process.kill()
        self._process.communicate()
        self._dir.cleanup()


# What decides more than the file system does has to be as it is here.
SETTINGS = [
    f"/proc/sys/fs/protected_{what}" for what in ("hardlinks", "symlinks", "fifos", "regular")
]


def prepare(machine: Machine) -> list[str]:
    """The guest's kernel gets the host's settings and clock; what did not work."""
    commands = [f"set {path} {Path(path).read_text().strip()}" for path in SETTINGS]
    return [text for line in (*commands, "clock") for text in machine.guest.ask(line).failed]


def run_in_guest(lab: Lab) -> dict[str, list[str]]:
    """All cases on the share."""
    machine = lab.machine("A")
    (lab.share / "t").mkdir(mode=0o755)
    failed = prepare(machine)
    words = [f"/{PROGRAM}", *unprivileged(), f"/{CASES}", f"{guest.SHARE}/t"]
    ran = machine.guest.ask(f"run {guest.SHARE}/output {' '.join(words)}", RUN_TIMEOUT)
    output = lab.share / "output"
    text = output.read_text(errors="surrogateescape") if output.exists() else ""
    if failed or ran.failed:
        raise RunError("; ".join([*failed, *ran.failed, text[-400:]]))
    complaints = lab.kernel_complaints()
    if complaints:
        raise RunError("the guest's kernel: " + "; ".join(complaints))
    return compare.parse(text)


def show(name: str, verdict: compare.Verdict, seconds: float, verbose: bool) -> None:
    """What an operator reads."""
    for difference in verdict.unexpected:
        print(difference.describe())
    for text in verdict.gone:
        print(text)
    known = sum(len(names) for names in verdict.expected.values())
    for reason, names in verdict.expected.items():
        print(f"    {len(names):4} expected: {reason}")
        if verbose:
            print("         " + " ".join(names))
    print(
        f"{name}: {verdict.same} the same, {known} expected differences,"
        f" {len(verdict.unexpected)} others, {len(verdict.gone)} no longer,"
        f" {verdict.skipped} left out, {seconds:.1f} s",
        flush=True,
    )


def run_config(name: str, args: argparse.Namespace, chosen: dict[str, str]) -> bool:
    """Both sides with one set of options; is all as expected?"""
    start = time.monotonic()
    guest_dir = args.guest_dir.resolve()
    with tempfile.NamedTemporaryFile("w", prefix="godwit-cases-") as file:
        file.write(cases.as_lines(chosen))
        file.flush()
        config = Config(
            guest_dir,
            args.init,
            default_daemon(args.daemon),
            queues=2,
            say=lambda text: None,
            keep=args.keep,
            sandbox=args.sandbox,
            options=CONFIGS[name],
            programs={PROGRAM: args.program, CASES: Path(file.name)},
        )
        config.require()
        host = Host(args.program, Path(file.name), guest_dir)
        try:
            with Lab(config) as lab:
                there = run_in_guest(lab)
            here = host.results()
        finally:
            host.close()
    verdict = compare.judge(name, chosen, here, there, compare.load_expected())
    show(name, verdict, time.monotonic() - start, args.verbose)
    return verdict.passed()


def main() -> int:
    args = arguments()
    passed = True
    chosen = cases.load(args.cases)
    for name in args.config or CONFIGS:
        limit_time(TIME_LIMIT_S)
        try:
            passed = run_config(name, args, chosen) and passed
        except Skip as reason:
            print(reason)
            return SKIPPED
        except FAILURES as err:
            print(f"{name}: FAILED: {err}")
            passed = False
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
