#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a reload of the unit executes, shut in as the unit says, beside a back-end that is: it sees what is kept, asks
what is installed, and lets that come.

usage: unit-upgrade.py UNIT GODWIT GODWIT-FS
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

UNIT, GODWIT, GODWIT_FS = (os.path.abspath(path) for path in sys.argv[1:])
CONFINE = pathlib.Path(__file__).resolve().parent / "confine.py"
SKIPPED, PATIENCE_S = 77, 60


def keep(listener):
    """In systemd's place: what is put into the store, and nothing else, is kept."""
    kept = []
    while True:
        said, fds, _, _ = socket.recv_fds(listener, 4096, 64)
        if b"FDSTORE=1" in said:
            kept += fds
        else:
            for fd in fds:
                os.close(fd)


def confined(*command, **how):
    """Started as the unit would."""
    return subprocess.Popen([sys.executable, CONFINE, UNIT, *map(str, command)], **how)


def start(directory):
    """A back-end, which is ready."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(directory / "notify"))
    threading.Thread(target=keep, args=(listener,), daemon=True).start()
    (directory / "share").mkdir()
    daemon = confined(directory / "program", "--recover=systemd", f"--socket-path={directory / 's'}",
                      f"--shared-dir={directory / 'share'}", "--log-level=error",
                      env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify")})
    deadline = time.monotonic() + PATIENCE_S
    while subprocess.run([GODWIT, "status", f"{directory / 's'}.control"], capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline and daemon.poll() is None, daemon.poll()
        time.sleep(0.02)
    return daemon


def reload(directory):
    """The unit's ExecReload=."""
    ran = confined(GODWIT, "upgrade", f"--control-socket={directory / 's'}.control", stdout=subprocess.PIPE, text=True)
    said, _ = ran.communicate(timeout=PATIENCE_S)
    return ran.returncode, said


def run(directory):
    """One that cannot, and one that can."""
    program = directory / "program"
    shutil.copy(GODWIT_FS, program)
    daemon = start(directory)
    try:
        os.replace(shutil.copy("/bin/false", directory / "other"), program)
        code, said = reload(directory)
        assert code == 1 and "refused" in said, (code, said)
        assert daemon.poll() is None
        os.replace(shutil.copy(GODWIT_FS, directory / "other"), program)
        code, said = reload(directory)
        assert code == 0 and "can go on" in said, (code, said)
        assert daemon.wait(PATIENCE_S) == -signal.SIGKILL
    finally:
        daemon.kill()
        daemon.wait()


def main():
    if os.geteuid() != 0:
        print("only root can shut in others: run the tests as root")
        return SKIPPED
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed (scripts/install-deps deb)")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="gw-unit-upgrade-") as name:
        run(pathlib.Path(name))
    return 0


sys.exit(main())
