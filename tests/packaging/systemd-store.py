#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""--recover=systemd with a real systemd: as a user's service manager, in namespaces of its own. The back-end is
killed under a front-end that stays connected, and upgraded: to a build that can go on, and not to one that cannot.

usage: systemd-store.py RECOVER.CONF GODWIT-FS GODWIT
"""
import errno
import json
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

CONF, PROGRAM, GODWIT = pathlib.Path(sys.argv[1]).resolve(), os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
SYSTEMD, MANAGER = "/lib/systemd/systemd", ["systemctl", "--user", "--no-pager"]
UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
GET_FEATURES, VERSION = 1, 1
ROOTS = [pathlib.Path("/sys/fs/cgroup") / name for name in ("", "systemd", "unified")]
VMS, KILLS, PATIENCE_S, LATE_S = 2, 4, 60, 200
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


def another_than(pid):
    """The service's process that comes after @pid."""
    return until(lambda: (now := main_pid()) != pid and now, f"no other process than {pid}")


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
        another_than(before)
        assert ask(front_end) == first
    assert kept == int(show("NFileDescriptorStore")), show("NFileDescriptorStore")
    print(f"{KILLS} times killed, {show('NRestarts')} times started again, {kept} descriptors kept")


def install(what, program):
    """In the place of @program, as a package manager does it."""
    new = program.with_suffix(".new")
    if isinstance(what, bytes):
        new.write_bytes(what)
    else:
        shutil.copy(what, new)
    new.chmod(0o755)
    os.replace(new, program)


def upgrade(path):
    """Exit code, result, and what it says beside."""
    ran = subprocess.run([GODWIT, "upgrade", "--json", f"--control-socket={path}.control"], capture_output=True, text=True,
                         timeout=120, check=False)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)["upgrade"]["result"], ran.stderr


def other_layout():
    """A build whose journal is not this one's."""
    code = pathlib.Path(PROGRAM).read_bytes()
    assert b"GWJRNAL1" in code
    return code.replace(b"GWJRNAL1", b"GWJRNAL2")


def upgrade_and_ask(path, program, front_end, first):
    """What could not go on is refused before anything is touched; what can does."""
    before = main_pid()
    for what, why in ((other_layout(), "journal: of another build"), ("/bin/false", "it cannot go on"),
                      (os.devnull, "cannot be started")):
        install(what, program)
        code, result, said = upgrade(path)
        assert (code, result) == (1, "refused") and why in said, (code, result, said)
        assert main_pid() == before
        assert ask(front_end) == first
    os.remove(program)
    assert upgrade(path)[:2] == (1, "refused")
    install(PROGRAM, program)
    code, result, said = upgrade(path)
    assert (code, result) == (0, "done"), (code, result, said)
    assert main_pid() != before and os.path.samefile(f"/proc/{main_pid()}/exe", program)
    assert ask(front_end) == first
    before = main_pid()
    subprocess.run([*MANAGER, "reload", "fs.service"], check=True, timeout=PATIENCE_S)
    assert ask(front_end) == first
    another_than(before)
    install(other_layout(), program)
    before = main_pid()
    assert subprocess.run([*MANAGER, "reload", "fs.service"], check=False, timeout=PATIENCE_S).returncode
    assert main_pid() == before
    assert ask(front_end) == first
    print("upgraded, twice to what can go on")


def killed_and_not_ready(program, front_end, first):
    """What is installed cannot go on, and nobody has asked before: what is kept stays kept for a build that can."""
    install(other_layout(), program)
    os.kill(main_pid(), signal.SIGKILL)
    until(lambda: int(show("NRestarts") or 0) > KILLS + 4, "it is not started again")
    install(PROGRAM, program)
    assert ask(front_end) == first
    print(f"{show('NRestarts')} times started again, by the right build in the end")


def next_vm(path, before):
    """It ended by itself when its front-end left, and nothing of it is kept for the one that comes after @before. Its
    process, and its front-end."""
    now = another_than(before)
    front_end = connect(path)
    ask(front_end)
    # Whoever had connected to the one before would have been answered by nobody.
    assert main_pid() == now, f"{main_pid()} has come in the place of {now}"
    return now, front_end


def serve(path, program):
    """Of one VM after the other, as long as the service is started again."""
    front_end = connect(path)
    first = ask(front_end)
    upgrade_and_ask(path, program, front_end, first)
    killed_and_not_ready(program, front_end, first)
    for _ in range(VMS):
        kill_and_ask(front_end, first)
        before = main_pid()
        front_end.close()
        before, front_end = next_vm(path, before)
    subprocess.run([*MANAGER, "restart", "fs.service"], check=True)
    _, front_end = next_vm(path, before)
    kill_and_ask(front_end, first)


def explain(log):
    """What the service and its manager would say about a failure."""
    print("----", "systemctl status", "----", flush=True)
    subprocess.run([*MANAGER, "status", "--full", "fs.service"], check=False)
    properties = ["MainPID", "NRestarts", "NFileDescriptorStore", "Result", "ExecMainStatus", "ExecMainCode", "SubState"]
    subprocess.run([*MANAGER, "show", "fs.service", "-p", ",".join(properties)], check=False)
    print("----", "what the service says", "----")
    print(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "nothing", flush=True)
    subprocess.run(["ps", "-ef"], check=False)


def late(_number, _frame):
    """Something does not come back; who waits from outside would not know what."""
    raise TimeoutError(f"not done within {LATE_S} s")


def join_group():
    """Control groups of our own: another manager's unit of the same name would be in the same one."""
    for root in ROOTS:
        if (root / "cgroup.procs").exists():
            group = root / f"gw-{os.environ['GW_GROUP']}"
            group.mkdir()
            (group / "cgroup.procs").write_text("0", encoding="ascii")


def remove_group(name):
    """Once nobody is in there any more."""
    for root in ROOTS:
        for group, _, _ in os.walk(root / f"gw-{name}", topdown=False):
            until(lambda path=group: removed(path), f"{group} is busy")


def removed(path):
    """Is it gone?"""
    try:
        os.rmdir(path)
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def inside(directory):
    """In a mount and PID namespace of our own."""
    join_group()
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    runtime, configuration = pathlib.Path("/run/user"), directory / "configuration"
    units = configuration / "systemd" / "user"
    for path in (runtime, units, pathlib.Path("/run/systemd/system"), directory / "share"):
        path.mkdir(parents=True)
    os.chmod(runtime, 0o700)
    os.environ.update(XDG_RUNTIME_DIR=str(runtime), XDG_CONFIG_HOME=str(configuration))
    path, log, program = directory / "socket", directory / "log", directory / "program"
    install(PROGRAM, program)
    (units / "fs.service").write_text(
        CONF.read_text(encoding="utf-8") +
        f"ExecStart={program} --recover=systemd --socket-path={path} --shared-dir={directory / 'share'}\n"
        f"ExecReload={GODWIT} upgrade --control-socket={path}.control\n"
        f"Restart=always\nKillMode=mixed\nStandardError=append:{log}\n", encoding="utf-8")
    manager = subprocess.Popen([SYSTEMD, "--user", "--unit=fs.service"])
    signal.signal(signal.SIGALRM, late)
    signal.alarm(LATE_S)
    try:
        serve(path, program)
    except BaseException:
        signal.alarm(0)
        explain(log)
        raise
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and tidy up
    missing = can_be_tried()
    if missing:
        print(missing)
        return SKIPPED
    try:
        with tempfile.TemporaryDirectory(prefix="gw-systemd-") as directory:
            return subprocess.run([*UNSHARE, sys.executable, *sys.argv], env={**os.environ, "GW_INSIDE": directory, "GW_GROUP": str(os.getpid())},
                                  timeout=240, check=False).returncode
    finally:
        remove_group(os.getpid())


sys.exit(main())
