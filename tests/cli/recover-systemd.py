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


class Systemd:
    """$NOTIFY_SOCKET, a descriptor store, and LISTEN_FDS for the next process (systemd.service(5),
    sd_pid_notify_with_fds(3))."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.store, self.ready = [], threading.Event()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        """What it is told, as long as the test lasts."""
        while True:
            data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64 * 4))
            fds = array.array("i")
            for _, _, raw in control:
                fds.frombytes(raw[: len(raw) - len(raw) % 4])
            said = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.heed(said, list(fds))

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


def main():
    """Killed three times on one connection."""
    with tempfile.TemporaryDirectory(prefix="gw-systemd-") as name:
        directory = pathlib.Path(name)
        systemd, path = Systemd(directory), directory / "socket"
        arguments = ["--recover=systemd", f"--socket-path={path}", "--log-level=error"]
        process = systemd.start(*arguments)
        front_end = socket.socket(socket.AF_UNIX)
        front_end.settimeout(60)
        front_end.connect(str(path))
        first = ask(front_end)
        for _ in range(3):
            process.kill()
            process.wait()
            process = systemd.start(*arguments)
            assert ask(front_end) == first
        front_end.close()
        assert process.wait(60) == 0
        deadline = time.monotonic() + 60
        while any(kept in ("ledger", "connection") for kept, _ in systemd.store):
            assert time.monotonic() < deadline, systemd.store
            time.sleep(0.01)
        assert not path.exists()
    without = subprocess.run([PROGRAM, "--recover=systemd", "--socket-path=/nonexistent/s"], capture_output=True,
                             env={k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"}, check=False)
    assert without.returncode == 1 and b"NOTIFY_SOCKET" in without.stderr, without.stderr


main()
