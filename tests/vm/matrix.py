#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Guests move in every way that back-ends can be told to: what `make check` has one of each of.

usage: matrix.py [--only WORD]... OPTIONS OF vmtest.py

Each line of the matrix is one run of vmtest.py: a --migration-mode, who the back-ends run as, how many
descriptors they may have, and how the guest gets to its destination. WORD picks lines. Exit status 0:
all passed; 1: one failed; 77: none could run. Ends with a table for docs/results.md.
"""
import itertools
import os
import pathlib
import subprocess
import sys
import time

VMTEST = pathlib.Path(__file__).with_name("vmtest.py")
MODES = ("auto", "find-paths", "file-handles")
WAYS = ("live", "twice", "snapshot", "program")
LIMITS = (None, 1024)
NOBODY = 65534
SKIPPED = 77


def lines():
    """(words that name it, options of vmtest.py)"""
    root = os.geteuid() == 0
    users = (None, NOBODY) if root else (None,)
    for mode, user, nofile, way in itertools.product(MODES, users, LIMITS, WAYS):
        # Opening by handle is not for an ordinary user; the program ends at its start and says so.
        ordinary = user is not None or not root
        if ordinary and mode == "file-handles":
            continue
        words = [mode, "user" if ordinary else "root", str(nofile or "any"), way]
        options = ["--migration-mode", mode, "--only", way]
        options += [] if user is None else ["--user", str(user)]
        options += [] if nofile is None else ["--nofile", str(nofile)]
        yield words, options
    yield (["auto", "root" if root else "user", "any", "copied"],
           ["--migration-mode", "auto", "--only", "copied"])


def run(options):
    """Status, seconds, and what it said last."""
    start = time.monotonic()
    ran = subprocess.run([sys.executable, VMTEST, *options], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    said = ran.stdout.strip().splitlines() or ["nothing said"]
    if ran.returncode not in (0, SKIPPED):
        print(ran.stdout, flush=True)
    return ran.returncode, time.monotonic() - start, said[-1]


def main():
    arguments, only = sys.argv[1:], []
    while arguments[:1] == ["--only"]:
        only.append(arguments[1])
        arguments = arguments[2:]
    table, statuses, said = [], [], "no line of the matrix was picked"
    for words, options in lines():
        if any(word not in words for word in only):
            continue
        status, seconds, said = run([*options, *arguments])
        outcome = {0: "passed", SKIPPED: "skipped"}.get(status, "FAILED")
        print(f"{' '.join(words)}: {outcome}, {seconds:.0f} s: {said}", flush=True)
        table.append([*words, outcome, f"{seconds:.0f} s"])
        statuses.append(status)
    print("| mode | as | descriptors | way | | took |", "| --- | --- | --- | --- | --- | --- |",
          *(f"| {' | '.join(row)} |" for row in table), sep="\n")
    if all(status == SKIPPED for status in statuses):
        print(said)
        return SKIPPED
    return 0 if all(status in (0, SKIPPED) for status in statuses) else 1


if __name__ == "__main__":
    sys.exit(main())
