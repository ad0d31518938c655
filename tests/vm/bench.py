# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of `godwit migrate`'s gates stand on: two QEMUs whose guest is played (played.py),
their back-ends, and how a gate that is closed is looked at."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import masked
import played
import qemu
from machine import Daemon, listens, until
from played import Played

TIMEOUT_S = 60
REFUSED, CANNOT_TELL = 1, 3
VERDICTS = {REFUSED: "refused", CANNOT_TELL: "cannot-tell"}
SLOT = 4


class Wrong(Exception):
    """A gate is not as it should be."""


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found}, expected {wanted}")


def fs(sock: Path, slot: int = SLOT, **properties: Any) -> list[str]:
    """Options of QEMU for one device; properties=None is left out."""
    chosen = {"id": "share", "tag": "share", "num-request-queues": 2, "queue-size": 128}
    chosen.update({name.replace("_", "-"): value for name, value in properties.items()})
    words = [f"{name}={value}" for name, value in chosen.items() if value is not None]
    name = f"fs{slot}"
    return [
        *("-chardev", f"socket,id={name},path={sock}"),
        *("-device", f"vhost-user-fs-pci,chardev={name},addr={slot},{','.join(words)}"),
    ]


class Program:
    """One that has no share."""

    def __init__(self, command: list[str], sock: Path) -> None:
        self.socket = sock
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(f"{command[0]} listens", lambda: listens(sock), TIMEOUT_S)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Bench:
    """A source whose guest uses its share, a destination that waits, and whatever a scenario adds,
    which ends with it."""

    def __init__(self, args: argparse.Namespace, sentences: dict[str, str]) -> None:
        self.args, self.sentences = args, sentences
        self.dir = Path(tempfile.mkdtemp(prefix="godwit-gates-"))
        self.share = self.dir / "share"
        self.share.mkdir()
        self._things: list[Any] = []
        self._count = 0
        self.noted: list[str] = []
        try:
            self.source_fs, self.target_fs = self.daemon(), self.daemon()
            self.source = self.machine(fs(self.source_fs.socket))
            self.target = self.waits(fs(self.target_fs.socket))
            self.driver = self.source.driver(SLOT)
            self.driver.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._end(0)
        shutil.rmtree(self.dir)

    def show_logs(self) -> None:
        for log in sorted(self.dir.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            if lines:
                print(f"---- {log.name}, its end ----", *lines[-10:], sep="\n")

    def _end(self, kept: int) -> None:
        while len(self._things) > kept:
            self._things.pop().stop()

    @contextlib.contextmanager
    def scenario(self) -> Iterator[None]:
        kept = len(self._things)
        try:
            yield
        finally:
            self._end(kept)

    def add(self, thing: Any) -> Any:
        self._things.append(thing)
        return thing

    def path(self, what: str) -> Path:
        self._count += 1
        return self.dir / f"{what}{self._count}"

    def daemon(self, *options: str, share: Path | None = None, program: str = "") -> Daemon:
        path = self.path("fs")
        command = [program or self.args.daemon]
        log = path.with_suffix(".log")
        return self.add(Daemon(command, list(options), share or self.share, path, log))

    def machine(self, *devices: list[str], share: str = "on") -> Played:
        options = [word for device in devices for word in device]
        return self.add(played.start(self.dir, self.path("vm").name, options, share))

    def waits(self, *devices: list[str], share: str = "on") -> Played:
        return self.machine(["-incoming", "defer"], *devices, share=share)

    def masked(self, without: dict[int, int]) -> Path:
        """The socket of a back-end that lacks something, and its control socket beside it."""
        path = self.path("less")
        control = f"{path}.control"
        daemon = self.daemon("--control-socket", control)
        return self.add(masked.Masked(path, daemon.socket, without)).socket

    def plan(self, **control: str | Path | None) -> list[str]:
        """Where the back-ends of "share" are asked: source, target."""
        names = {"source": "from", "target": "to"}
        entry = {names[side]: path and str(path) for side, path in control.items()}
        path = self.path("plan")
        path.write_text(json.dumps({"devices": {"share": entry}}))
        return ["--plan", str(path)]

    # -- the command ----------------------------------------------------------------------------

    def ask(self, *arguments: str, source: Played | None = None, target: Played | None = None,
            to: str = "") -> tuple[int, dict[str, Any]]:
        source, target = source or self.source, target or self.target
        sides = ["--from", str(source.monitor), "--to", to or str(target.monitor)]
        ran = subprocess.run(
            [self.args.godwit, "migrate", "--json", *sides, *arguments],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )
        if not ran.stdout:
            raise Wrong(f"godwit migrate says nothing, exit code {ran.returncode}: {ran.stderr}")
        return ran.returncode, json.loads(ran.stdout)

    def closed(self, code: str, says: str, *arguments: str, exits: int = REFUSED,
               also: tuple[str, ...] = (), source: Played | None = None,
               target: Played | None = None, to: str = "") -> None:
        """Not a look, but the migration itself is asked for: the gate has to keep it."""
        machines = source or self.source, target or self.target
        before = [state_of(machine) for machine in machines]
        exit_code, report = self.ask(*arguments, source=source, target=target, to=to)
        findings = report["findings"]
        expect("codes", {one["code"] for one in findings}, {code, *also})
        expect("exit code", (exit_code, report["exit"]), (exits, exits))
        expect("outcome", report["outcome"], VERDICTS[exits])
        found = [one for one in findings if one["code"] == code]
        expect("verdicts", {one["verdict"] for one in found}, {VERDICTS[exits]})
        if not any(one["text"].startswith(self.sentences.get(code, "")) and says in one["text"]
                   for one in found):
            raise Wrong(f"{code}: it does not say '{says}': {found}")
        expect("both sides", [state_of(machine) for machine in machines], before)
        expect("phases", [one["name"] for one in report["phases"] if one["name"] not in
                          ("asking", "preflight")], [])

    def opens(self) -> None:
        """Nothing of what a scenario did is left: the gates are open again, and the guest goes on
        using its device."""
        exit_code, report = self.ask("--dry-run")
        expect("afterwards", (exit_code, report["findings"]), (0, []))
        root = self.driver.inode_number(played.FUSE_ROOT)
        expect("the guest's root", root, self.share.stat().st_ino)


def state_of(machine: Played) -> Any:
    """What a migration that was begun would change."""
    monitor = machine.qemu.qmp
    status = monitor.command("query-status")
    migration = monitor.command("query-migrate")
    capabilities = monitor.command("query-migrate-capabilities")
    on = [one["capability"] for one in capabilities if one["state"]]
    words = [migration.get(name) for name in ("status", "socket-address", "blocked-reasons")]
    return status["status"], status["running"], words, on


def control(daemon: Daemon, command: str, **arguments: Any) -> Any:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(control_of(daemon))
        return qemu.Qmp(sock).command(command, **arguments)


def control_of(daemon: Daemon) -> str:
    return f"{daemon.socket}.control"


@contextlib.contextmanager
def switched_on(machine: Played, capability: str) -> Iterator[None]:
    set_capability(machine, capability, True)
    try:
        yield
    finally:
        set_capability(machine, capability, False)


def set_capability(machine: Played, capability: str, on: bool) -> None:
    capabilities = [{"capability": capability, "state": on}]
    machine.qemu.qmp.command("migrate-set-capabilities", capabilities=capabilities)


def becomes(machine: Played, state: str) -> None:
    until(f"the guest is {state}", lambda: state_of(machine)[0] == state, TIMEOUT_S)
