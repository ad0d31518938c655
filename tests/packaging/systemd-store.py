#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""--recover=systemd with a real systemd: as a user's service manager, in namespaces of its own. The back-end is
killed under a front-end that stays connected.

usage: systemd-store.py RECOVER.CONF GODWIT-FS
"""
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

CONF, PROGRAM = pathlib.Path(sys.argv[1]).resolve(), os.path.abspath(sys.argv[2])
SYSTEMD, MANAGER = "/lib/systemd/systemd", ["systemctl", "--user", "--no-pager"]
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
GET_FEATURES, VERSION = 1, 1
GROUPS = [pathlib.Path("/sys/fs/cgroup") / name / "init.scope" for name in ("", "systemd", "unified")]
KILLS, PATIENCE_S = 8, 60
SKIPPED = 77


def until(what, why):
    """What @what returns, once that is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (result := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return result


def ask(front_end):
    """GET_FEATURES, and the answer."""
    front_end.sendall(struct.pack("<III", GET_FEATURES, VERSION, 0))
    answer = front_end.recv(64)
    assert len(answer) == 20 and struct.unpack("<I", answer[:4])[0] == GET_FEATURES, answer
    return answer


def show(what):
    """Of the service."""
    return subprocess.run([*MANAGER, "show", "fs.service", "--value", "-p", what], capture_output=True, text=True,
                          check=False).stdout.strip()


def main_pid():
    """0: there is none."""
    pid = show("MainPID")
    return int(pid) if pid.isdigit() else 0


def connect(path):
    """Once somebody listens."""
    front_end = socket.socket(socket.AF_UNIX)
    front_end.settimeout(PATIENCE_S)

    def tried():
        try:
            front_end.connect(str(path))
            return True
        except OSError:
            return False
    until(tried, "nobody listens")
    return front_end


def kill_and_ask(front_end, first):
    """Of each life another process; the answer is the same, on the same connection."""
    for turn in range(KILLS):
        before = main_pid()
        kept = int(show("NFileDescriptorStore"))
        assert kept >= 6, f"{kept} descriptors are kept"
        if turn % 2:
            os.kill(before, signal.SIGKILL)
        else:  # as an upgrade goes
            subprocess.run([*MANAGER, "kill", "--signal=KILL", "fs.service"], check=True)
        assert ask(front_end) == first
        until(lambda: main_pid() not in (0, before), "no other process")
        assert ask(front_end) == first
    print(f"{KILLS} times killed, {show('NRestarts')} times started again, {kept} descriptors kept")


def inside(directory):
    """In a mount and PID namespace of our own."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    runtime, configuration = pathlib.Path("/run/user"), directory / "configuration"
    units = configuration / "systemd" / "user"
    for path in (runtime, units, pathlib.Path("/run/systemd/system"), directory / "share"):
        path.mkdir(parents=True)
    os.chmod(runtime, 0o700)
    os.environ.update(XDG_RUNTIME_DIR=str(runtime), XDG_CONFIG_HOME=str(configuration))
    path = directory / "socket"
    (units / "fs.service").write_text(
        CONF.read_text(encoding="utf-8") +
        f"ExecStart={PROGRAM} --recover=systemd --socket-path={path} --shared-dir={directory / 'share'}\n"
        "Restart=always\nKillMode=mixed\n", encoding="utf-8")
    manager = subprocess.Popen([SYSTEMD, "--user", "--unit=fs.service"])
    try:
        front_end = connect(path)
        kill_and_ask(front_end, ask(front_end))
        front_end.close()
        # It ends by itself, and nothing of it is kept for the one that is started for the next VM.
        connect(path).close()
    finally:
        manager.terminate()
        manager.wait(PATIENCE_S)


def can_be_tried():
    """What is missing, or nothing."""
    if os.geteuid() != 0:
        return "only root can make the namespaces: run the tests as root"
    if not os.path.exists(SYSTEMD) or not shutil.which("systemctl"):
        return "systemd is not installed (apt-get install systemd)"
    if os.path.isdir("/run/systemd/system"):
        return "a systemd looks after this machine, and is not to be disturbed: run the tests in a container"
    if not os.access("/sys/fs/cgroup/systemd", os.W_OK) and not os.access("/sys/fs/cgroup/cgroup.procs", os.W_OK):
        return "control groups are read-only here: a systemd could not run"
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return "namespaces cannot be made here: run the tests where they may be"
    return None


def main():
    if os.environ.get("GW_INSIDE"):
        inside(pathlib.Path(os.environ["GW_INSIDE"]))
        return 0
    missing = can_be_tried()
    if missing:
        print(missing)
        return SKIPPED
    groups = [path for path in GROUPS if not path.exists()]
    try:
        with tempfile.TemporaryDirectory(prefix="gw-systemd-") as directory:
            return subprocess.run([*UNSHARE, sys.executable, *sys.argv], env={**os.environ, "GW_INSIDE": directory},
                                  timeout=240, check=False).returncode
    finally:
        for path in groups:  # which it leaves behind
            if path.exists():
                path.rmdir()


sys.exit(main())
