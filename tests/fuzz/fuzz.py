#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzes one parser for FUZZ_SECONDS (else for one), beginning from its seeds.

usage: fuzz.py NAME PROGRAM SEEDS

With libFuzzer, where a build of it lies in the directory FUZZERS (scripts/build-fuzzers); else
PROGRAM changes seeds without knowing what they reach. What ended it is left for a look.
"""
import os
import random
import subprocess
import sys
import tempfile

TIMEOUT = 30  # for one input, on a busy machine


def main():
    name, program, seeds = sys.argv[1:]
    seconds = os.environ.get("FUZZ_SECONDS", "1")
    built = os.path.join(os.environ.get("FUZZERS", "/nonexistent"), "tests/fuzz", f"fuzz-{name}")
    program = built if os.path.exists(built) else program
    number = random.randrange(1, 1 << 31)
    findings = tempfile.mkdtemp(prefix=f"gw-fuzz-{name}.")
    with tempfile.TemporaryDirectory() as corpus:
        command = [program, f"-max_total_time={seconds}", f"-timeout={TIMEOUT}", f"-seed={number}",
                   "-rss_limit_mb=2048", "-print_final_stats=1",
                   f"-artifact_prefix={findings}/", corpus, seeds]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                             text=True, errors="replace",
                             env={"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
                                  **os.environ})
    print(f"{program}, seed {number}")
    print(*ran.stdout.splitlines()[-60 if ran.returncode else -8:], sep="\n")
    if os.listdir(findings):
        print(f"see {findings}")
    else:
        os.rmdir(findings)
    return 1 if ran.returncode else 0


sys.exit(main())
