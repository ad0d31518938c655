# SPDX-License-Identifier: BSD-3-Clause
"""A QEMU process and its control socket (QMP)."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

# Moving the state of a vhost-user device came with QEMU 8.2.
OLDEST_VERSION = (8, 2)
START_TIMEOUT = 30.0
REPLY_TIMEOUT = 60.0
# Enough for the kernel, and little to move.
MEMORY = "256M"
CPUS = 2


class QemuError(Exception):
    """QEMU did not do what it was asked to, or not in time."""


def binary() -> str:
    """The QEMU to use: $QEMU, else the one that is named as Debian does."""
    return os.environ.get("QEMU", "qemu-system-x86_64")


def version(qemu: str) -> tuple[int, ...] | None:
    """Of an installed QEMU, e.g. (10, 0, 2); None where there is none."""
    try:
        text = subprocess.run(
            [qemu, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else None


class Listener:
    """A Unix socket that a child is told to connect to: nothing it says first can be missed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.bind(str(path))
        self._sock.listen(1)
        self._sock.settimeout(0.1)

    def accept(self, child: subprocess.Popen[bytes], timeout: float) -> socket.socket:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                return self._sock.accept()[0]
            except TimeoutError:
                if child.poll() is not None:
                    raise QemuError(f"QEMU ended with status {child.returncode}") from None
        raise QemuError(f"QEMU has not connected to {self.path.name} in {timeout:.0f} s")

    def close(self) -> None:
        self._sock.close()
        self.path.unlink(missing_ok=True)


class Qmp:
    """The monitor: commands with their answers, and events, which nobody waits for."""

    def __init__(self, sock: socket.socket, timeout: float = REPLY_TIMEOUT) -> None:
        self._sock = sock
        self._timeout = timeout
        self._buffer = b""
        self._message(timeout)  # the greeting
        self.command("qmp_capabilities")

    def _message(self, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            self._sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self._sock.recv(65536)
            except TimeoutError:
                raise QemuError(f"QEMU says nothing for {timeout:.0f} s") from None
            except OSError as err:
                raise QemuError(f"QEMU is gone: {err}") from None
            if not data:
                raise QemuError("QEMU is gone")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def command(self, name: str, **arguments: Any) -> Any:
        """Executes one command; underscores in argument names stand for dashes."""
        request = {
            "execute": name,
            "arguments": {key.replace("_", "-"): value for key, value in arguments.items()},
        }
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as err:
            raise QemuError(f"QEMU is gone: {err}") from None
        while True:
            message = self._message(self._timeout)
            if "error" in message:
                raise QemuError(f"{name}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def close(self) -> None:
        self._sock.close()


class Qemu:
    """One machine's process. `options` are what makes it this machine; the rest is here."""

    def __init__(self, options: list[str], log: Path, run_dir: Path, name: str) -> None:
        listener = Listener(run_dir / f"{name}.qmp")
        command = [binary(), "-name", name, "-nodefaults", "-no-user-config", "-display", "none"]
        command += ["-chardev", f"socket,id=qmp,path={listener.path}", "-mon", "qmp,mode=control"]
        try:
            log.with_suffix(".command").write_text(" ".join(command + options) + "\n")
            with log.open("wb") as out:
                self.process = subprocess.Popen(
                    command + options, stdin=subprocess.DEVNULL, stdout=out, stderr=out
                )
            try:
                self.qmp = Qmp(listener.accept(self.process, START_TIMEOUT))
            except QemuError:
                self.kill()
                raise
        finally:
            listener.close()

    def running(self) -> bool:
        """Does the guest run, in this process?"""
        return bool(self.qmp.command("query-status")["running"])

    def quit(self, timeout: float = 20.0) -> None:
        """Ends the process in the orderly way, else in the other."""
        if self.process.poll() is None:
            try:
                self.qmp.command("quit")
            except QemuError:
                pass  # it may close the socket before it answers
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self.qmp.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
