# SPDX-License-Identifier: BSD-3-Clause
"""The guest: its initramfs, and the line over which it is told what to do."""

from __future__ import annotations

import lzma
import os
import select
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHARE = "/share"  # where the guest mounts it
TAG = "share"
LOG_LINE_LENGTH = 29

_DIRECTORY, _REGULAR, _CHARDEV = 0o040755, 0o100755, 0o020600


class GuestError(Exception):
    """The guest did not answer, or found something lost."""


def _cpio_entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One member of a cpio archive in the "newc" format, the kernel's
    Documentation/driver-api/early-userspace/buffer-format.rst."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in fields)
    padded = header + path + b"\0" * (-(len(header) + len(path)) % 4)
    return padded + data + b"\0" * (-len(data) % 4)


def initramfs(init: Path, modules: Path, programs: dict[str, Path] | None = None) -> bytes:
    """The guest's whole root: the program, a console, the modules it has to load, and other
    programs, by their paths there."""
    entries = [
        _cpio_entry("dev", _DIRECTORY),
        _cpio_entry("dev/console", _CHARDEV, device=(5, 1)),
        _cpio_entry("init", _REGULAR, init.read_bytes()),
        _cpio_entry("modules", _DIRECTORY),
    ]
    for module in sorted(modules.iterdir()):
        data = module.read_bytes()
        if module.suffix == ".xz":
            data = lzma.decompress(data)
        entries.append(_cpio_entry(f"modules/{module.name}", _REGULAR, data))
    for name, file in (programs or {}).items():
        entries.append(_cpio_entry(name, _REGULAR, file.read_bytes()))
    return b"".join(entries) + _cpio_entry("TRAILER!!!", 0)


@dataclass
class Report:
    """What the guest answered to one command."""

    ok: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    workers: dict[str, tuple[int, int]] = field(default_factory=dict)  # steps, the longest in ms
    host_failed: list[str] = field(default_factory=list)
    host_ok: int = 0


def host_difference(share: Path, size: int, crc: int, path: str) -> str | None:
    """In what a file on the host is not what the guest has just seen of it; None if in nothing."""
    name = share / os.path.relpath(path, SHARE)
    try:
        data = name.read_bytes()
    except OSError as err:
        return f"{name!r}: {err.strerror}"
    if len(data) != size or zlib.crc32(data) != crc:
        return f"{name!r}: {len(data)} bytes here, {size} in the guest, or others"
    return None


def log_damage(log: Path) -> tuple[int, str | None]:
    """How many lines a log has, as the host sees it, and what is wrong with it."""
    lines = log.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if len(line) != LOG_LINE_LENGTH:
            return len(lines), f"line {number} is cut"
        if int(line[:8]) != number:
            return len(lines), f"line {number} has the number {int(line[:8])}"
        if zlib.crc32(line[:20]) != int(line[20:28], 16):
            return len(lines), f"line {number} has another checksum"
    return len(lines), None


class Channel:
    """Commands to the guest's program and its answers, over one machine's second serial port."""

    def __init__(self, sock: socket.socket, share: Path) -> None:
        # Asked while waiting; raises what it is that keeps the guest from answering.
        self.works: Callable[[], None] = lambda: None
        self._sock = sock
        self._share = share
        self._buffer = b""

    def _lines(self, timeout: float) -> Iterator[str]:
        deadline = time.monotonic() + timeout
        while True:
            while b"\n" in self._buffer:
                line, self._buffer = self._buffer.split(b"\n", 1)
                yield os.fsdecode(line)
            if not select.select([self._sock], [], [], 0.5)[0]:
                self.works()
                if time.monotonic() > deadline:
                    raise GuestError(f"the guest has not answered in {timeout:.0f} s")
                continue
            data = self._sock.recv(65536)
            if not data:
                raise GuestError("the line to the guest is cut")
            self._buffer += data

    def heard(self) -> bool:
        """Has the program said anything yet?"""
        return bool(self._buffer) or bool(select.select([self._sock], [], [], 0)[0])

    def wait_for(self, wanted: str, timeout: float) -> str:
        """Until the program says "alive" (it runs) or "ready" (it has its share as well);
        gives what else it says with that."""
        for line in self._lines(timeout):
            word, _, rest = line.partition(" ")
            if word == wanted:
                return rest
            if word == "fail":
                raise GuestError(rest)
        raise AssertionError("unreachable")

    def _take(self, line: str, report: Report) -> None:
        word, _, rest = line.partition(" ")
        if word == "worker":
            name, steps, longest = rest.split()
            report.workers[name] = (int(steps), int(longest))
        elif word == "expect":
            size, crc, path = rest.split(" ", 2)
            difference = host_difference(self._share, int(size), int(crc, 16), path)
            if difference:
                report.host_failed.append(difference)
            else:
                report.host_ok += 1
        else:
            lists = {"ok": report.ok, "skip": report.skipped, "fail": report.failed}
            lists.get(word, report.notes).append(rest)

    def ask(self, command: str, timeout: float = 60.0) -> Report:
        """One command, all of its answer."""
        report = Report()
        self._sock.settimeout(timeout)
        self._sock.sendall(command.encode() + b"\n")
        for line in self._lines(timeout):
            if line == "end":
                break
            self._take(line, report)
        return report

    def close(self) -> None:
        self._sock.close()
