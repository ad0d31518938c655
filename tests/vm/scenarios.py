# SPDX-License-Identifier: BSD-3-Clause
"""What a guest is put through. Each scenario ends with nothing lost or raises what was."""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import guest
import migration
from machine import Daemon, Lab, Machine, until, virtiofsd
from qemu import QemuError

LINES_BETWEEN = 100
LINES_TIMEOUT = 30.0


class Lost(Exception):
    """Something did not survive; the message names all of it."""


@dataclass
class Outcome:
    """What a scenario has to tell."""

    moves: list[migration.Moved] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  # lines in the log: before and after each move
    lines: int = 0
    longest_append_ms: int = 0
    churned: int = 0  # files made and renamed all the while
    verified: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    host_files: int = 0


class Story:
    """One guest's life on one share: its log is started before anything, and read at the end."""

    def __init__(
        self,
        lab: Lab,
        checks: str = "",
        command: list[str] | None = None,
        second: Daemon | None = None,
    ) -> None:
        self.lab = lab
        self.say = lab.say
        self.outcome = Outcome()
        self.say(f"starting machine A ({lab.accel}): a back-end, a QEMU, a guest")
        self.here = lab.machine("A", command=command, second=second)
        self._log = lab.share / "log"
        self._prepare(checks)

    def _prepare(self, checks: str) -> None:
        prepared = self.here.guest.ask(f"prepare {checks}")
        if prepared.failed:
            raise Lost("before the move already: " + "; ".join(prepared.failed))
        self.outcome.skipped = prepared.skipped
        self.say(f"the guest holds {len(prepared.ok)} things that must survive")
        self.here.guest.ask("work")
        self.say("one program in the guest appends to a log every few milliseconds,")
        self.say("another makes, renames, reads and removes files")
        self.write_on()

    def lines(self) -> int:
        """In the log, as the host sees it."""
        return self._log.stat().st_size // guest.LOG_LINE_LENGTH if self._log.exists() else 0

    def go_on_at(self, share: Path) -> None:
        """What the guest writes is there from now on."""
        self._log = share / "log"

    def write_on(self) -> None:
        """Until the log has grown; so that there is a before and an after."""
        target = self.lines() + LINES_BETWEEN
        try:
            until("the guest's log grows", lambda: self.lines() >= target, LINES_TIMEOUT)
        except TimeoutError as err:
            report = self.here.guest.ask("report")
            raise Lost("; ".join([str(err), *report.failed])) from None

    def move_to(self, target: Machine, progress: migration.Progress | None = None) -> None:
        """A live migration, after which the machine left behind is ended."""
        self.outcome.marks.append(self.lines())
        self.say(f"live migration from {self.here.name} to {target.name}")
        moved = migration.move(self.here, target, progress)
        self.outcome.marks.append(self.lines())
        self.outcome.moves.append(moved)
        self.say(
            f"the guest runs on {target.name}: {moved.total_ms} ms, stopped {moved.downtime_ms}"
        )
        left, self.here = self.here, target
        left.retire()
        self.write_on()

    def undisturbed(self) -> None:
        """The log has gone on without an error."""
        self.write_on()
        report = self.here.guest.ask("report")
        if report.failed:
            raise Lost("; ".join(report.failed))

    def verify(self) -> Outcome:
        """Everything, from both sides; raises Lost."""
        ended = self.here.guest.ask("stop")
        checked = self.here.guest.ask("verify")
        self.outcome.lines, damage = guest.log_damage(self._log)
        written, self.outcome.longest_append_ms = ended.workers.get("log", (0, 0))
        self.outcome.churned, _ = ended.workers.get("churn", (0, 0))
        self.outcome.verified = ended.ok + checked.ok
        self.outcome.skipped += checked.skipped
        self.outcome.host_files = ended.host_ok + checked.host_ok
        lost = ended.failed + checked.failed
        lost += [f"on the host {text}" for text in ended.host_failed + checked.host_failed]
        if damage:
            lost.append(f"the log on the host: {damage}")
        if written != self.outcome.lines:
            lost.append(f"the guest wrote {written} lines, the host has {self.outcome.lines}")
        lost += [f"the guest's kernel: {text}" for text in self.lab.kernel_complaints()]
        if lost:
            raise Lost("\n".join(lost))
        self.say(f"verified: {', '.join(self.outcome.verified)}")
        return self.outcome


def stay(lab: Lab, checks: str = "") -> Outcome:
    """No move at all: what fails here is not lost on the way."""
    return Story(lab, checks).verify()


def live(lab: Lab, checks: str = "") -> Outcome:
    """A live migration."""
    story = Story(lab, checks)
    story.move_to(lab.machine("B", incoming=True))
    return story.verify()


def twice(lab: Lab, checks: str = "") -> Outcome:
    """From A to B to C: what was loaded can be saved again."""
    story = Story(lab, checks)
    story.move_to(lab.machine("B", incoming=True))
    story.move_to(lab.machine("C", incoming=True))
    return story.verify()


def refused(lab: Lab, checks: str = "") -> Outcome:
    """A target that has another folder refuses the state; the guest stays and notices nothing."""
    story = Story(lab, checks)
    with tempfile.TemporaryDirectory(prefix="other-", dir=lab.config.guest_dir) as other:
        target = lab.machine("B", incoming=True, share=Path(other))
        reason = migration.fail(story.here, target)
        story.say(f"refused, as it should be: {reason}")
        migration.wait_gone(target)
        if os.listdir(other):
            raise Lost(f"the target that refused left {os.listdir(other)} behind")
    story.undisturbed()
    story.move_to(lab.machine("C", incoming=True))
    return story.verify()


def killed(lab: Lab, checks: str = "") -> Outcome:
    """The target's back-end is killed on the way; the guest stays and notices nothing."""
    story = Story(lab, checks)
    target = lab.machine("B", incoming=True)
    target.daemon.process.kill()
    story.say(f"the target is gone: {migration.fail(story.here, target)}")
    story.undisturbed()
    story.move_to(lab.machine("C", incoming=True))
    return story.verify()


def cancelled(lab: Lab, checks: str = "") -> Outcome:
    """A migration is cancelled on its way; the guest stays, and moves with the next one."""
    story = Story(lab, checks)
    migration.cancel(story.here, lab.machine("B", incoming=True), after_s=1.0)
    story.say("cancelled; the guest goes on where it was")
    story.undisturbed()
    story.move_to(lab.machine("C", incoming=True))
    return story.verify()


def stateless(lab: Lab, checks: str = "") -> Outcome:
    """Two QEMUs on one back-end: a ticket goes from one to the other, to a back-end that does not
    know it first, and there and back."""
    command = [*lab.config.daemon, "--migration", "stateless"]
    story = Story(lab, checks, command=command)
    target = lab.machine("X", incoming=True, command=command)
    story.say(f"refused, as it should be: {migration.fail(story.here, target)}")
    migration.wait_gone(target)
    story.undisturbed()
    target = lab.machine("Y", incoming=True, beside=story.here)
    migration.cancel(story.here, target, after_s=1.0)
    story.say("cancelled; the guest goes on where it was")
    target.shares_daemon = True
    target.retire()
    story.undisturbed()
    for name in ("B", "C"):
        target = lab.machine(name, incoming=True, beside=story.here)
        story.here.shares_daemon = True
        story.move_to(target)
    outcome = story.verify()
    story.here.retire()  # the last one ends it
    return outcome


def none(lab: Lab, checks: str = "") -> Outcome:
    """A device that may not migrate: QEMU says so at once, and the guest goes on."""
    story = Story(lab, checks, command=[*lab.config.daemon, "--migration", "none"])
    try:
        migration.save(story.here, story.lab.share.with_suffix(".snapshot"))
    except (migration.MigrationError, QemuError) as err:
        story.say(f"refused, as it should be: {err}")
    else:
        raise Lost("a device that may not migrate did")
    story.here.qemu.qmp.command("cont")
    story.undisturbed()
    return story.verify()


@contextlib.contextmanager
def _saved(story: Story, by_program: bool = False) -> Iterator[Path]:
    """The guest in a file, and nothing else left of it."""
    file = story.lab.share.with_suffix(".snapshot")
    try:
        saved = migration.save(story.here, file, by_program)
        story.outcome.marks.append(story.lines())
        story.outcome.moves.append(saved)
        story.say(f"saved to a file of {file.stat().st_size >> 20} MiB; everything ends")
        story.here.retire()
        yield file
    finally:
        file.unlink(missing_ok=True)


def _restore(story: Story, name: str, file: Path, by_program: bool = False) -> None:
    story.here = story.lab.machine(name, incoming=True)
    migration.restore(story.here, file, by_program)
    story.say("restored from the file into a fresh back-end and a fresh QEMU")
    story.undisturbed()


def snapshot(lab: Lab, checks: str = "") -> Outcome:
    """The guest is saved to a file, everything ends, and both sides start afresh from the file."""
    story = Story(lab, checks)
    with _saved(story) as file:
        _restore(story, "B", file)
    return story.verify()


def program(lab: Lab, checks: str = "") -> Outcome:
    """As a snapshot, but through a program: QEMU writes to a pipe and reads from one."""
    story = Story(lab, checks)
    with _saved(story, by_program=True) as file:
        _restore(story, "B", file, by_program=True)
    return story.verify()


@contextlib.contextmanager
def _copy_of(lab: Lab) -> Iterator[Path]:
    """A copy of the share, on another file system where there is one."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="godwit-vm-copy-", dir=place) as copy:
        subprocess.run(["cp", "-a", f"{lab.share}/.", f"{copy}/"], check=True)
        lab.say(f"copied to file system {os.stat(copy).st_dev}, from {os.stat(lab.share).st_dev}")
        yield Path(copy)


def copied(lab: Lab, checks: str = "") -> Outcome:
    """A snapshot, that goes on over a copy of the share on another file system, and from there to
    who shares that."""
    story = Story(lab, checks)
    with _saved(story) as file, _copy_of(lab) as copy:
        story.here = lab.machine(
            "B", incoming=True, share=copy, more=("--migration-identity", "same-tree")
        )
        migration.restore(story.here, file)
        story.go_on_at(copy)
        story.say("restored over the copy")
        story.undisturbed()
        story.move_to(lab.machine("C", incoming=True, share=copy))
        return story.verify()


def damaged(lab: Lab, checks: str = "") -> Outcome:
    """One bit of the back-end's state is wrong in a file: it is refused, and harms nothing. The
    same file as it was is good."""
    story = Story(lab, checks)
    with _saved(story) as file:
        # After the memory comes the state of devices; a name that the guest uses is in there.
        at = _last_position(file, b"checks")
        _state_verify(story, file, good=True)
        _flip_bit(file, at)
        _state_verify(story, file, good=False)
        target = lab.machine("B", incoming=True)
        try:
            migration.restore(target, file)
        except (migration.MigrationError, QemuError) as err:
            story.say(f"refused, as it should be: {err}")
        else:
            raise Lost(f"a state with a wrong bit at {at} was taken")
        migration.wait_gone(target)
        _flip_bit(file, at)
        _restore(story, "C", file)
    return story.verify()


def _state_verify(story: Story, file: Path, good: bool) -> None:
    """What `godwit state verify` ($GODWIT) says of a VM's file, as far as it is there to ask."""
    if "GODWIT" not in os.environ:
        return
    ran = subprocess.run(
        [os.environ["GODWIT"], "state", "verify", str(file)],
        capture_output=True, text=True, check=False,
    )
    story.say(f"godwit state verify: {(ran.stdout + ran.stderr).strip()}")
    if (ran.returncode == 0) != good:
        raise Lost(f"godwit state verify of a {'good' if good else 'damaged'} state: {ran.returncode}")


def _last_position(file: Path, text: bytes) -> int:
    with file.open("rb") as data, mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.rfind(text)


def _flip_bit(file: Path, at: int) -> None:
    with file.open("r+b") as data:
        data.seek(at)
        byte = data.read(1)[0]
        data.seek(at)
        data.write(bytes([byte ^ 1]))


def recovered(lab: Lab, checks: str = "") -> Outcome:
    """The back-end is killed KILLS times under the working guest, which goes on as if nothing had been,
    and moves in the end."""
    kills = int(os.environ.get("KILLS", "8"))
    story = Story(lab, checks, command=[*lab.config.daemon, "--recover"])
    for number in range(1, kills + 1):
        before = story.lines()
        story.here.daemon.kill_serving()
        until(f"the log goes on after {number} kills", lambda: story.lines() > before + 1, LINES_TIMEOUT)
        time.sleep(0.1)
    story.say(f"killed {kills} times; the guest goes on")
    story.undisturbed()
    story.move_to(lab.machine("B", incoming=True))
    outcome = story.verify()
    lab.say(f"the longest append took {outcome.longest_append_ms} ms")
    return outcome


# virtiofsd has no unnamed files, no names that are not UTF-8 and one request queue.
TAKEOVER_CHECKS = (
    "half-read-directory working-directory renamed-while-open first-link-gone shared-mmap "
    "file-offsets many-open-files xattrs attributes create-rename-unlink"
)


def takeover(lab: Lab, checks: str = "") -> Outcome:
    """From virtiofsd to this back-end and back to virtiofsd."""
    # What the guest has removed and still caches, virtiofsd calls lost.
    lenient = ["--migration-on-error", "guest-error"]
    lab.config.queues = 1
    theirs = virtiofsd() + lenient
    story = Story(lab, checks or TAKEOVER_CHECKS, command=theirs)
    ours = [*lab.config.daemon, *lenient, "--state-format", "virtiofsd-v2"]
    story.move_to(lab.machine("B", incoming=True, command=ours))
    story.move_to(lab.machine("C", incoming=True, command=theirs))
    return story.verify()


def _model_steps(machine: Machine) -> int:
    """What the processes with a model have done so far; raises Lost."""
    report = machine.guest.ask("model-report")
    if report.failed:
        raise Lost("\n".join([*report.failed, *report.notes]))
    return min(steps for steps, _ in report.workers.values())


def _let_model_work(machine: Machine, seconds: float) -> None:
    """For so long, and until each process has done something."""
    end, before = time.monotonic() + seconds, _model_steps(machine)
    while time.monotonic() < end:
        time.sleep(min(1.0, seconds))
        _model_steps(machine)
    until("the model's processes go on", lambda: _model_steps(machine) > before, LINES_TIMEOUT)


def model(lab: Lab, checks: str = "") -> Outcome:
    """Processes do random things, each held against a model in its memory, and move: so it goes
    MIGRATIONS times in MODEL_SECONDS, beginning with MODEL_SEED."""
    moves = int(os.environ.get("MIGRATIONS", "1"))
    seconds = float(os.environ.get("MODEL_SECONDS", "6")) / (moves + 1)
    seed = os.environ.get("MODEL_SEED", "1")
    outcome = Outcome()
    here = lab.machine("M0")
    here.guest.ask(f"model {seed}")
    lab.say(f"seed {seed}, {moves} migrations, {seconds:.0f} s between them")
    for number in range(1, moves + 1):
        _let_model_work(here, seconds)
        target = lab.machine(f"M{number}", incoming=True)
        outcome.moves.append(migration.move(here, target))
        left, here = here, target
        left.retire()
        lab.say(f"moved {number} times, {_model_steps(here)} operations")
    _let_model_work(here, seconds)
    ended = here.guest.ask("model-stop", timeout=120.0)
    outcome.verified = list(ended.workers)
    outcome.lines = sum(steps for steps, _ in ended.workers.values())
    lost = ended.failed + ended.notes
    lost += [f"the guest's kernel: {text}" for text in lab.kernel_complaints()]
    if lost:
        raise Lost("\n".join(lost))
    return outcome


SCENARIOS: dict[str, Callable[..., Outcome]] = {
    scenario.__name__: scenario
    for scenario in (
        *(stay, live, twice, refused, killed, cancelled, snapshot, program, copied, damaged),
        *(takeover, model),
        *(stateless, none),
        recovered,
    )
}
