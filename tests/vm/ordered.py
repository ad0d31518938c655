# SPDX-License-Identifier: BSD-3-Clause
"""What a guest is put through by `godwit migrate` ($GODWIT), with real QEMUs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import migration
from machine import Daemon, Lab, Machine, Skip, until, virtiofsd
from qemu import Qmp
from scenarios import TAKEOVER_CHECKS, Lost, Outcome, Story

TIMEOUT_S = 120


def _command(source: Machine, target: Machine, *arguments: str) -> list[str]:
    if "GODWIT" not in os.environ:
        raise Skip("GODWIT does not name the command that is tested")
    sides = ["--from", str(source.monitor), "--to", str(target.monitor)]
    return [os.environ["GODWIT"], "migrate", "--json", *sides, *arguments]


def _judge(code: int, out: str, err: str, expected: int) -> dict[str, Any]:
    if code != expected:
        raise Lost(f"godwit migrate: exit code {code}, expected {expected}: {out}{err}")
    report: dict[str, Any] = json.loads(out)
    return report


def _ask(source: Machine, target: Machine, expected: int, *arguments: str) -> dict[str, Any]:
    """The report, if it ends as it should."""
    ran = subprocess.run(
        _command(source, target, *arguments),
        capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )
    return _judge(ran.returncode, ran.stdout, ran.stderr, expected)


def _control(daemon: Daemon, command: str, **arguments: Any) -> Any:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(f"{daemon.socket}.control")
        return Qmp(sock).command(command, **arguments)


def _codes(report: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in report["findings"]}


def _expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Lost(f"{what}: {found}, expected {wanted}")


def _arrive(story: Story, target: Machine, report: dict[str, Any], retire: bool = True) -> None:
    """The guest is at @target: what the report says, and what is."""
    story.outcome.marks.append(story.lines())
    total = report["migration"]["total-time"], report["migration"]["downtime"]
    story.outcome.moves.append(migration.Moved(*total, report["migration"]["ram"]["transferred"]))
    story.say(f"moved: blackout {report['blackout_ms']:.0f} ms, QEMU says {total[1]}")
    _expect("outcome", report["outcome"], "moved")
    _expect("the source's guest", story.here.qemu.running(), False)
    _expect("the destination's guest", target.qemu.running(), True)
    left, story.here = story.here, target
    if retire:
        left.retire()
    story.write_on()


def ordered(lab: Lab, checks: str = "") -> Outcome:
    """Looked at, moved, verified, and the source's back-end knows it."""
    story = Story(lab, checks)
    target = lab.machine("B", incoming=True)
    _expect("a look", _ask(story.here, target, 0, "--dry-run")["outcome"], "would-move")
    story.outcome.marks.append(story.lines())
    picture = lab.dir / "migration.svg"
    report = _ask(story.here, target, 0, "--svg", str(picture))
    _expect("findings and notes", (report["findings"], report["notes"]), ([], []))
    ahead = report["devices"][0].get("ahead", {})
    story.say(f"went ahead of the state: {ahead}")
    if not ahead.get("bytes") and "no time" not in ahead.get("reason", ""):
        raise Lost(f"nothing went ahead of the state: {ahead}")
    phases = [phase["name"] for phase in report["phases"]]
    for phase in ("asking", "preflight", "pre-copy", "switchover", "verification", "outcome"):
        if phase not in phases:
            raise Lost(f"the report has no phase {phase}: {phases}")
    told = _control(story.here.daemon, "query-status")["sessions"][0]["migration"]["outcome"]
    _expect("what the source's back-end was told", told, "moved")
    if "blackout" not in picture.read_text():
        raise Lost("the picture shows no blackout")
    _arrive(story, target, report)
    return story.verify()


def ordered_refused(lab: Lab, checks: str = "") -> Outcome:
    """What would go wrong late, or unseen, is refused, and nothing is begun."""
    story = Story(lab, checks)
    queues = lab.machine("B", incoming=True, queues=lab.config.queues + 1)
    _expect("another number of queues", _codes(_ask(story.here, queues, 1)), {"queues-differ"})
    queues.stop()
    strict = lab.machine(
        "C", incoming=True, command=[*lab.config.daemon, "--cache", "never"]
    )
    _expect("other parameters", _codes(_ask(story.here, strict, 1)), {"param-differs"})
    strict.stop()
    target = lab.machine("D", incoming=True)
    _control(story.here.daemon, "migration-set", migration="none")
    _expect("a device that may not", _codes(_ask(story.here, target, 1)), {"migration-none"})
    _control(story.here.daemon, "migration-set", migration="stateful")
    story.here.qemu.qmp.command(
        "migrate-set-capabilities",
        capabilities=[{"capability": "postcopy-ram", "state": True}],
    )
    report = _ask(story.here, target, 1)
    _expect("post-copy", _codes(report), {"capabilities-differ", "post-copy-impossible"})
    story.here.qemu.qmp.command(
        "migrate-set-capabilities",
        capabilities=[{"capability": "postcopy-ram", "state": False}],
    )
    _expect("the target", target.qemu.qmp.command("query-migrate"), {})
    story.undisturbed()
    # The target was not touched: it is as good as a fresh one.
    story.outcome.marks.append(story.lines())
    _arrive(story, target, _ask(story.here, target, 0))
    return story.verify()


def ordered_failed(lab: Lab, checks: str = "") -> Outcome:
    """The destination has another folder: that is known before. Who goes in spite of it is told by
    the destination's back-end, and the guest stays."""
    story = Story(lab, checks)
    with tempfile.TemporaryDirectory(prefix="other-", dir=lab.config.guest_dir) as other:
        target = lab.machine("B", incoming=True, share=Path(other))
        _expect("a look", _codes(_ask(story.here, target, 1)), {"prerequisite-missing"})
        report = _ask(story.here, target, 4, "--override", "tested")
        _expect("outcome", report["outcome"], "failed")
        words = report["devices"][0]["destination"].get("failure", "")
        story.say(f"failed, as it should: {words}")
        if not words:
            raise Lost(f"nobody said why: {report}")
        migration.wait_gone(target)
    told = _control(story.here.daemon, "query-status")["sessions"][0]["migration"]["outcome"]
    story.say(f"the source's back-end was told: {told}")
    story.undisturbed()
    target = lab.machine("C", incoming=True)
    story.outcome.marks.append(story.lines())
    _arrive(story, target, _ask(story.here, target, 0))
    return story.verify()


def _migrates(machine: Machine) -> bool:
    status: str = machine.qemu.qmp.command("query-migrate").get("status", "none")
    return status == "active"


def _ask_and(
    story: Story, target: Machine, happens: Callable[[subprocess.Popen[str]], None], expected: int
) -> dict[str, Any]:
    """A migration that is too slow to end, and what happens while it is under way."""
    story.here.qemu.qmp.command("migrate-set-parameters", max_bandwidth=1 << 20)
    with subprocess.Popen(
        _command(story.here, target), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        until("the migration is under way", lambda: _migrates(story.here), migration.TIMEOUT)
        time.sleep(0.5)
        happens(running)
        out, err = running.communicate(timeout=TIMEOUT_S)
    return _judge(running.returncode, out, err, expected)


def ordered_cancelled(lab: Lab, checks: str = "") -> Outcome:
    """An interrupt on its way: the guest stays, and moves with the next one."""
    story = Story(lab, checks)
    target = lab.machine("B", incoming=True)
    report = _ask_and(story, target, lambda running: running.send_signal(signal.SIGINT), 4)
    _expect("outcome", report["outcome"], "cancelled")
    _expect("the source's guest", story.here.qemu.running(), True)
    story.undisturbed()
    story.here.qemu.qmp.command("migrate-set-parameters", max_bandwidth=4 << 30)
    target = lab.machine("C", incoming=True)
    story.outcome.marks.append(story.lines())
    _arrive(story, target, _ask(story.here, target, 0))
    return story.verify()


def ordered_killed(lab: Lab, checks: str = "") -> Outcome:
    """The destination's QEMU dies on the way: the guest stays. The source's dies: nobody can say
    that all is well, and nobody does."""
    story = Story(lab, checks)
    target = lab.machine("B", incoming=True)
    report = _ask_and(story, target, lambda _: target.qemu.kill(), 4)
    _expect("outcome", report["outcome"], "failed")
    story.undisturbed()
    outcome = story.verify()
    target = lab.machine("C", incoming=True)
    report = _ask_and(story, target, lambda _: story.here.qemu.kill(), 5)
    story.say(f"unknown, as it is: {report['notes'][0]}")
    _expect("outcome", report["outcome"], "unknown")
    return outcome


def _second(machine: Machine, what: str) -> None:
    report = machine.guest.ask(f"second {what}")
    if report.failed:
        raise Lost("; ".join(report.failed))


def _modes(report: dict[str, Any]) -> dict[str, int]:
    """Bytes that each device's state took."""
    return {
        device["device"]: device["source"]["transfer"]["bytes"] for device in report["devices"]
    }


def ordered_modes(lab: Lab, checks: str = "") -> Outcome:
    """Two shares: the state of one travels, the other's back-end stays where it is and gets the
    second QEMU as well. One that may not migrate keeps all of the guest here."""
    with tempfile.TemporaryDirectory(prefix="second-", dir=lab.config.guest_dir) as other:
        second = lab.daemon("second", ["--migration", "stateless"], Path(other))
        story = Story(lab, checks, second=second)
        _second(story.here, "hold")
        target = lab.machine("B", incoming=True, second=second)
        _control(second, "migration-set", migration="none", session=0)
        report = _ask(story.here, target, 1)
        _expect("one that may not", _codes(report), {"migration-none"})
        _expect("which", {one["device"] for one in report["findings"]}, {"second"})
        _control(second, "migration-set", migration="stateless", session=0)
        story.outcome.marks.append(story.lines())
        report = _ask(story.here, target, 0)
        story.say(f"bytes of state: {_modes(report)}")
        _arrive(story, target, report)
        _second(story.here, "check")
        return story.verify()


def ordered_foreign(lab: Lab, checks: str = "") -> Outcome:
    """From virtiofsd to this back-end and back: what nobody can compare is not gone into without
    somebody's word, and what cannot be read not at all."""
    lenient = ["--migration-on-error", "guest-error"]
    lab.config.queues = 1
    theirs, ours = virtiofsd() + lenient, [*lab.config.daemon, *lenient]
    story = Story(lab, checks or TAKEOVER_CHECKS, command=theirs)
    target = lab.machine("B", incoming=True, command=ours)
    report = _ask(story.here, target, 3)
    _expect("from another make", _codes(report), {"cannot-compare"})
    _expect("makes", [report["devices"][0][side]["make"] for side in ("source", "destination")],
            ["foreign", "godwit"])
    story.outcome.marks.append(story.lines())
    _arrive(story, target, _ask(story.here, target, 0, "--override", "it was tried"))
    back = lab.machine("C", incoming=True, command=theirs)
    report = _ask(story.here, back, 1)
    _expect("to another make", _codes(report), {"stream-unreadable", "cannot-compare"})
    story.undisturbed()
    return story.verify()


SCENARIOS: dict[str, Callable[..., Outcome]] = {
    scenario.__name__: scenario
    for scenario in (
        *(ordered, ordered_refused, ordered_failed, ordered_cancelled, ordered_modes),
        *(ordered_foreign, ordered_killed),
    )
}
