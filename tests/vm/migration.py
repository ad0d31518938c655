# SPDX-License-Identifier: BSD-3-Clause
"""Moving a guest from one QEMU to another, or into a file and out of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import Machine, until
from qemu import Qemu

TIMEOUT = 120.0
_ENDED = {"completed", "failed", "cancelled"}
_UNLIMITED = 4 << 30  # bytes a second
_TRICKLE = 1 << 20

Progress = Callable[[dict[str, Any]], None]


class MigrationError(Exception):
    """A migration did not end as it should."""


@dataclass
class Moved:
    """What QEMU reports of a completed migration."""

    total_ms: int
    downtime_ms: int
    transferred: int


def _prepare(qemu: Qemu, bandwidth: int = _UNLIMITED, return_path: bool = True) -> None:
    capabilities = [{"capability": "return-path", "state": return_path}]
    qemu.qmp.command("migrate-set-capabilities", capabilities=capabilities)
    qemu.qmp.command("migrate-set-parameters", max_bandwidth=bandwidth)


def _wait(qemu: Qemu, progress: Progress | None = None) -> dict[str, Any]:
    """Until the migration ends, in whatever way."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        info: dict[str, Any] = qemu.qmp.command("query-migrate")
        if info.get("status") in _ENDED:
            return info
        if progress:
            progress(info)
        time.sleep(0.05)
    raise MigrationError(f"the migration has not ended in {TIMEOUT:.0f} s")


def _moved(info: dict[str, Any]) -> Moved:
    if info["status"] != "completed":
        raise MigrationError(
            f"the migration {info['status']}: {info.get('error-desc', 'no reason given')}"
        )
    return Moved(info["total-time"], info["downtime"], info["ram"]["transferred"])


def begin(source: Machine, target: Machine, bandwidth: int = _UNLIMITED) -> None:
    """Sends the guest on its way and comes back at once."""
    path = target.daemon.socket.with_suffix(".migration")
    for machine in (source, target):
        _prepare(machine.qemu, bandwidth)
    target.qemu.qmp.command("migrate-incoming", uri=f"unix:{path}")
    source.qemu.qmp.command("migrate", uri=f"unix:{path}")


def move(source: Machine, target: Machine, progress: Progress | None = None) -> Moved:
    """A live migration; at its end the guest runs at the target."""
    begin(source, target)
    moved = _moved(_wait(source.qemu, progress))
    until("the guest runs at its target", target.qemu.running, TIMEOUT)
    return moved


def fail(source: Machine, target: Machine) -> str:
    """A live migration that must not succeed; says why it has not. The guest goes on."""
    begin(source, target)
    info = _wait(source.qemu)
    if info["status"] != "failed":
        raise MigrationError(f"a migration that has to fail {info['status']}")
    until("the guest goes on at the source", source.qemu.running, TIMEOUT)
    return str(info.get("error-desc", "no reason given"))


def cancel(source: Machine, target: Machine, after_s: float) -> None:
    """A live migration too slow to end, and cancelled. The guest goes on."""
    begin(source, target, _TRICKLE)
    time.sleep(after_s)
    source.qemu.qmp.command("migrate_cancel")
    info = _wait(source.qemu)
    # Cancelling shuts the stream; when that is seen as an error first, QEMU calls it failed.
    if info["status"] not in ("cancelled", "failed"):
        raise MigrationError(f"a migration that was cancelled {info['status']}")
    until("the guest goes on at the source", source.qemu.running, TIMEOUT)


def save(source: Machine, file: Path, by_program: bool = False) -> Moved:
    """Stops the guest and writes all of it to a file; or gives it to a program that does."""
    source.qemu.qmp.command("stop")
    _prepare(source.qemu, return_path=False)  # a file does not answer
    uri = f"exec:cat > {shlex.quote(str(file))}" if by_program else f"file:{file}"
    source.qemu.qmp.command("migrate", uri=uri)
    return _moved(_wait(source.qemu))


def restore(target: Machine, file: Path, by_program: bool = False) -> None:
    """Reads a guest from a file (or from a program that does) and lets it run."""
    uri = f"exec:cat {shlex.quote(str(file))}" if by_program else f"file:{file}"
    target.qemu.qmp.command("migrate-incoming", uri=uri)

    def loaded() -> bool:
        status: str = target.qemu.qmp.command("query-migrate").get("status", "none")
        if status == "failed":
            raise MigrationError("the file was refused")
        return status == "completed"

    until("the guest is read from the file", loaded, TIMEOUT)
    target.qemu.qmp.command("cont")
    until("the restored guest runs", target.qemu.running, TIMEOUT)


def wait_gone(target: Machine) -> None:
    """A target whose incoming migration failed ends by itself, as QEMU does."""
    until("the target ends", lambda: target.qemu.process.poll() is not None, TIMEOUT)
