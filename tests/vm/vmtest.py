#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the VM test's scenarios; exit status 0 passed, 1 failed, 77 skipped (it says why)."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from guest import GuestError
from machine import Config, DaemonError, Lab, Skip, default_daemon
from migration import MigrationError
from qemu import QemuError
import ordered
from scenarios import SCENARIOS, Lost

SCENARIOS.update(ordered.SCENARIOS)
SKIPPED = 77
FAILURES = (DaemonError, GuestError, Lost, MigrationError, OSError, QemuError)
SCENARIO_LIMIT_S = 200


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guest-dir", type=Path, required=True, help="from scripts/fetch-guest")
    parser.add_argument("--init", type=Path, required=True, help="the guest's program")
    parser.add_argument("--daemon", default="virtiofsd", help="the back-end; $DAEMON overrides it")
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="default: all")
    parser.add_argument("--checks", default="", help="names of the guest's checks; default: all")
    parser.add_argument("--queues", type=int, default=2, help="the share's request queues")
    parser.add_argument("--sandbox", default="namespace", help="of the back-ends")
    parser.add_argument("--migration-mode", help="of the back-ends")
    parser.add_argument("--nofile", type=int, help="descriptors that the back-ends may have")
    parser.add_argument("--user", type=int, help="the back-ends run as this user; default: as we")
    parser.add_argument("--may-skip", action="store_true", help="checks may be skipped")
    parser.add_argument("--keep", action="store_true", help="leave logs and share behind")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what happens")
    return parser.parse_args()


def limit_time(seconds: int) -> None:
    """Whatever hangs, and whoever ends us: everything started is ended, everything made removed."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"not done in {seconds} s")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)


def run(name: str, args: argparse.Namespace) -> bool:
    """One scenario; did it pass?"""
    start = time.monotonic()
    limit_time(SCENARIO_LIMIT_S + 4 * int(os.environ.get("MODEL_SECONDS", "0")))

    def say(text: str) -> None:
        if args.verbose:
            print(f"  {time.monotonic() - start:6.2f} {text}", flush=True)

    daemon = default_daemon(args.daemon)
    config = Config(
        args.guest_dir.resolve(), args.init, daemon, args.queues, say, args.keep, args.sandbox
    )
    config.user, config.nofile = args.user, args.nofile
    if args.migration_mode:
        config.options += ("--migration-mode", args.migration_mode)
    if args.user is not None and os.geteuid() != 0:
        raise Skip("only root can start back-ends as somebody else")
    try:
        with Lab(config) as lab:
            outcome = SCENARIOS[name](lab, args.checks)
    except FAILURES as err:
        print(f"{name}: FAILED: {err}")
        return False
    for skipped in outcome.skipped:
        print(f"{name}: not checked: {skipped}")
    took = time.monotonic() - start
    print(f"{name}: {len(outcome.verified)} things verified, {outcome.lines} lines, {took:.1f} s")
    return args.may_skip or not outcome.skipped


def main() -> int:
    args = arguments()
    passed: list[bool] = []
    reasons: set[str] = set()
    for name in args.only or SCENARIOS:
        try:
            passed.append(run(name, args))
        except Skip as reason:
            reasons.add(str(reason))
    for text in reasons:
        print(text)
    if reasons and not passed:
        return SKIPPED
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
