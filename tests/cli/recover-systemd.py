#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""--recover=systemd: with somebody in systemd's place who keeps descriptors, a daemon that is killed goes
on with its connection in the next process.

usage: recover-systemd.py GODWIT-NULL
"""
import array
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PROGRAM = os.path.abspath(sys.argv[1])
GET_FEATURES, VERSION = 1, 1


def lives(pid):
    """And is not only waited for."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Systemd:
    """$NOTIFY_SOCKET, a descriptor store, and LISTEN_FDS for the next process (systemd.service(5),
    sd_pid_notify_with_fds(3))."""

    def __init__(self, directory):
        self.path, self.slowness_s = str(directory / "notify"), 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.store, self.ready = [], threading.Event()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """What it is told, as long as the test lasts."""
        while True:
            data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64 * 4) + socket.CMSG_SPACE(12))
            fds, pid = array.array("i"), 0
            for _, kind, raw in control:
                if kind == socket.SCM_RIGHTS:
                    fds.frombytes(raw[: len(raw) - len(raw) % 4])
                else:
                    pid = struct.unpack("3i", raw)[0]
            time.sleep(self.slowness_s)
            said = dict(line.split("=", 1) for line in data.decode().splitlines())
            if lives(pid):
                self.heed(said, list(fds))
            else:  # nobody knows whose service it belonged to
                print("dropped:", said)

    def heed(self, said, fds):
        """One message."""
        if "FDSTORE" in said:
            assert said["FDPOLL"] == "0", said
            # The same open file is kept once, under its first name.
            for fd in fds:
                if any(os.path.sameopenfile(fd, kept) and self.same(fd, kept) for _, kept in self.store):
                    raise SystemExit(f"{said['FDNAME']} is in the store already")
                self.store.append((said["FDNAME"], fd))
            return
        if "FDSTOREREMOVE" in said:
            for name, fd in self.store:
                if name == said["FDNAME"]:
                    os.close(fd)
            self.store = [kept for kept in self.store if kept[0] != said["FDNAME"]]
        if said.get("READY") == "1":
            self.ready.set()
        for fd in fds:
            os.close(fd)

    @staticmethod
    def same(one, other):
        """One open file, and not only one inode (eventfds share theirs): moving one moves both."""
        try:
            before = os.lseek(other, 0, os.SEEK_CUR)
            os.lseek(one, before + 1, os.SEEK_SET)
            moved = os.lseek(other, 0, os.SEEK_CUR) == before + 1
            os.lseek(one, before, os.SEEK_SET)
            return moved
        except OSError:
            return False

    def start(self, *arguments):
        """The service's process."""
        names, fds = [name for name, _ in self.store], [fd for _, fd in self.store]
        high = [os.dup(fd) for fd in fds]
        shuffled = "".join(f"exec {3 + i}<&{fd} {fd}<&-; " for i, fd in enumerate(high) if fd != 3 + i)
        environment = {**os.environ, "NOTIFY_SOCKET": self.path}
        if fds:
            environment |= {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(names)}
            shuffled = "export LISTEN_PID=$$; " + shuffled
        self.ready.clear()
        command = ["bash", "-c", shuffled + 'exec "$@"', "bash", PROGRAM, *arguments]
        process = subprocess.Popen(command, env=environment, pass_fds=high)
        for fd in high:
            os.close(fd)
        assert self.ready.wait(60), "it does not get ready"
        return process


def ask(front_end):
    """GET_FEATURES, and the answer."""
    front_end.sendall(struct.pack("<III", GET_FEATURES, VERSION, 0))
    answer = front_end.recv(64)
    assert len(answer) == 20 and struct.unpack("<I", answer[:4])[0] == GET_FEATURES, answer
    return answer


def connect(path):
    """To whoever is ready."""
    front_end = socket.socket(socket.AF_UNIX)
    front_end.settimeout(60)
    front_end.connect(str(path))
    return front_end


def killed_and_ended(systemd, path, arguments):
    """Killed three times on one connection; then the front-end leaves, and nothing is kept for the next one."""
    process = systemd.start(*arguments)
    front_end = connect(path)
    first = ask(front_end)
    for _ in range(3):
        process.kill()
        process.wait()
        process = systemd.start(*arguments)
        assert ask(front_end) == first
    systemd.slowness_s = 0.05
    front_end.close()
    assert process.wait(60) == 0
    systemd.slowness_s = 0
    assert not systemd.store, systemd.store
    assert not path.exists()


def name_is_lost(systemd, path, arguments):
    """Somebody has removed it while no process lived: who is started makes it anew, and has that kept."""
    process = systemd.start(*arguments)
    process.kill()
    process.wait()
    path.unlink()
    for _ in range(2):
        process = systemd.start(*arguments)
        process.kill()
        process.wait()
    process = systemd.start(*arguments)
    front_end = connect(path)
    ask(front_end)
    front_end.close()
    assert process.wait(60) == 0


def goodbye_is_lost(systemd, path, arguments):
    """The next process is given what the one before had no time to take back; none of that counts."""
    process = systemd.start(*arguments)
    front_end = connect(path)
    ask(front_end)
    left = [(name, os.dup(fd)) for name, fd in systemd.store]
    front_end.close()
    assert process.wait(60) == 0
    systemd.store = left
    process = systemd.start(*arguments)
    assert "connection" not in [name for name, _ in systemd.store], systemd.store
    front_end = connect(path)
    ask(front_end)
    front_end.close()
    assert process.wait(60) == 0


def main():
    """As long as somebody keeps what there is, and without."""
    with tempfile.TemporaryDirectory(prefix="gw-systemd-") as name:
        directory = pathlib.Path(name)
        systemd, path = Systemd(directory), directory / "socket"
        arguments = ["--recover=systemd", f"--socket-path={path}", "--log-level=error"]
        # Twice: the next VM's back-end is as good as the first.
        for _ in range(2):
            killed_and_ended(systemd, path, arguments)
        name_is_lost(systemd, path, arguments)
        goodbye_is_lost(systemd, path, arguments)
    without = subprocess.run([PROGRAM, "--recover=systemd", "--socket-path=/nonexistent/s"], capture_output=True,
                             env={k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}, check=False)
    assert without.returncode == 1 and b"NOTIFY_SOCKET" in without.stderr, without.stderr


main()
