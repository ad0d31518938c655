# SPDX-License-Identifier: BSD-3-Clause
"""Each gate of `godwit migrate`, closed as it can be with real QEMUs and real back-ends."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import unittest.mock
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import masked
import played
import qemu
from bench import CANNOT_TELL, SLOT, TIMEOUT_S, Bench, Program, Wrong, becomes, control
from bench import control_of, expect, fs, set_capability, switched_on
from machine import Daemon, until
from played import Played

# VHOST_F_LOG_ALL, and vhost-user's protocol features.
LOG_ALL, LOG_SHMFD, DEVICE_STATE = 1 << 26, 1 << 1, 1 << 19
INDIRECT_DESC = 1 << 28  # of virtio
# Memory of the guest's that nothing else is in.
MORE_AT, MORE_THAN_A_SOCKET_HOLDS = 32 << 20, 8 << 20
# Cancelling shuts the stream; when that is seen as an error first, QEMU calls it failed.
ENDED = ("cancelled", "failed")

# What nothing that can be had here closes: tests/cli/migrate-gates.py does, by scripted answers.
SCRIPTED = {
    "vfio-user-device": "QEMU has had such devices only since 10.1",
    "no-capacity": "a back-end that waits is there already, and says nothing of room for more",
}


@dataclass
class Scenario:
    name: str
    run: Callable[[Bench], None]
    last: bool = False  # it leaves no pair that others could use
    codes: tuple[str, ...] = field(default_factory=tuple)


SCENARIOS: dict[str, list[Scenario]] = {}  # by what they close
ALL: list[Scenario] = []


Run = Callable[[Bench], None]


def closes(*codes: str, last: bool = False) -> Callable[[Run], Run]:
    """The gates that a scenario closes. What it says of itself is the page's."""

    def add(run: Run) -> Run:
        scenario = Scenario(run.__name__, run, last, codes)
        ALL.append(scenario)
        for code in codes:
            SCENARIOS.setdefault(code, []).append(scenario)
        return run

    return add


def all_scenarios() -> list[Scenario]:
    return sorted(ALL, key=lambda one: one.last)


@closes("source-state")
def panicked(bench: Bench) -> None:
    """the guest has panicked (pvpanic)"""
    bench.source.bus.port(played.PANIC_PORT, 1)
    becomes(bench.source, "guest-panicked")
    bench.closed("source-state", "'guest-panicked'")
    bench.source.qemu.qmp.command("cont")
    becomes(bench.source, "running")
    bench.driver.inode_number(played.FUSE_ROOT)


@closes("source-state", "destination-not-waiting", "device-state", last=True)
def moved(bench: Bench) -> None:
    """the guest was moved (`--plan`, `--svg`), goes on there, and is to be moved once more"""
    (bench.share / "file").write_text("x")
    node, picture = bench.driver.look_up("file"), bench.path("svg")
    paths = {"source": bench.path("elsewhere"), "target": bench.path("elsewhere")}
    for side, daemon in (("source", bench.source_fs), ("target", bench.target_fs)):
        os.rename(control_of(daemon), paths[side])
    plan = bench.plan(**paths)
    exit_code, report = bench.ask(*plan, "--svg", str(picture))
    expect("moved", (exit_code, report["outcome"], report["findings"]), (0, "moved", []))
    device, = report["devices"]
    expect("asked at", [device[side]["control"] for side in ("source", "destination")],
           [str(path) for path in paths.values()])
    transfers = [device[side]["transfer"] for side in ("source", "destination")]
    expect("the state", transfers[0]["bytes"], transfers[1]["bytes"])
    expect("in the picture", "blackout" in picture.read_text(), True)
    there = bench.target.driver(SLOT)
    there.arrive(bench.driver)
    expect("the file", there.inode_number(node), (bench.share / "file").stat().st_ino)
    bench.closed("source-state", "'postmigrate'", *plan,
                 also=("destination-not-waiting", "device-state"))


@closes()
def unused(bench: Bench) -> None:
    """A share that the guest has not mounted yet is no obstacle: nothing is decided, and that is
    what it is at the destination, too."""
    source, target = (start(fs(bench.daemon().socket)) for start in (bench.machine, bench.waits))
    exit_code, report = bench.ask(source=source, target=target)
    expect("unused", (exit_code, report["outcome"], report["findings"]), (0, "moved", []))
    driver = target.driver(SLOT)
    driver.start()
    expect("its root", driver.inode_number(played.FUSE_ROOT), bench.share.stat().st_ino)


@closes()
def unused_stateless(bench: Bench) -> None:
    """The same where both QEMUs are at one back-end: neither of its devices is in use, so that it
    does not matter which is whose."""
    daemon = bench.daemon("--migration", "stateless")
    source, target = (start(fs(daemon.socket)) for start in (bench.machine, bench.waits))
    exit_code, report = bench.ask(source=source, target=target)
    expect("unused", (exit_code, report["outcome"], report["findings"]), (0, "moved", []))
    driver = target.driver(SLOT)
    driver.start()
    expect("its root", driver.inode_number(played.FUSE_ROOT), bench.share.stat().st_ino)


@closes()
def paused(bench: Bench) -> None:
    """A destination that was started paused (-S) is let go; a guest that was paused stays so."""
    for stopped, options in ((False, ["-S"]), (True, [])):
        source = used(bench, bench.daemon().socket)
        target = bench.waits(options, fs(bench.daemon().socket))
        if stopped:
            source.qemu.qmp.command("stop")
        exit_code, report = bench.ask(source=source, target=target)
        expect("moved", (exit_code, report["outcome"], report["findings"]), (0, "moved", []))
        expect("the guest runs there", target.qemu.running(), not stopped)
        expect("the guest runs here", source.qemu.running(), False)


@closes()
def listening(bench: Bench) -> None:
    """A destination that was started with an address is found there."""
    for address in (f"unix:{bench.path('way')}", "tcp:127.0.0.1:0", "tcp:[::]:0"):
        source = used(bench, bench.daemon().socket)
        target = bench.machine(["-incoming", address], fs(bench.daemon().socket))
        exit_code, report = bench.ask(source=source, target=target)
        expect(address, (exit_code, report["outcome"], report["findings"]), (0, "moved", []))


@closes("device-missing")
def network_card(bench: Bench) -> None:
    """a card whose netdev is a back-end's (vhost-user)"""
    def card() -> list[str]:
        path = bench.path("card")
        back_end = bench.add(Program([bench.args.null, "--socket-path", str(path)], path))
        return [
            *("-chardev", f"socket,id=card,path={back_end.socket}"),
            *("-netdev", "vhost-user,id=net,chardev=card"),
            *("-device", f"virtio-net-pci,id=nic,netdev=net,addr={SLOT + 1}"),
        ]

    source, target = bench.machine(card()), bench.waits(card())
    exit_code, report = bench.ask("--dry-run", source=source, target=target)
    expect("a card on both sides", (exit_code, report["findings"]), (0, []))
    makes = [report["devices"][0][side]["make"] for side in ("source", "destination")]
    expect("both asked", makes, ["godwit", "godwit"])
    none = bench.waits()
    bench.closed("device-missing", "the source (virtio-net-pci)", source=source, target=none)


@closes("destination-not-waiting")
def not_waiting(bench: Bench) -> None:
    """the destination was started without `-incoming`"""
    other = bench.machine(fs(bench.daemon().socket))
    bench.closed("destination-not-waiting", "it is 'running'", target=other)


@contextlib.contextmanager
def under_way(bench: Bench) -> Iterator[None]:
    """A migration of the source's that does not end: nobody reads, and a socket holds less."""
    monitor = bench.source.qemu.qmp
    bench.source.bus.fill(MORE_AT, 0x55, MORE_THAN_A_SOCKET_HOLDS)
    with socket.socket(socket.AF_UNIX) as listener:
        path = bench.path("way")
        listener.bind(str(path))
        listener.listen()
        monitor.command("migrate", uri=f"unix:{path}")
        try:
            until("it is under way", lambda: migration_of(bench.source) == "active", TIMEOUT_S)
            yield
        finally:
            monitor.command("migrate_cancel")
            until("it has ended", lambda: migration_of(bench.source) in ENDED, TIMEOUT_S)


def migration_of(machine: Played) -> Any:
    return machine.qemu.qmp.command("query-migrate").get("status")


@closes("migration-running")
def migration_runs(bench: Bench) -> None:
    """another migration is under way from the source, and one to the destination"""
    with under_way(bench):
        bench.closed("migration-running", "of the source ('active')")
    taken, path = bench.waits(fs(bench.daemon().socket)), bench.path("way")
    taken.qemu.qmp.command("migrate-incoming", uri=f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as somebody:
        somebody.connect(str(path))
        until("it is taken", lambda: migration_of(taken) == "active", TIMEOUT_S)
        bench.closed("migration-running", "to the destination ('active')", target=taken)


@closes("migration-blocked")
def blocked(bench: Bench) -> None:
    """a disk that QEMU cannot migrate (vvfat)"""
    monitor = bench.source.qemu.qmp
    monitor.command("blockdev-add", driver="vvfat", dir=str(bench.share), rw=True, node_name="disk")
    bench.closed("migration-blocked", "node 'disk' does not support live migration")
    monitor.command("blockdev-del", node_name="disk")


@closes("no-return-path")
def one_way(bench: Bench) -> None:
    """`--uri file:` and `exec:` (a QEMU without return-path: scripted)"""
    written = bench.path("file")
    for uri in ("file:", "exec:cat>"):
        bench.closed("no-return-path", "leads one way only", "--uri", f"{uri}{written}")
    expect("written", written.exists(), False)


@closes("no-uri")
def monitor_elsewhere(bench: Bench) -> None:
    """the destination's monitor is reached by TCP, and no `--uri`"""
    tcp = ["-chardev", "socket,id=tcp,host=127.0.0.1,port=0,server=on,wait=off"]
    tcp += ["-mon", "tcp,mode=control"]
    other = bench.waits(tcp, fs(bench.daemon().socket))
    names = [one["filename"] for one in other.qemu.qmp.command("query-chardev")
             if one["label"] == "tcp"]
    to = re.search(r"tcp:127\.0\.0\.1:\d+", names[0])[0]
    bench.closed("no-uri", "--uri", target=other, to=to)
    expect("with one", bench.ask("--dry-run", "--uri", "tcp:b:1", target=other, to=to)[0], 0)


@closes("background-snapshot")
def background_snapshot(bench: Bench) -> None:
    """the capability is on at the source"""
    try:
        set_capability(bench.source, "background-snapshot", True)
    except qemu.QemuError as err:
        bench.noted.append(f"background-snapshot was not closed: {err}")
        return
    bench.closed("background-snapshot", "at the source")
    set_capability(bench.source, "background-snapshot", False)


@closes("capabilities-differ")
def capabilities(bench: Bench) -> None:
    """multifd is on at one side"""
    for machine, side in ((bench.source, "source"), (bench.target, "destination")):
        with switched_on(machine, "multifd"):
            bench.closed("capabilities-differ", f"'multifd' is on at the {side}")


@closes("memory-not-shared")
def private_memory(bench: Bench) -> None:
    """the destination's memory back-end has no share=on; there is none (`-m` alone)"""
    private = bench.waits(fs(bench.daemon().socket), share="off")
    bench.closed("memory-not-shared", "'mem' of the destination", target=private)
    none = bench.waits(fs(bench.daemon().socket), share="")
    bench.closed("memory-not-shared", "'pc.ram' of the destination", target=none)


@closes("device-missing")
def device_missing(bench: Bench) -> None:
    """one side has the device, the other has not"""
    none = bench.waits()
    bench.closed("device-missing", "the source (vhost-user-fs-pci)", target=none)
    more = fs(bench.daemon().socket, SLOT + 1, id="more", tag="more")
    two = bench.waits(fs(bench.daemon().socket), more)
    bench.closed("device-missing", "the destination (vhost-user-fs-pci)", target=two)


@closes("device-differs")
def device_differs(bench: Bench) -> None:
    """another tag, another slot"""
    other = bench.waits(fs(bench.daemon().socket, tag="other"))
    bench.closed("device-differs", 'tag is "share" at the source, "other"', target=other)
    moved_on = bench.waits(fs(bench.daemon().socket, SLOT + 1))
    bench.closed("device-differs", 'addr is 04.0 at the source, 05.0', target=moved_on)


@closes("queues-differ")
def queues_differ(bench: Bench) -> None:
    """another num-request-queues, another queue-size"""
    other = bench.waits(fs(bench.daemon().socket, num_request_queues=1, queue_size=64))
    for says in ("num-request-queues is 2 at the source, 1", "queue-size is 128 at the source, 64"):
        bench.closed("queues-differ", says, target=other)


@closes("features-unknown")
def features_unknown(bench: Bench) -> None:
    """a back-end without a control socket, and the guest is paused"""
    bench.source.qemu.qmp.command("stop")
    bench.closed("features-unknown", "while the guest uses", *bench.plan(source=None),
                 exits=CANNOT_TELL, also=("cannot-compare",))
    bench.source.qemu.qmp.command("cont")


def used(bench: Bench, sock: Path) -> Played:
    """A source whose guest uses its share, too."""
    machine = bench.machine(fs(sock))
    machine.driver(SLOT).start()
    return machine


@closes("virtio-differs")
def less_virtio(bench: Bench) -> None:
    """the destination's back-end does not offer what the guest has negotiated; by `--override` QEMU
    fails there, and the guest goes on here"""
    source = bench.machine(fs(bench.daemon().socket))
    driver = source.driver(SLOT)
    driver.start(INDIRECT_DESC)
    less = bench.waits(fs(bench.masked({masked.GET_FEATURES: INDIRECT_DESC})))
    bench.closed("virtio-differs", "VIRTIO_RING_F_INDIRECT_DESC", source=source, target=less)
    exit_code, report = bench.ask("--override", "to see it fail", source=source, target=less)
    expect("so it is", (exit_code, report["outcome"]), (4, "failed"))
    driver.inode_number(played.FUSE_ROOT)
    enough = bench.waits(fs(bench.daemon().socket))
    exit_code, report = bench.ask(source=source, target=enough)
    expect("moved", (exit_code, report["outcome"], report["findings"]), (0, "moved", []))


@closes("no-device-state")
def no_device_state(bench: Bench) -> None:
    """a back-end that does not offer it"""
    less = used(bench, bench.masked({masked.GET_PROTOCOL_FEATURES: DEVICE_STATE}))
    bench.closed("no-device-state", "", source=less)


@closes("no-log-all")
def no_log_all(bench: Bench) -> None:
    """a back-end that does not offer it"""
    less = used(bench, bench.masked({masked.GET_FEATURES: LOG_ALL}))
    bench.closed("no-log-all", "", source=less, also=("migration-blocked",))


@closes("no-log-shmfd")
def no_log_shmfd(bench: Bench) -> None:
    """a back-end that does not offer it"""
    less = used(bench, bench.masked({masked.GET_PROTOCOL_FEATURES: LOG_SHMFD}))
    bench.closed("no-log-shmfd", "", source=less, also=("migration-blocked",))


@closes("post-copy-impossible")
def post_copy(bench: Bench) -> None:
    """postcopy-ram is on at the source; the destination's QEMU does not switch it on"""
    try:
        set_capability(bench.target, "postcopy-ram", True)
        raise Wrong("the destination's QEMU takes postcopy-ram")
    except qemu.QemuError:
        pass
    with switched_on(bench.source, "postcopy-ram"):
        bench.closed("post-copy-impossible", "switch it off", also=("capabilities-differ",))


@closes("back-end-silent")
def silent(bench: Bench) -> None:
    """a control socket that nobody listens at; one that takes connections and says nothing"""
    path = bench.path("silent")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        plan = bench.plan(target=path)
        bench.closed("back-end-silent", "Connection refused", *plan, exits=CANNOT_TELL)
        listener.listen()
        bench.closed("back-end-silent", "no greeting", *plan, "--patience", "1", exits=CANNOT_TELL)


@closes("same-back-end")
def same_back_end(bench: Bench) -> None:
    """both sides' control socket is the source's"""
    path = control_of(bench.source_fs)
    bench.closed("same-back-end", path, *bench.plan(target=path), exits=CANNOT_TELL)


@closes("stateless-elsewhere")
def stateless_elsewhere(bench: Bench) -> None:
    """a stateless back-end, and the destination has another"""
    control(bench.source_fs, "migration-set", migration="stateless")
    bench.closed("stateless-elsewhere", "with the same socket")
    control(bench.source_fs, "migration-set", migration="stateful")


@closes("session-unknown", "cannot-tell")
def session_unknown(bench: Bench) -> None:
    """the control socket of a back-end that no QEMU is connected to"""
    idle = control_of(bench.daemon())
    bench.closed("session-unknown", idle, *bench.plan(target=idle), exits=CANNOT_TELL)
    bench.closed("session-unknown", idle, *bench.plan(source=idle), exits=CANNOT_TELL,
                 also=("cannot-tell",))
    bench.closed("cannot-tell", "tells of no instance", *bench.plan(source=idle), exits=CANNOT_TELL,
                 also=("session-unknown",))


@closes("migration-none")
def migration_none(bench: Bench) -> None:
    """`migration-set none`, of either side; a source started with `--migration none`"""
    for daemon, side in ((bench.source_fs, "source"), (bench.target_fs, "destination")):
        control(daemon, "migration-set", migration="none")
        bench.closed("migration-none", f"at the {side}")
        control(daemon, "migration-set", migration="stateful")
    born = used(bench, bench.daemon("--migration", "none").socket)
    bench.closed("migration-none", "at the source", source=born,
                 also=("migration-blocked", "no-device-state", "no-log-shmfd"))


@contextlib.contextmanager
def full() -> Iterator[socket.socket]:
    """A way for bytes on which none goes any more. A pipe could be made larger."""
    writer, reader = socket.socketpair()
    with writer, reader:
        writer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                writer.send(bytes(4096))
        writer.setblocking(True)
        yield writer


@closes("device-state")
def being_saved(bench: Bench) -> None:
    """the guest is paused, and somebody saves the device (`godwit save`) and nobody reads"""
    bench.source.qemu.qmp.command("stop")
    with full() as way, socket.socket(socket.AF_UNIX) as operator:
        operator.connect(control_of(bench.source_fs))
        socket.send_fds(operator, [b'{"execute": "device-state-save"}\n'], [way.fileno()])
        saving = lambda: session_of(bench.source_fs)["transfer_state"] == "saving"
        until("it is being saved", saving, TIMEOUT_S)
        bench.closed("device-state", "at the source it is being saved")
    until("that has ended", lambda: not saving(), TIMEOUT_S)
    bench.source.qemu.qmp.command("cont")
    bench.driver.inode_number(played.FUSE_ROOT)


def session_of(daemon: Daemon) -> Any:
    return control(daemon, "query-status")["sessions"][0]


@closes("stream-unreadable")
def unreadable(bench: Bench) -> None:
    """the destination's is of another make"""
    bench.closed("stream-unreadable", "another make", *bench.plan(target=None),
                 also=("cannot-compare",))


@closes("cannot-compare")
def foreign(bench: Bench) -> None:
    """the source's is of another make"""
    bench.closed("cannot-compare", "at the source", *bench.plan(source=None), exits=CANNOT_TELL)


@closes("cannot-travel")
def cannot_travel(bench: Bench) -> None:
    """a file that the guest knows was moved out of the share"""
    inside, outside = bench.share / "leaves", bench.dir / "left"
    inside.write_text("x")
    bench.driver.look_up(inside.name)
    inside.rename(outside)
    bench.closed("cannot-travel", inside.name)
    outside.rename(inside)


@closes("over-limit")
def over_limit(bench: Bench) -> None:
    """the guest knows one file more than the destination's `--inode-limit`; just so many are moved"""
    daemon = bench.daemon()
    source = bench.machine(fs(daemon.socket))
    driver = source.driver(SLOT)
    driver.start()
    for name in ("one", "two", "three"):
        (bench.share / name).write_text("x")
        driver.look_up(name)
    known = session_of(daemon)["details"]["inodes"] - 1
    less, enough = (bench.waits(fs(bench.daemon("--inode-limit", str(limit)).socket))
                    for limit in (known - 1, known))
    bench.closed("over-limit", f"{known} inodes at the source, {known - 1} are", source=source,
                 target=less)
    exit_code, report = bench.ask(source=source, target=enough)
    expect("moved", (exit_code, report["outcome"], report["findings"]), (0, "moved", []))


# -- of the documents ----------------------------------------------------------------------------


@closes("model-unknown")
def other_device(bench: Bench) -> None:
    """another program listens at the destination's socket"""
    path = bench.path("null")
    options = ["--socket-path", str(path)]
    null = bench.add(Program([bench.args.null, *options], path))
    other = bench.waits(fs(null.socket, num_request_queues=1))
    bench.closed("model-unknown", "virtio-fs", target=other, also=("queues-differ",))


@closes("state-format-unreadable")
def older_build(bench: Bench) -> None:
    """the destination's is an older build, which knows older layouts only"""
    older = bench.waits(fs(bench.daemon(program=bench.args.older).socket))
    bench.closed("state-format-unreadable", "parameter state", target=older)


@closes("param-unknown", "value-not-allowed")
def later_build(bench: Bench) -> None:
    """the source's is a later build, of which the guest uses what is new"""
    later = used(bench, bench.daemon(program=bench.args.later).socket)
    both = ("param-unknown", "value-not-allowed")
    for code, says in zip(both, ("later-symlinks", "fuse-minor")):
        bench.closed(code, f"parameter {says}", source=later, also=both)


def another_make(bench: Bench, what: str) -> Played:
    """A destination of the same model, of which tests/compat/later.c makes what none of ours is."""
    with unittest.mock.patch.dict(os.environ, {what: "1"}):
        return bench.waits(fs(bench.daemon(program=bench.args.later).socket))


@closes("param-required")
def needs_more(bench: Bench) -> None:
    """the destination's knows a parameter that has no off value, and the source's does not state it"""
    bench.closed("param-required", "parameter later-needed",
                 target=another_make(bench, "LATER_NEEDS"))


@closes("combination-refused")
def not_together(bench: Bench) -> None:
    """the destination's takes two values that the source's has, but not together"""
    bench.closed("combination-refused", "not with more than one queue",
                 target=another_make(bench, "LATER_REFUSES"))


@closes("param-differs")
def other_parameters(bench: Bench) -> None:
    """the destination's was started with another `--cache`"""
    other = bench.waits(fs(bench.daemon("--cache", "never").socket))
    bench.closed("param-differs", "parameter cache", target=other)


@closes("prerequisite-missing")
def other_share(bench: Bench) -> None:
    """the destination's shares another directory"""
    folder = bench.path("share")
    folder.mkdir()
    other = bench.waits(fs(bench.daemon(share=folder).socket))
    bench.closed("prerequisite-missing", "shared-backing", target=other)


@closes("checker-refused")
def checker(bench: Bench) -> None:
    """a program of the operator's says no (`--checkers`)"""
    folder = bench.path("checkers")
    folder.mkdir(mode=0o755)
    program = folder / "mine"
    program.write_text("#!/bin/sh\ncat >/dev/null\necho not on a Monday\nexit 1\n")
    program.chmod(0o755)
    bench.closed("checker-refused", "not on a Monday", "--checkers", str(folder))
