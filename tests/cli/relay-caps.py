#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit-relay keeps of root's capabilities those that it needs, and gets none back; an ordinary user needs none.

usage: relay-caps.py GODWIT-RELAY
"""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.abspath(sys.argv[1])
DAC_OVERRIDE, NET_BIND_SERVICE, ORDINARY, PATIENCE_S = 1 << 1, 1 << 10, 65534, 60


def status_of(pid):
    """/proc/PID/status."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def wait_for(what, process):
    """Until @what is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert process.poll() is None, process.returncode
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run(directory, user):
    """Its status while it waits for a front-end; it ends well, and leaves no socket behind."""
    paths = [directory / name for name in ("s", "s.control", "h")]
    command = [directory / "program", "--listen=127.0.0.1:0", f"--socket-path={paths[0]}", f"--handover-socket={paths[2]}"]
    with subprocess.Popen(command, user=user) as process:
        wait_for(lambda: all(path.exists() for path in paths), process)
        with socket.socket(socket.AF_UNIX) as operator:  # who is greeted when all is ready
            operator.settimeout(PATIENCE_S)
            operator.connect(str(paths[1]))
            assert operator.recv(1)
            status = status_of(process.pid)
        assert status["NoNewPrivs"] == "1", status
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    assert not any(path.exists() for path in paths), list(directory.iterdir())
    return [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")]


def main():
    """As root, and as somebody."""
    mine = int(status_of("self")["CapPrm"], 16) & (DAC_OVERRIDE | NET_BIND_SERVICE)
    with tempfile.TemporaryDirectory(prefix="gw-relay-") as name:
        # Where it was built somebody may not get to.
        shutil.copy(PROGRAM, pathlib.Path(name) / "program")
        assert run(pathlib.Path(name), None) == [mine, mine, 0, 0]
        if os.geteuid() == 0:
            os.chown(name, ORDINARY, ORDINARY)
            assert run(pathlib.Path(name), ORDINARY) == [0, 0, 0, 0]


main()
