#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A real VM moves while `godwit trace` stands between its QEMUs and their back-ends: nothing is lost by that,
and what was said is told and drawn.

usage: traced.py GODWIT GODWIT-FS OPTIONS OF vmtest.py
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

GODWIT, DAEMON = (os.path.abspath(path) for path in sys.argv[1:3])
VMTEST = pathlib.Path(__file__).with_name("vmtest.py")
SKIPPED = 77


def move(directory):
    """The move; ends here where it cannot be tried."""
    program = directory / "daemon"
    program.write_text(f"#!/bin/sh\nexec {GODWIT} trace --json -o {directory}/$$.json -- {DAEMON} \"$@\"\n")
    program.chmod(0o755)
    ran = subprocess.run([sys.executable, VMTEST, "--only", "live", "--daemon", DAEMON, *sys.argv[3:]], check=False,
                         env={**os.environ, "DAEMON": str(program)})
    if ran.returncode:
        sys.exit(ran.returncode)


def main():
    """The move, the two traces, the picture."""
    with tempfile.TemporaryDirectory(prefix="gw-traced-") as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        move(directory)
        traces = {path: [json.loads(line) for line in path.read_text().splitlines()] for path in directory.glob("*.json")}
        assert len(traces) == 2, traces.keys()
        source, destination = sorted(traces, key=lambda path: traces[path][0]["us"])
        for path, direction in (source, "00000000"), (destination, "01000000"):
            told = [(m["name"], m["from"], m["payload"]) for m in traces[path]]
            assert ("SET_DEVICE_STATE_FD", "front-end", direction + "00000000") in told, told
            assert ("CHECK_DEVICE_STATE", "back-end", "00" * 8) in told, told
        picture = directory / "move.svg"
        subprocess.run([GODWIT, "trace", "--svg", picture, "--read", source, "--read", destination], check=True)
        blackout = re.search(r"blackout ([0-9.]+) ms", picture.read_text())
        assert blackout and float(blackout[1]) > 0, "no blackout is drawn"
        print(f"{len(traces[source])} and {len(traces[destination])} messages, {blackout[0]}")


main()
