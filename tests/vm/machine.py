# SPDX-License-Identifier: BSD-3-Clause
"""A machine, that is a QEMU and the back-end of its share, and the lab in which they stand."""

from __future__ import annotations

import json
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import guest
import qemu

BOOT_TIMEOUT = 120.0
PROBE_TIMEOUT = 15.0
SOCKET_TIMEOUT = 20.0
END_TIMEOUT = 10.0
KERNEL_COMPLAINTS = ("WARNING:", "BUG:", "Oops", "blocked for more than")


class Skip(Exception):
    """This machine cannot run the test; says why."""


class DaemonError(Exception):
    """The back-end did not start or did not end as it should."""


def until(what: str, condition: Callable[[], bool], timeout: float) -> None:
    """Waits, with a limit."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not in {timeout:.0f} s")
        time.sleep(0.02)


def listens(sock: Path) -> bool:
    """Does somebody listen at a Unix socket? Asked without a connection, which a back-end would take
    for its front-end; that the name is there says less: it comes before."""
    accepts = 0x10000  # __SO_ACCEPTCON, in the fourth column
    for line in Path("/proc/net/unix").read_text().splitlines():
        if line.endswith(f" {sock}"):
            return bool(int(line.split()[3], 16) & accepts)
    return False


class Daemon:
    """One back-end process, its options spelled as virtiofsd spells them."""

    def __init__(
        self,
        command: list[str],
        options: list[str],
        share: Path,
        sock: Path,
        log: Path,
        user: int | None = None,
        nofile: int | None = None,
    ) -> None:
        self.socket = sock
        become = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        if nofile is not None:
            limits = (nofile, nofile)
            become["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        arguments = ["--socket-path", str(sock), "--shared-dir", str(share), *options]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command + arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **become
            )
        try:
            until("the back-end's socket", self._listens, SOCKET_TIMEOUT)
        except TimeoutError as err:
            self.stop()
            raise DaemonError(str(err)) from None

    def works(self) -> None:
        """Raises DaemonError if it does not."""
        if self.process.poll() is not None:
            raise DaemonError(f"the back-end ended with status {self.process.returncode}")

    def _listens(self) -> bool:
        self.works()
        return listens(self.socket)

    def ended(self) -> int | None:
        """Its status, once its front-end is gone; None if it stays."""
        try:
            return self.process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return None

    def describe(self) -> str:
        """For who has to find out why something did not work."""
        status = self.process.poll()
        if status is not None:
            return f"ended with status {status}"
        threads = [
            f"{task.joinpath('comm').read_text().strip()} in {task.joinpath('wchan').read_text()}"
            for task in Path(f"/proc/{self.process.pid}/task").iterdir()
        ]
        return f"runs; threads: {', '.join(threads)}; it says: {self._status()}"

    def _status(self) -> str:
        """What it answers on its control socket, if it has one."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(f"{self.socket}.control")
                status = qemu.Qmp(sock, timeout=5.0).command("query-status")
            for session in status.get("sessions", []):
                session["rings"] = [ring for ring in session["rings"] if ring["started"]]
            return json.dumps(status)
        except (OSError, qemu.QemuError) as err:
            return str(err)

    def kill_serving(self) -> None:
        """kill -9 of the process that serves: the last descendant of the one that was started."""
        pid, child = self.process.pid, self.process.pid
        while child:
            pid = child
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            child = int(children[0]) if children else 0
        os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            if self.ended() is None:
                self.process.kill()
                self.process.wait()


@dataclass
class Machine:
    """A host, as far as the guest is concerned: one QEMU, one back-end, one line to the guest."""

    name: str
    daemon: Daemon
    qemu: qemu.Qemu
    guest: guest.Channel
    monitor: Path  # a second one, for whoever else drives this machine

    shares_daemon: bool = False  # another machine goes on with it

    def stop(self) -> None:
        self.qemu.quit()
        self.guest.close()
        self.daemon.stop()

    def retire(self) -> None:
        """Ends a machine that the guest has left: the back-end has to go by itself."""
        self.qemu.quit()
        self.guest.close()
        if self.shares_daemon:
            self.daemon.works()
            return
        status = self.daemon.ended()
        self.daemon.stop()
        if status != 0:
            raise DaemonError(
                f"{self.name}: the back-end stays when its front-end is gone"
                if status is None
                else f"{self.name}: the back-end ended with status {status}"
            )


@dataclass
class Config:
    """What is tested, and with what."""

    guest_dir: Path  # as scripts/fetch-guest fills it
    init: Path
    daemon: list[str]
    queues: int
    say: Callable[[str], None]
    keep: bool = False  # leave logs and share where they are
    sandbox: str = "namespace"  # of the back-ends
    options: tuple[str, ...] = ("--xattr",)  # of the back-ends, too
    nofile: int | None = None  # descriptors that they may have, by the hard limit
    user: int | None = None  # the back-ends run as this one, and the share is theirs; None: as we
    programs: dict[str, Path] = field(default_factory=dict)  # in the guest, by their paths there

    @property
    def kernel(self) -> str:
        return (self.guest_dir / "version").read_text().strip()

    def require(self) -> None:
        """Raises Skip where something is missing that is not ours."""
        if os.uname().machine != "x86_64":
            raise Skip(f"the VM test knows no machine for {os.uname().machine} yet")
        if not (self.guest_dir / "version").exists():
            raise Skip(f"no guest kernel in {self.guest_dir}; scripts/fetch-guest gets it")
        found = qemu.version(qemu.binary())
        if found is None:
            raise Skip(f"no {qemu.binary()} here; scripts/install-deps gets it")
        if found < qemu.OLDEST_VERSION:
            raise Skip(f"QEMU {'.'.join(map(str, found))} is too old, 8.2 is needed")
        if shutil.which(self.daemon[0]) is None:
            raise Skip(f"no back-end {self.daemon[0]}")


def virtiofsd() -> list[str]:
    """Of another make: $VIRTIOFSD, or where Debian puts it. Raises Skip."""
    path = os.environ.get("VIRTIOFSD", "/usr/libexec/virtiofsd")
    if shutil.which(path) is None:
        raise Skip(f"there is no {path}, nor does VIRTIOFSD name one")
    return [path, "--seccomp", "none"]


def default_daemon(path: str) -> list[str]:
    """$DAEMON (a path, with options if need be) takes the place of the daemon just built."""
    return shlex.split(os.environ.get("DAEMON", path))


class Lab:
    """Everything a scenario needs, gone afterwards: `with Lab(config) as lab:`."""

    def __init__(self, config: Config) -> None:
        config.require()
        self.config = config
        self.say = config.say
        # Sockets have short paths only; what the guest sees lies where the build does, which
        # more often than /tmp is on a file system with everything.
        self.dir = Path(tempfile.mkdtemp(prefix="godwit-vm-"))
        self.share = Path(tempfile.mkdtemp(prefix="share-", dir=self._place()))
        self.share.chmod(0o755)
        self._command = self._give() if config.user is not None else config.daemon
        self._machines: list[Machine] = []
        self._daemons: list[Daemon] = []  # of further shares
        self._initrd = self.dir / "initrd"
        modules = config.guest_dir / "modules"
        self._initrd.write_bytes(guest.initramfs(config.init, modules, config.programs))
        self.accel = self._choose_accel()

    def _place(self) -> Path:
        """For the share: another user gets to no build."""
        return self.config.guest_dir if self.config.user is None else self.dir

    def _give(self) -> list[str]:
        """All that another user's back-end needs, where he gets at it."""
        program = shutil.copy(self.config.daemon[0], self.dir)
        for path in (self.dir, self.share):
            os.chown(path, self.config.user, self.config.user)
        return [program, *self.config.daemon[1:]]

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failed = err is not None and not isinstance(err, Skip)
        if failed:
            for machine in self._machines:
                print(f"---- {machine.name}: the back-end {machine.daemon.describe()}")
        for machine in self._machines:
            machine.stop()
        for daemon in self._daemons:
            daemon.stop()
        if failed:
            self._show_logs()
        if self.config.keep:
            print(f"kept: {self.dir} and {self.share}")
            return
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.share, ignore_errors=True)

    def kernel_complaints(self) -> list[str]:
        """What the guest's kernel did not like, on whichever machine it said so."""
        consoles = self.dir.glob("*.console.log")
        lines = [line for log in consoles for line in log.read_text(errors="replace").splitlines()]
        return [line for line in lines if any(word in line for word in KERNEL_COMPLAINTS)]

    def _show_logs(self) -> None:
        for log in sorted(self.dir.glob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            if lines:
                print(f"---- {log.name}, its end ----", *lines[-20:], sep="\n")

    def _options(self, name: str, accel: str) -> list[str]:
        extra = []
        if self.config.user is not None:
            extra = [f"share_uid={self.config.user}", f"share_gid={self.config.user}"]
        elif os.geteuid() != 0:
            extra = [f"share_uid={os.geteuid()}", f"share_gid={os.getegid()}"]
        # Under software emulation on a busy host the kernel's own test of its timer fails.
        append = ["console=ttyS0", "panic=-1", "no_timer_check", *extra]
        return [
            *("-accel", accel, "-cpu", "host" if accel == "kvm" else "max"),
            *("-machine", "q35,memory-backend=mem", "-m", qemu.MEMORY, "-smp", str(qemu.CPUS)),
            *("-object", f"memory-backend-memfd,id=mem,size={qemu.MEMORY},share=on"),
            *("-kernel", str(self.config.guest_dir / "vmlinuz"), "-initrd", str(self._initrd)),
            *("-append", " ".join(append), "-no-reboot"),
            *("-serial", f"file:{self.dir / name}.console.log"),
            *("-chardev", f"socket,id=line,path={self.dir / name}.line", "-serial", "chardev:line"),
            *("-chardev", f"socket,id=op,path={self.dir / name}.monitor,server=on,wait=off"),
            *("-mon", "op,mode=control"),
        ]

    def _start(self, name: str, options: list[str], share: Path) -> tuple[qemu.Qemu, guest.Channel]:
        listener = qemu.Listener(self.dir / f"{name}.line")
        try:
            vm = qemu.Qemu(options, self.dir / f"{name}.qemu.log", self.dir, name)
            return vm, guest.Channel(listener.accept(vm.process, qemu.START_TIMEOUT), share)
        finally:
            listener.close()

    def _choose_accel(self) -> str:
        """KVM where a guest really runs under it: that /dev/kvm opens does not say so. The answer
        is kept for as long as the host is up."""
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        known = self.config.guest_dir / f"accel-{os.geteuid()}"
        if known.exists() and known.read_text().split()[:1] == [boot_id]:
            return known.read_text().split()[1]
        accel = "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and self._boots("kvm") else "tcg"
        known.write_text(f"{boot_id} {accel}\n")
        return accel

    def _boots(self, accel: str) -> bool:
        try:
            vm, channel = self._start("probe", self._options("probe", accel), self.share)
        except qemu.QemuError:
            return False
        try:
            until("the probe's end", lambda: channel.heard() or not vm.running(), PROBE_TIMEOUT)
            return channel.heard()
        except (TimeoutError, qemu.QemuError):
            return False
        finally:
            vm.kill()
            channel.close()
            for log in self.dir.glob("probe.*.log"):
                log.unlink()

    def daemon(self, name: str, options: list[str], share: Path) -> Daemon:
        """A back-end of one more share."""
        sock, log = self.dir / f"{name}.fs", self.dir / f"{name}.daemon.log"
        options = ["--sandbox", self.config.sandbox, *options]
        daemon = Daemon(self._command, options, share, sock, log, self.config.user)
        self._daemons.append(daemon)
        return daemon

    def machine(
        self,
        name: str,
        incoming: bool = False,
        share: Path | None = None,
        command: list[str] | None = None,
        queues: int | None = None,
        second: Daemon | None = None,
        more: tuple[str, ...] = (),
        beside: Machine | None = None,
    ) -> Machine:
        """Starts a back-end (@command instead of what is tested; @more options) and a QEMU: with a
        guest that boots, or waiting for one to come in. @second is the back-end of one more share.
        @beside: with that one's back-end, which it has for itself in the end."""
        share = share or self.share
        # Another make's sandbox is not what is tested.
        ours = not command or command[0] == self.config.daemon[0]
        sandbox = self.config.sandbox if ours else "none"
        sock, log = self.dir / f"{name}.fs", self.dir / f"{name}.daemon.log"
        options = ["--sandbox", sandbox, *self.config.options, *more]
        config = self.config
        daemon = (
            beside.daemon
            if beside
            else Daemon(
                command or self._command, options, share, sock, log, config.user, config.nofile
            )
        )
        options = self._options(name, self.accel)
        options += ["-chardev", f"socket,id=fs,path={daemon.socket}"]
        queues = queues or self.config.queues
        device = f"vhost-user-fs-pci,chardev=fs,tag={guest.TAG},num-request-queues={queues}"
        options += ["-device", device]
        if second:
            options += ["-chardev", f"socket,id=fs2,path={second.socket}"]
            options += ["-device", "vhost-user-fs-pci,id=second,chardev=fs2,tag=second"]
        options += ["-incoming", "defer"] if incoming else []
        try:
            vm, channel = self._start(name, options, share)
        except qemu.QemuError:
            daemon.stop()
            raise
        channel.works = daemon.works
        machine = Machine(name, daemon, vm, channel, self.dir / f"{name}.monitor")
        self._machines.append(machine)
        if not incoming:
            machine.guest.wait_for("ready", BOOT_TIMEOUT)
        return machine
