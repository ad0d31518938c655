#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user back-end of another hand, for what no other one has: SUSPEND and ITERATIVE, written from
docs/protocol.md alone, and STATUS; and with one fault, if it is told to.

usage: conform_device.py FAULT SOCKET

It is a virtio-fs device of one empty directory, whose state is who has that open. Nothing of it runs beside
anything else, so that a request that was taken is answered before the next message is looked at.
"""
import array
import hashlib
import json
import mmap
import os
import select
import socket
import struct
import sys

FAULT, PATH = sys.argv[1:3]

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM,
 SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, GET_PROTOCOL_FEATURES,
 SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE) = range(1, 19)
RESET_DEVICE, SET_STATUS, GET_STATUS, SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE = 34, 39, 40, 42, 43
SUSPEND, RESUME, PENDING, CANCEL = 0x47570001, 0x47570002, 0x47570003, 0x47570004
FEATURES = 1 << 32 | 1 << 30
PROTOCOL = 1 << 0 | 1 << 3 | 1 << 13 | 1 << 16 | 1 << 19 | 1 << 61 | 1 << 62
SAVE, STOPPED, RUNNING = 0, 0, 1
USED, REFUSED = struct.pack("=Q", 0x100), struct.pack("=Q", 0x101)
GOOD, BAD = struct.pack("=Q", 0), struct.pack("=Q", 1)
INIT, GETATTR, OPENDIR, READDIR = 26, 3, 27, 28


class Refused(Exception):
    """What a message asks for cannot be."""


class Memory:
    """The guest's."""

    def __init__(self, payload, fds):
        self.regions = []
        for i in range(struct.unpack_from("=I", payload)[0]):
            guest, size, user, offset = struct.unpack_from("=QQQQ", payload, 8 + 32 * i)
            self.regions.append((guest, user, size, offset, mmap.mmap(fds[i], size + offset)))

    def find(self, address, size, by):
        """The region and the offset of a guest address (by 0) or the front-end's (by 1)."""
        for region in self.regions:
            if region[by] <= address and address + size <= region[by] + region[2]:
                return region[4], address - region[by] + region[3]
        raise Refused

    def read(self, address, size, by=0):
        """A copy."""
        region, offset = self.find(address, size, by)
        return region[offset : offset + size]

    def write(self, address, data, by=0):
        """Into it."""
        region, offset = self.find(address, len(data), by)
        region[offset : offset + len(data)] = data


class Ring:
    """One queue, a split one."""

    def __init__(self):
        self.size, self.base, self.used, self.started, self.enabled = 0, 0, 0, False, False
        self.kick = self.call = None
        self.desc = self.used_at = self.avail = 0

    def number(self, memory, address):
        """16 bits of a ring."""
        return struct.unpack("=H", memory.read(address, 2, 1))[0]

    def chain(self, memory, index):
        """The bytes that came, and where bytes may go."""
        came, room = b"", []
        while True:
            address, size, flags, following = struct.unpack("=QIHH", memory.read(self.desc + 16 * index, 16, 1))
            if flags & 2:
                room.append((address, size))
            else:
                came += memory.read(address, size)
            if not flags & 1:
                return came, room
            index = following

    def serve(self, memory, device):
        """Takes what there is."""
        served = False
        while self.base != self.number(memory, self.avail + 2):
            index = self.number(memory, self.avail + 4 + 2 * (self.base % self.size))
            self.base = (self.base + 1) & 0xFFFF
            came, room = self.chain(memory, index)
            answer = device.request(came)
            left = answer
            for address, size in room:
                memory.write(address, left[:size])
                left = left[size:]
            memory.write(self.used_at + 4 + 8 * (self.used % self.size), struct.pack("=II", index, len(answer)), 1)
            self.used = (self.used + 1) & 0xFFFF
            memory.write(self.used_at + 2, struct.pack("=H", self.used), 1)
            served = True
        if served and self.call is not None:
            os.eventfd_write(self.call, 1)


class Device:
    """What the guest has."""

    def __init__(self):
        self.open, self.last = [], 0

    def request(self, came):
        """FUSE."""
        _, opcode, unique, _ = struct.unpack_from("=IIQQ", came)
        error, body = 0, b""
        if opcode == INIT:
            body = struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 16, 12, 65536, 1, 0, 0, 0)
        elif opcode == GETATTR:
            body = struct.pack("=QII" + "6Q" + "10I", 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
        elif opcode == OPENDIR:
            self.last += 1
            self.open.append(self.last)
            body = struct.pack("=QII", self.last, 0, 0)
        elif opcode == READDIR and struct.unpack_from("=Q", came, 40)[0] in self.open:
            body = struct.pack("=QQII8s", 1, 1, 1, 4, b".")
        else:
            error = -9
        return struct.pack("=IiQ", 16 + len(body), error, unique) + body


class Writer:
    """A state on its way out: parts, of which the last one holds."""

    def __init__(self, fd, device):
        self.fd, self.device, self.sent, self.told = fd, device, 0, None
        self.left, self.last = b"", False

    def part(self, last):
        """What is not told yet; and, in the end, that it is all."""
        now = [self.device.open, self.device.last]
        if now != self.told or last:
            self.told = json.loads(json.dumps(now))
            body = json.dumps([self.told, last]).encode()
            if last and FAULT == "rounds-forget" and self.sent + len(self.left):
                body = json.dumps([[[], 0], last]).encode()
            data = struct.pack("=I", len(body)) + body + hashlib.sha256(body).digest()
            self.left += data
            self.last = last

    def more(self):
        """As much as surely goes, since its reader can read; False: that is all."""
        sent = os.write(self.fd, self.left[: select.PIPE_BUF])
        self.sent, self.left = self.sent + sent, self.left[sent:]
        return bool(self.left) or not self.last

    def pending(self):
        """As PENDING tells it."""
        dirty = 0 if [self.device.open, self.device.last] == self.told else 64
        return struct.pack("=QQQQ", len(self.left), dirty, self.sent, not self.left)

    def end(self):
        """Nobody touches the descriptor any more."""
        os.close(self.fd)

    def move(self, events):
        """After poll(). True: it goes on; False: it is out; None: its reader has gone."""
        if events & select.POLLERR:
            return None
        try:
            return self.more()
        except BrokenPipeError:
            return None


class Reader:
    """A state on its way in."""

    def __init__(self, fd):
        self.fd, self.bytes = fd, b""

    def more(self):
        """False: it has ended."""
        piece = os.read(self.fd, 65536)
        self.bytes += piece
        return bool(piece)

    def state(self):
        """What it is, or None."""
        at, state, last = 0, None, False
        try:
            while at < len(self.bytes):
                size = struct.unpack_from("=I", self.bytes, at)[0]
                body, check = self.bytes[at + 4 : at + 4 + size], self.bytes[at + 4 + size : at + 36 + size]
                if last or hashlib.sha256(body).digest() != check:
                    return None
                state, last = json.loads(body)
                at += 36 + size
        except (struct.error, ValueError):
            return None
        return state if last else None

    def end(self):
        """Nobody touches the descriptor any more."""
        os.close(self.fd)


class BackEnd:
    """One connection."""

    def __init__(self, peer):
        self.peer, self.device, self.rings, self.memory = peer, Device(), [Ring(), Ring()], None
        self.acked = 0
        self.suspended, self.held, self.has_run = False, [], False
        self.writer = self.reader = self.verdict = None
        self.phase, self.status, self.check_due = STOPPED, 0, False

    # Rings.
    def runs(self):
        """Is any ring started and not held?"""
        return any(ring.started for ring in self.rings) and not self.suspended

    def serve(self, ring):
        """After a kick, a start, an enable."""
        if ring.started and ring.enabled and (not self.suspended or FAULT == "suspend-goes-on"):
            ring.serve(self.memory, self.device)

    def go_on(self):
        """The commit: a ring starts, or RESUME."""
        self.has_run = True
        if self.phase == STOPPED and self.writer:
            self.give_up()
        for ring in self.rings:
            self.serve(ring)

    # Transfers.
    def give_up(self):
        """Whatever is under way; its verdict is that it failed."""
        for transfer in filter(None, (self.writer, self.reader)):
            transfer.end()
            self.verdict = FAULT == "cancel-is-good"
        self.writer = self.reader = None
        self.phase = STOPPED
        self.tell_verdict()

    def transfer(self, direction, phase, fds):
        """SET_DEVICE_STATE_FD."""
        goes_on = self.writer is not None and self.phase == RUNNING
        if direction > 1 or phase > 1 or (direction and (phase or self.has_run or not fds)):
            raise Refused
        if not fds and not goes_on:
            raise Refused
        if phase == STOPPED and (self.runs() or FAULT == "suspend-is-no-stop" and self.suspended):
            raise Refused
        if fds:
            self.give_up()
            self.verdict = None
        if direction:
            self.reader = Reader(fds[0])
            return
        if fds:
            self.writer = Writer(os.dup(fds[0]), self.device)
        self.phase = phase
        self.writer.part(phase == STOPPED)

    def written(self):
        """A state is out."""
        self.writer.end()
        self.writer, self.verdict = None, True
        if FAULT == "saved-is-gone":
            self.device.open.clear()
        self.tell_verdict()

    def loaded(self):
        """A state has come to its end."""
        state = self.reader.state()
        self.reader.end()
        self.reader, self.verdict = None, state is not None
        if state:
            self.device.open, self.device.last = state
            self.has_run = True
        self.tell_verdict()

    def tell_verdict(self):
        """To CHECK, which waits for it."""
        if self.check_due:
            self.check_due = False
            self.reply(CHECK_DEVICE_STATE, GOOD if self.verdict else BAD)
            self.verdict = None

    def check(self):
        """CHECK_DEVICE_STATE; None: later."""
        if self.reader or self.writer and self.phase == STOPPED:
            self.check_due = True
            return None
        if self.writer and FAULT != "verdict-is-early":
            return BAD
        verdict, self.verdict = self.verdict, None
        return GOOD if verdict or self.writer else BAD

    # Messages.
    def experimental(self, request):
        """SUSPEND, RESUME, PENDING, CANCEL: only for who acked them."""
        if not self.acked & (1 << 61 if request in (SUSPEND, RESUME) else 1 << 62):
            raise Refused
        if request == SUSPEND:
            if self.suspended and FAULT == "suspend-twice":
                raise Refused
            self.held = [ring.started for ring in self.rings]
            self.suspended = True
        elif request == RESUME and self.reader:
            raise Refused
        elif request == RESUME and self.suspended:
            self.suspended = False
            if FAULT == "resume-brings-back":
                for ring, held in zip(self.rings, self.held):
                    ring.started |= held
                    ring.enabled |= held
            if any(ring.started for ring in self.rings):
                self.go_on()
        elif request == CANCEL:
            self.give_up()
        elif request == PENDING:
            if self.reader:
                return struct.pack("=QQQQ", 0, 0, len(self.reader.bytes), 1)
            return self.writer.pending() if self.writer else b""
        return GOOD

    def ring_message(self, request, payload, fds):
        """Those that name a ring."""
        index, number = struct.unpack_from("=II", payload)
        index &= 0xFF
        if index >= len(self.rings):
            raise Refused
        ring = self.rings[index]
        if request in (SET_VRING_NUM, SET_VRING_BASE) and ring.started:
            raise Refused
        if request == SET_VRING_NUM:
            if not number or number > 1024 or number & (number - 1):
                raise Refused
            ring.size = number
        elif request == SET_VRING_BASE:
            ring.base = number
        elif request == SET_VRING_ADDR:
            _, _, desc, used, avail, _ = struct.unpack("=IIQQQQ", payload)
            for address in desc, used, avail:
                self.memory.find(address, 16, 1)
            ring.desc, ring.used_at, ring.avail = desc, used, avail
            ring.used = ring.number(self.memory, used + 2)
        elif request == SET_VRING_KICK:
            ring.kick = os.dup(fds[0]) if fds else None
            ring.started = True
            if not self.suspended:
                self.go_on()
        elif request == SET_VRING_CALL:
            if not (self.suspended and FAULT == "suspend-forgets"):
                ring.call = os.dup(fds[0]) if fds else None
        elif request == SET_VRING_ENABLE:
            ring.enabled = bool(number)
            self.serve(ring)
        elif request == GET_VRING_BASE:
            ring.started, ring.kick = False, None
            return struct.pack("=II", index, ring.base)
        return GOOD

    def reset(self):
        """RESET_DEVICE, and what SET_STATUS 0 means for who takes it by its word."""
        self.give_up()
        for ring in self.rings:
            ring.started = ring.enabled = False
        self.suspended = self.has_run = False
        self.device = Device()

    def answer(self, request, payload, fds):
        """The reply's payload; None: it comes later. What only may be acknowledged is GOOD."""
        if request == GET_FEATURES:
            return struct.pack("=Q", FEATURES)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("=Q", PROTOCOL)
        if request == SET_PROTOCOL_FEATURES:
            self.acked = struct.unpack("=Q", payload)[0]
            if self.acked & ~PROTOCOL:
                raise Refused
        elif request == SET_FEATURES:
            features = struct.unpack("=Q", payload)[0]
            if features & ~FEATURES:
                raise Refused
            for ring in self.rings:
                ring.enabled |= not features & 1 << 30
        elif request == GET_QUEUE_NUM:
            return struct.pack("=Q", len(self.rings))
        elif request == SET_MEM_TABLE:
            self.memory = Memory(payload, fds)
        elif SET_VRING_NUM <= request <= SET_VRING_ERR or request == SET_VRING_ENABLE:
            return self.ring_message(request, payload, fds)
        elif request == RESET_DEVICE:
            self.reset()
        elif request == SET_STATUS:
            self.status = struct.unpack("=Q", payload)[0]
            if not self.status and FAULT == "status-forgets":
                self.reset()
        elif request == GET_STATUS:
            return struct.pack("=Q", self.status)
        elif request == SET_DEVICE_STATE_FD:
            self.transfer(*struct.unpack("=II", payload), fds)
            return USED
        elif request == CHECK_DEVICE_STATE:
            return self.check()
        elif request in (SUSPEND, RESUME, PENDING, CANCEL):
            return self.experimental(request)
        elif request not in (SET_OWNER, RESET_OWNER):
            raise Refused
        return GOOD

    def reply(self, request, payload):
        """As every reply looks."""
        self.peer.sendall(struct.pack("=III", request, 5, len(payload)) + payload)

    ALWAYS = (GET_FEATURES, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM, GET_VRING_BASE, GET_STATUS, SET_DEVICE_STATE_FD,
              CHECK_DEVICE_STATE, SUSPEND, RESUME, PENDING, CANCEL)

    def message(self):
        """One of them; False: the front-end has gone."""
        data, rights, _, _ = self.peer.recvmsg(12, socket.CMSG_LEN(4 * 16))
        if not data:
            return False
        data += self.peer.recv(12 - len(data), socket.MSG_WAITALL) if len(data) < 12 else b""
        fds = [fd for _, _, raw in rights for fd in array.array("i", raw)]
        request, flags, size = struct.unpack("=III", data)
        payload = self.peer.recv(size, socket.MSG_WAITALL) if size else b""
        known = request not in (SUSPEND, RESUME, PENDING, CANCEL) or self.acked >> 61
        try:
            answer = self.answer(request, payload, fds)
        except Refused:
            answer = REFUSED if request == SET_DEVICE_STATE_FD else b"" if request == PENDING and known else BAD
        if answer is not None and (request in self.ALWAYS and known
                                   or flags & 8 and (self.acked & 8 or request > 45)):
            self.reply(request, answer)
        if request != SET_DEVICE_STATE_FD or not self.reader or self.reader.fd not in fds:
            for fd in fds:
                os.close(fd)
        return True

    def run(self):
        """Until the front-end goes."""
        while True:
            poller = select.poll()
            poller.register(self.peer, select.POLLIN)
            kicks = {ring.kick: ring for ring in self.rings
                     if ring.kick is not None and ring.started and ring.enabled
                     and (not self.suspended or FAULT == "suspend-goes-on")}
            for fd in kicks:
                poller.register(fd, select.POLLIN)
            if self.reader:
                poller.register(self.reader.fd, select.POLLIN)
            if self.writer:
                poller.register(self.writer.fd, select.POLLOUT if self.writer.left else 0)
            for fd, events in poller.poll():
                if fd in kicks:
                    os.eventfd_read(fd)
                    self.serve(kicks[fd])
                elif self.reader and fd == self.reader.fd:
                    if not self.reader.more():
                        self.loaded()
                elif self.writer and fd == self.writer.fd:
                    goes_on = self.writer.move(events)
                    if goes_on is None:
                        self.give_up()
                    elif not goes_on:
                        self.written()
                elif not self.message():
                    return


def main():
    """One front-end."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(PATH)
    listener.listen()
    BackEnd(listener.accept()[0]).run()


main()
