# SPDX-License-Identifier: BSD-3-Clause
"""A machine whose guest is played: its processor sleeps from its first instruction on, and what a
driver in the guest would do to the PCI bus, to memory and to a virtio-fs device is done over qtest.
No kernel has to boot, and the guest does exactly what it is told to."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import qemu

MEMORY = "64M"
TIMEOUT_S = 30.0
PANIC_PORT = 0x505
FUSE_ROOT = 1  # the node that every guest knows

# An x86 begins 16 bytes before the end of its firmware: cli; hlt; and once more if it wakes up.
_FIRMWARE_SIZE = 0x10000
_SLEEP = b"\xfa\xf4\xeb\xfd"

# virtio 1.2, 4.1: the bus, and where the parts of the device are.
_CONFIG_ADDRESS, _CONFIG_DATA = 0xCF8, 0xCFC
_COMMAND, _BAR, _CAPABILITIES = 0x04, 0x10, 0x34
_MEMORY_AND_MASTER = 6
_VENDOR_CAPABILITY, _COMMON, _NOTIFY = 9, 1, 2
_WINDOW, _WINDOW_SIZE = 0xC0000000, 0x100000  # where BARs are put; for each slot
# 2.1 and 4.1.4.3
_ACKNOWLEDGE, _DRIVER, _DRIVER_OK, _FEATURES_OK = 1, 2, 4, 8
_VERSION_1_WORD, _VERSION_1_BIT = 1, 1
_STATUS, _QUEUE_SELECT, _QUEUE_SIZE, _QUEUE_ENABLE = 20, 22, 24, 28
_QUEUE_NOTIFY, _QUEUE_DESC = 30, 32
_DRIVER_FEATURE_SELECT, _DRIVER_FEATURE = 8, 12
# 2.7
_NEXT, _WRITE = 1, 2
_ENTRIES = 16

_FUSE_LOOKUP, _FUSE_GETATTR, _FUSE_INIT = 1, 3, 26
_FUSE_HEADER = "<IIQQIIIxxxx"
_REPLY_ROOM = 4096


def firmware(path: Path) -> Path:
    """Something that a processor sleeps on."""
    path.write_bytes(_SLEEP.rjust(_FIRMWARE_SIZE - 12, b"\0").ljust(_FIRMWARE_SIZE, b"\0"))
    return path


class Bus:
    """What a processor could do: ports, memory. Over qtest, in lines of text."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT_S)
        self._sock = sock
        self._lines = sock.makefile("r")

    def _ask(self, line: str) -> list[str]:
        self._sock.sendall(line.encode() + b"\n")
        answer = self._lines.readline().split()
        if answer[:1] != ["OK"]:
            raise qemu.QemuError(f"qtest: {line}: {' '.join(answer) or 'it is gone'}")
        return answer[1:]

    def port(self, port: int, value: int, size: str = "b") -> None:
        self._ask(f"out{size} {port:#x} {value:#x}")

    def store(self, address: int, value: int, size: str) -> None:
        self._ask(f"write{size} {address:#x} {value:#x}")

    def load(self, address: int, size: str) -> int:
        return int(self._ask(f"read{size} {address:#x}")[0], 16)

    def write(self, address: int, data: bytes) -> None:
        self._ask(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def fill(self, address: int, byte: int, length: int) -> None:
        self._ask(f"memset {address:#x} {length:#x} {byte:#x}")

    def read(self, address: int, length: int) -> bytes:
        return bytes.fromhex(self._ask(f"read {address:#x} {length:#x}")[0][2:])

    def config(self, slot: int, offset: int, value: int | None = None) -> int:
        """A word of a device's PCI configuration."""
        self.port(_CONFIG_ADDRESS, 1 << 31 | slot << 11 | offset, "l")
        if value is not None:
            self.port(_CONFIG_DATA, value, "l")
        return int(self._ask(f"inl {_CONFIG_DATA:#x}")[0], 16)

    def close(self) -> None:
        self._lines.close()
        self._sock.close()


@dataclass
class _Ring:
    """A split ring of _ENTRIES, its three parts one after the other, and room for one request."""

    base: int
    notify: int
    sent: int = 0

    @property
    def driver(self) -> int:
        return self.base + 0x1000

    @property
    def device(self) -> int:
        return self.base + 0x2000

    @property
    def room(self) -> int:
        return self.base + 0x4000


class FsDriver:
    """The guest's driver of one virtio-fs device, and one request after the other."""

    def __init__(self, bus: Bus, slot: int) -> None:
        self._bus = bus
        self._parts = self._find_parts(slot)
        self._memory = 0x100000 * slot
        self._unique = 0
        self.ring = _Ring(0, 0)

    def _find_parts(self, slot: int) -> dict[int, tuple[int, int]]:
        """Address of each kind of structure, and the word behind its capability."""
        bus, bar, parts = self._bus, _WINDOW + _WINDOW_SIZE * slot, {}
        at = bus.config(slot, _CAPABILITIES) & 0xFF
        while at:
            head = bus.config(slot, at)
            if head & 0xFF == _VENDOR_CAPABILITY:
                number = bus.config(slot, at + 4) & 0xFF
                bus.config(slot, _BAR + 4 * number, bar)
                parts[head >> 24] = (bar + bus.config(slot, at + 8), bus.config(slot, at + 16))
            at = head >> 8 & 0xFF
        bus.config(slot, _COMMAND, _MEMORY_AND_MASTER)
        return parts

    def _common(self, offset: int, value: int, size: str) -> None:
        self._bus.store(self._parts[_COMMON][0] + offset, value, size)

    def _set_up_ring(self, number: int) -> _Ring:
        notify, step = self._parts[_NOTIFY]
        common = self._parts[_COMMON][0]
        self._common(_QUEUE_SELECT, number, "w")
        offset = self._bus.load(common + _QUEUE_NOTIFY, "w")
        ring = _Ring(self._memory + 0x10000 * number, notify + offset * step)
        self._common(_QUEUE_SIZE, _ENTRIES, "w")
        for place, address in enumerate((ring.base, ring.driver, ring.device)):
            self._common(_QUEUE_DESC + 8 * place, address, "l")
            self._common(_QUEUE_DESC + 8 * place + 4, 0, "l")
        self._common(_QUEUE_ENABLE, 1, "w")
        return ring

    def start(self, features: int = 0) -> None:
        """From reset to a mounted file system; what is negotiated besides, of the first 32 bits, the
        driver makes no use of."""
        for status in (0, _ACKNOWLEDGE, _ACKNOWLEDGE | _DRIVER):
            self._common(_STATUS, status, "b")
        for word in range(2):
            self._common(_DRIVER_FEATURE_SELECT, word, "l")
            self._common(_DRIVER_FEATURE, _VERSION_1_BIT if word == _VERSION_1_WORD else features, "l")
        ready = _ACKNOWLEDGE | _DRIVER | _FEATURES_OK
        self._common(_STATUS, ready, "b")
        self._set_up_ring(0)
        self.ring = self._set_up_ring(1)
        self._common(_STATUS, ready | _DRIVER_OK, "b")
        self.ask(_FUSE_INIT, 0, struct.pack("<IIII48x", 7, 38, 0x20000, 0))

    def arrive(self, other: FsDriver) -> None:
        """The guest that @other was the driver of goes on here."""
        self.ring, self._unique = other.ring, other._unique

    def _send(self, request: bytes) -> None:
        ring, bus = self.ring, self._bus
        reply = ring.room + 0x1000
        bus.write(ring.room, request)
        bus.write(
            ring.base,
            struct.pack("<QIHH", ring.room, len(request), _NEXT, 1)
            + struct.pack("<QIHH", reply, _REPLY_ROOM, _WRITE, 0),
        )
        bus.store(ring.driver + 4 + 2 * (ring.sent % _ENTRIES), 0, "w")
        ring.sent += 1
        bus.store(ring.driver + 2, ring.sent & 0xFFFF, "w")
        bus.store(ring.notify, 1, "w")

    def _await(self) -> bytes:
        deadline = time.monotonic() + TIMEOUT_S
        while self._bus.load(self.ring.device + 2, "w") != self.ring.sent & 0xFFFF:
            if time.monotonic() > deadline:
                raise qemu.QemuError(f"the device does not answer within {TIMEOUT_S:.0f} s")
        return self._bus.read(self.ring.room + 0x1000, _REPLY_ROOM)

    def ask(self, opcode: int, node: int, body: bytes) -> bytes:
        """The answer to one FUSE request, without its header. OSError if it is an error."""
        self._unique += 1
        length = struct.calcsize(_FUSE_HEADER) + len(body)
        self._send(struct.pack(_FUSE_HEADER, length, opcode, self._unique, node, 0, 0, 1) + body)
        answer = self._await()
        length, error = struct.unpack("<Ii", answer[:8])
        if error:
            raise OSError(-error, "FUSE", str(opcode))
        return answer[16:length]

    def look_up(self, name: str) -> int:
        """The guest knows this file of the root from now on; its node."""
        node, = struct.unpack("<Q", self.ask(_FUSE_LOOKUP, FUSE_ROOT, name.encode() + b"\0")[:8])
        return node

    def inode_number(self, node: int) -> int:
        number, = struct.unpack("<Q", self.ask(_FUSE_GETATTR, node, bytes(16))[16:24])
        return number


@dataclass
class Played:
    """One machine: QEMU, and the bus that its guest is played on."""

    name: str
    qemu: qemu.Qemu
    bus: Bus
    monitor: Path  # a second one, for whoever else drives this machine

    def driver(self, slot: int) -> FsDriver:
        return FsDriver(self.bus, slot)

    def stop(self) -> None:
        self.qemu.kill()
        self.qemu.qmp.close()
        self.bus.close()


def start(directory: Path, name: str, options: list[str], share: str = "on") -> Played:
    """@options: devices and their like; @share: of its memory; "": it has no back-end."""
    monitor = directory / f"{name}.monitor"
    listener = qemu.Listener(directory / f"{name}.bus")
    memory = ["-object", f"memory-backend-memfd,id=mem,size={MEMORY},share={share}"]
    options = [
        *("-machine", f"q35,accel=tcg{',memory-backend=mem' if share else ''}", "-m", MEMORY),
        *(memory if share else []),
        *("-bios", str(firmware(directory / "firmware"))),
        *("-qtest", f"unix:{listener.path}", "-qtest-log", "none"),
        *("-device", "pvpanic", "-action", "panic=pause"),
        *("-chardev", f"socket,id=op,path={monitor},server=on,wait=off", "-mon", "op,mode=control"),
        *options,
    ]
    try:
        vm = qemu.Qemu(options, directory / f"{name}.qemu.log", directory, name)
        return Played(name, vm, Bus(listener.accept(vm.process, qemu.START_TIMEOUT)), monitor)
    finally:
        listener.close()
