#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every gate of `godwit migrate` with two real QEMUs, whose guest is played (played.py): closed it
names the gate, begins nothing and leaves the guest where it is. First of all the table in the
source, the scenarios here and the table in the page are compared: a gate without a scenario, that
is not among those which are scripted for a reason, fails the test.

usage: gates.py --godwit GODWIT --daemon GODWIT-FS --older GODWIT-FS --later GODWIT-FS
       --null GODWIT-NULL --root DIR [--only NAME]... [--print]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import qemu
from bench import Bench, Wrong, expect
from closed import SCENARIOS, SCRIPTED, Scenario, all_scenarios
from machine import DaemonError, Skip
from vmtest import SKIPPED, limit_time

TIME_LIMIT_S = 400

# -- what stands in the source, and in the page ---------------------------------------------------


@dataclass
class Tables:
    """Gates and reasons, in the order of the source; the page's rows."""

    sentences: dict[str, str]
    reasons: list[str]
    page: list[str]

    @staticmethod
    def read(root: Path) -> Tables:
        gates = (root / "src/cli/migrate/gates.c").read_text()
        rows = re.findall(r'^\t\{"([a-z-]+)",\s+"([^"]*)"', gates, re.M)
        names = (root / "src/model/names.c").read_text()
        reasons = re.findall(r'^\t\[GW_[A-Z_]+\] = "([a-z-]+)"', names, re.M)
        page = (root / "docs/orchestrating.md").read_text().splitlines()
        gates_have = ("accepted", *dict(rows))
        return Tables(dict(rows), [one for one in reasons if one not in gates_have], page)


def told_rows(tables: Tables) -> list[str]:
    """The page's table of how each gate is tested."""
    rows = []
    for code in (*tables.sentences, *tables.reasons):
        told = [text(scenario) for scenario in SCENARIOS.get(code, [])]
        if code in SCRIPTED:
            told.append(f"scripted: {SCRIPTED[code]}")
        rows.append(f"| `{code}` | {'; '.join(told)} |")
    return rows


def text(scenario: Scenario) -> str:
    words = " ".join((scenario.run.__doc__ or "").split()).rstrip(".")
    return words[:1].lower() + words[1:]


def compare(tables: Tables) -> None:
    """Raises Wrong unless each gate has a scenario or a reason, and the page says which."""
    if len(tables.sentences) < 28:
        raise Wrong(f"only {len(tables.sentences)} gates found in the source")
    for code in (*tables.sentences, *tables.reasons):
        if (code in SCENARIOS) == (code in SCRIPTED):
            raise Wrong(f"gate {code}: a scenario, or else a reason why it is scripted only")
    known = {*tables.sentences, *tables.reasons}
    expect("scenarios of no gate", {*SCENARIOS, *SCRIPTED} - known, set())
    for row in told_rows(tables):
        if row not in tables.page:
            raise Wrong(f"docs/orchestrating.md lacks the row (--print has all):\n{row}")


# -- all ------------------------------------------------------------------------------------------

FAILURES = (Wrong, DaemonError, OSError, TimeoutError, qemu.QemuError, subprocess.SubprocessError)


def run(bench: Bench, scenario: Scenario) -> bool:
    start, name = time.monotonic(), " ".join((scenario.name, *scenario.codes))
    try:
        with bench.scenario():
            scenario.run(bench)
        if not scenario.last:
            bench.opens()
    except FAILURES as err:
        print(f"{name}: FAILED: {err}")
        bench.show_logs()
        return False
    print(f"{name}: {time.monotonic() - start:.2f} s", *bench.noted, sep="; ", flush=True)
    bench.noted.clear()
    return True


def require() -> None:
    found = qemu.version(qemu.binary())
    if found is None or found < qemu.OLDEST_VERSION:
        raise Skip(f"no {qemu.binary()} of 8.2 or newer here; scripts/install-deps gets it")


def run_together(bench: Bench, scenarios: list[Scenario]) -> int:
    """How many passed, up to the first that did not: what it leaves is no start for the next."""
    for number, scenario in enumerate(scenarios):
        if not run(bench, scenario):
            return number
    return len(scenarios)


def run_all(args: argparse.Namespace, tables: Tables) -> bool:
    left = [one for one in all_scenarios() if not args.only or one.name in args.only]
    failed = not left
    while left:
        bench = Bench(args, tables.sentences)
        try:
            passed = run_together(bench, left)
        finally:
            bench.close()
        failed = failed or passed < len(left)
        left = left[passed + 1 :]
    return not failed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("godwit", "daemon", "older", "later", "null"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--root", type=Path, required=True, help="of the source")
    parser.add_argument("--only", action="append", help="scenarios; default: all")
    parser.add_argument("--print", action="store_true", help="the page's table, and nothing else")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    tables = Tables.read(args.root)
    if args.print:
        print("\n".join(told_rows(tables)))
        return 0
    try:
        compare(tables)
        require()
        limit_time(TIME_LIMIT_S)
        return 0 if run_all(args, tables) else 1
    except Skip as reason:
        print(reason)
        return SKIPPED
    except (Wrong, DaemonError, qemu.QemuError) as err:
        print(f"FAILED: {err}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
