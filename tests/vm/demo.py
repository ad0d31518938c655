#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A VM with a shared folder moves to another QEMU while it works. What `make demo` shows."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import qemu
from machine import Config, Lab, Skip, default_daemon
from scenarios import Outcome, Story
from vmtest import FAILURES, SKIPPED, limit_time

TIME_LIMIT_S = 300
PROGRESS_EVERY_S = 0.25

# What the names of the guest's checks stand for.
WORDS = {
    "log": "every line of the log, in order, as the guest and as the host see it",
    "churn": "the files that a second program made, renamed and removed all the while",
    "renamed-while-open": "a file that was renamed while open",
    "unlinked-while-open": "a file that is open and has no name any more",
    "tmpfile": "a file that never had a name (O_TMPFILE)",
    "write-only-mode-0": "a file open for writing that nobody may open",
    "first-link-gone": "a file of two names that lost its first",
    "shared-mmap": "a file mapped into memory, not yet written back",
    "file-offsets": "files open half way through, and at their end",
    "many-open-files": "a hundred open files at once",
    "removed-directory": "an open directory that was removed",
    "half-read-directory": "a directory listing read half way: no name twice, none missing",
    "working-directory": "a working directory, renamed under its process",
    "non-utf8-names": "names that are not UTF-8",
    "xattrs": "extended attributes",
    "held-flock": "a lock that is held",
    "attributes": "modes, times, symbolic links",
    "create-rename-unlink": "and creating, renaming, linking, unlinking, fsync after the move",
}


class Teller:
    """Prints what happens as it happens, with the time."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._start:7.1f} s  {text}", flush=True)

    def progress(self, story: Story, info: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last < PROGRESS_EVERY_S or "ram" not in info:
            return
        self._last = now
        ram = info["ram"]
        sent, left = ram["transferred"] >> 20, ram["remaining"] >> 20
        self.say(f"    {sent} MiB of memory sent, {left} MiB left; log at line {story.lines()}")


def table(outcome: Outcome) -> str:
    """The figures at the end."""
    moved = outcome.moves[0]
    before, after = outcome.marks
    rows = [
        ("lines written before the move", before),
        ("lines written while it moved", after - before),
        ("lines written after the move", outcome.lines - after),
        ("lines lost, doubled or damaged", 0),  # otherwise verify() would have raised
        ("migration, in all", f"{moved.total_ms} ms"),
        ("the guest stood still for", f"{moved.downtime_ms} ms (as QEMU reports)"),
        ("the longest single append took", f"{outcome.longest_append_ms} ms (in the guest's time)"),
        ("files made and renamed all the while", outcome.churned),
        ("files compared from the host", outcome.host_files),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


def summary(outcome: Outcome) -> str:
    survived = [f"  {WORDS.get(name, name)}" for name in outcome.verified]
    text = [table(outcome), "", "What the guest held while it moved, and still has:", *survived]
    if outcome.skipped:
        text += ["", "Not shown here:", *(f"  {skipped}" for skipped in outcome.skipped)]
    return "\n".join(text)


def show(config: Config, teller: Teller, checks: str) -> Outcome:
    with Lab(config) as lab:
        version = ".".join(map(str, qemu.version(qemu.binary()) or ()))
        teller.say(f"QEMU {version} ({lab.accel}), guest Linux {config.kernel}")
        story = Story(lab, checks)
        teller.say("starting machine B: a second back-end, a second QEMU, waiting")
        target = lab.machine("B", incoming=True)
        story.move_to(target, lambda info: teller.progress(story, info))
        return story.verify()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="where godwit was built")
    parser.add_argument("--queues", type=int, default=2, help="the share's request queues")
    parser.add_argument("--checks", default="", help="names of the guest's checks; default: all")
    args = parser.parse_args()
    build = args.build.resolve()
    teller = Teller()
    config = Config(
        guest_dir=build / "guest",
        init=build / "tests/vm/guest-init",
        daemon=default_daemon(str(build / "src/daemon/godwit-fs")),
        queues=args.queues,
        say=teller.say,
    )
    limit_time(TIME_LIMIT_S)
    try:
        outcome = show(config, teller, args.checks)
    except Skip as reason:
        print(f"the demo cannot run here: {reason}")
        return SKIPPED
    except FAILURES as err:
        print(f"\nSomething was lost, or did not work:\n{err}")
        return 1
    print(f"\nNothing was lost.\n\n{summary(outcome)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
