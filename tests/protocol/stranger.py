#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""SUSPEND and ITERATIVE by docs/protocol.md: a front-end of another hand, which knows that page, vhost-user's
specification and docs/models/null.md, and nothing of our code.

usage: stranger.py GODWIT-NULL
"""
import array
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time

NULL = os.path.abspath(sys.argv[1])
PATIENCE = 30

# The specification.
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE, GET_CONFIG, RESET_DEVICE = 15, 16, 18, 24, 34
SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE = 42, 43
REPLY_ACK, CONFIG, RESET, DEVICE_STATE = 1 << 3, 1 << 9, 1 << 13, 1 << 19
VERSION_1, PROTOCOL_FEATURES = 1 << 32, 1 << 30
SAVE, LOAD, STOPPED = 0, 1, 0
USED, REFUSED = 0x100, 0x101
# docs/protocol.md.
F_SUSPEND, F_ITERATIVE = 1 << 61, 1 << 62
SUSPEND, RESUME, PENDING, CANCEL = 0x47570001, 0x47570002, 0x47570003, 0x47570004
RUNNING, IDLE = 1, 1

GUEST, USER, SIZE, ENTRIES = 0x100000, 0x7F0000000000, 1 << 20, 16
DESC, AVAIL, USED_RING, ROOM = 0x0000, 0x1000, 0x2000, 0x3000


def until(what, done):
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, f"{what}: not after {PATIENCE} s"
        time.sleep(0.002)


class FrontEnd:
    """One connection, one ring, one guest."""

    def __init__(self, path, acks=F_SUSPEND | F_ITERATIVE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.ask(SET_OWNER)
        features = self.number(GET_FEATURES)
        assert features & PROTOCOL_FEATURES and features & VERSION_1
        self.offered = self.number(GET_PROTOCOL_FEATURES)
        self.tell(SET_PROTOCOL_FEATURES, struct.pack("=Q", (REPLY_ACK | CONFIG | RESET | DEVICE_STATE | acks) & self.offered),
                  acked=False)
        assert self.tell(SET_FEATURES, struct.pack("=Q", VERSION_1 | PROTOCOL_FEATURES)) == 0
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, SIZE)
        self.memory = mmap.mmap(self.fd, SIZE)
        assert self.share_memory() == 0
        self.added = 0

    def share_memory(self):
        """SET_MEM_TABLE of the one region."""
        return self.tell(SET_MEM_TABLE, struct.pack("=IIQQQQ", 1, 0, GUEST, SIZE, USER, 0), self.fd)

    def ask(self, request, payload=b"", *fds, flags=1):
        """Sends a message."""
        header = struct.pack("=III", request, flags, len(payload))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([header + payload], rights)

    def reply(self, request):
        """Payload and descriptors of the reply."""
        data, rights, _, _ = self.socket.recvmsg(12, socket.CMSG_LEN(4))
        assert data, f"{request:#x}: the connection was closed"
        answered, flags, size = struct.unpack("=III", data)
        assert answered == request and flags & 7 == 5, (request, answered, flags)
        body = self.socket.recv(size, socket.MSG_WAITALL) if size else b""
        return body, [fd for _, _, raw in rights for fd in array.array("i", raw[: len(raw) // 4 * 4])]

    def number(self, request, payload=b"", *fds):
        """What is always answered by a u64."""
        self.ask(request, payload, *fds)
        return struct.unpack("=Q", self.reply(request)[0])[0]

    def tell(self, request, payload=b"", *fds, acked=True):
        """What is answered if one asks for it."""
        self.ask(request, payload, *fds, flags=9 if acked else 1)
        return struct.unpack("=Q", self.reply(request)[0])[0] if acked else None

    def ring(self, request, number):
        """What has a ring's index and a number."""
        return self.tell(request, struct.pack("=II", 0, number))

    # The ring.
    def set_up(self, base=0):
        """Before it starts."""
        assert self.ring(SET_VRING_NUM, ENTRIES) == 0
        assert self.ring(SET_VRING_BASE, base) == 0
        assert self.addresses() == 0
        self.set_call()

    def addresses(self):
        """SET_VRING_ADDR."""
        return self.tell(SET_VRING_ADDR, struct.pack("=IIQQQQ", 0, 0, USER + DESC, USER + USED_RING, USER + AVAIL, 0))

    def set_call(self):
        """A new call descriptor."""
        self.call = os.eventfd(0, os.EFD_NONBLOCK)
        assert self.tell(SET_VRING_CALL, struct.pack("=Q", 0), self.call) == 0

    def start(self):
        """With this the ring is started."""
        self.kick = os.eventfd(0)
        assert self.tell(SET_VRING_KICK, struct.pack("=Q", 0), self.kick) == 0
        assert self.ring(SET_VRING_ENABLE, 1) == 0

    def stop(self):
        """GET_VRING_BASE: the position."""
        self.ask(GET_VRING_BASE, struct.pack("=II", 0, 0))
        return struct.unpack("=II", self.reply(GET_VRING_BASE)[0])[1]

    def add(self, count=1):
        """Requests of the guest, and a kick."""
        for _ in range(count):
            slot = self.added % ENTRIES
            struct.pack_into("=QIHH", self.memory, DESC + 16 * slot, GUEST + ROOM + 8 * slot, 8, 0, 0)
            struct.pack_into("=H", self.memory, AVAIL + 4 + 2 * slot, slot)
            self.added += 1
            struct.pack_into("=H", self.memory, AVAIL + 2, self.added & 0xFFFF)
        os.eventfd_write(self.kick, 1)

    def done(self):
        """How many the device has answered."""
        return struct.unpack_from("=H", self.memory, USED_RING + 2)[0]

    def works(self, count=1):
        """Requests there and back."""
        self.add(count)
        until("answers", lambda: self.done() == self.added & 0xFFFF)

    def called(self):
        """Was the call descriptor signalled?"""
        return bool(select.select([self.call], [], [], 0)[0])

    def count(self):
        """The device's state, which its configuration space shows."""
        self.ask(GET_CONFIG, struct.pack("=III", 0, 8, 0) + bytes(8))
        return struct.unpack_from("<Q", self.reply(GET_CONFIG)[0], 12)[0]

    # Device state.
    def transfer(self, direction, phase, *fds):
        """SET_DEVICE_STATE_FD."""
        return self.number(SET_DEVICE_STATE_FD, struct.pack("=II", direction, phase), *fds)

    def check(self):
        """CHECK_DEVICE_STATE."""
        return self.number(CHECK_DEVICE_STATE)

    def pending(self):
        """initial, dirty, sent, is it idle; None: no state is being transferred."""
        self.ask(PENDING)
        body = self.reply(PENDING)[0]
        if not body:
            return None
        initial, dirty, sent, flags = struct.unpack("=QQQQ", body)
        assert not flags & ~IDLE, flags
        return initial, dirty, sent, bool(flags & IDLE)

    def idle(self):
        """Waits for the end of a round."""
        until("the round's end", lambda: self.pending()[3])
        return self.pending()


class Stream:
    """What comes out of a pipe, or two other ends, when it is asked for."""

    def __init__(self, *ends):
        self.fd, self.other = ends or os.pipe()
        os.set_blocking(self.fd, False)
        self.bytes, self.ended = b"", False

    def give(self, front_end, phase=RUNNING):
        """A save into it begins."""
        assert front_end.transfer(SAVE, phase, self.other) == USED
        os.close(self.other)
        return self

    def read(self):
        """All that is there."""
        try:
            while not self.ended:
                piece = os.read(self.fd, 65536)
                self.bytes, self.ended = self.bytes + piece, not piece
        except BlockingIOError:
            pass
        return len(self.bytes)

    def to_its_end(self):
        """All of it."""
        until("the end of the stream", lambda: self.read() >= 0 and self.ended)
        return self.bytes


class BackEnd:
    """A godwit-null."""

    def __init__(self, directory, *options):
        BackEnd.count = getattr(BackEnd, "count", 0) + 1
        self.path = f"{directory}/{BackEnd.count}"
        self.process = subprocess.Popen([NULL, f"--socket-path={self.path}", "--reconnect", "--log-level=off", *options])
        until("a back-end", lambda: not socket.socket(socket.AF_UNIX).connect_ex(self.path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        alive = self.process.poll() is None
        self.process.terminate()
        self.process.wait(PATIENCE)
        assert alive, "the back-end has ended"

    def runs(self, *acks):
        """A front-end whose guest runs."""
        front_end = FrontEnd(self.path, *acks)
        front_end.set_up()
        front_end.start()
        front_end.works()
        return front_end


BOTH = "--experimental=iterative,suspend"


def only_where_both_ask(directory):
    """Else neither the bits nor the numbers are there."""
    for options, acks in ((), F_SUSPEND | F_ITERATIVE), ((BOTH,), 0):
        with BackEnd(directory, *options) as back_end:
            guest = back_end.runs(acks)
            assert bool(guest.offered & F_SUSPEND) == bool(guest.offered & F_ITERATIVE) == bool(options)
            for number in SUSPEND, RESUME, PENDING, CANCEL:
                assert guest.tell(number) == 1, number  # as any unknown number
            assert guest.transfer(SAVE, RUNNING, os.pipe()[1]) == REFUSED
            guest.works()
    with BackEnd(directory, BOTH, "--migration=none") as back_end:
        guest = back_end.runs()
        assert not guest.offered & (DEVICE_STATE | F_ITERATIVE), "ITERATIVE needs DEVICE_STATE"
        assert guest.number(SUSPEND) == 0 and guest.number(RESUME) == 0


def suspended_means_silent(back_end):
    """The answer comes when nothing is in flight; then nothing happens, and no kick is lost."""
    guest = back_end.runs()
    for _ in range(20):
        guest.add(ENTRIES // 2)
        assert guest.number(SUSPEND) == 0
        before = bytes(guest.memory)
        if guest.called():
            os.eventfd_read(guest.call)
        guest.add(0)
        time.sleep(0.005)
        assert bytes(guest.memory) == before and not guest.called()
        assert guest.number(RESUME) == 0
        until("answers", lambda: guest.done() == guest.added & 0xFFFF)
    assert guest.number(RESUME) == 0, "of one that is not suspended"
    assert guest.number(SUSPEND) == 0 and guest.number(SUSPEND) == 0, "of one that is"
    assert guest.count() == guest.added, "it answers requests"
    assert guest.ring(SET_VRING_NUM, ENTRIES) == 1 and guest.ring(SET_VRING_BASE, 0) == 1, "its ring counts as started"
    assert guest.number(RESUME) == 0
    guest.works()


def set_up_while_suspended(back_end):
    """In force when the device goes on."""
    guest = back_end.runs()
    assert guest.number(SUSPEND) == 0
    guest.set_call()
    assert guest.share_memory() == 0
    assert guest.number(RESUME) == 0
    guest.works()
    until("a call", guest.called)
    # A ring that is stopped meanwhile stays so; one that is started starts with RESUME.
    assert guest.number(SUSPEND) == 0
    base = guest.stop()
    assert base == guest.added & 0xFFFF
    assert guest.number(RESUME) == 0
    guest.add(2)
    time.sleep(0.01)
    assert guest.done() == base
    assert guest.number(SUSPEND) == 0
    guest.set_up(base)
    guest.start()
    time.sleep(0.01)
    assert guest.done() == base, "not before RESUME"
    assert guest.number(RESUME) == 0
    guest.works()


def the_end_of_a_suspension(back_end):
    """RESET_DEVICE, the connection's end; a ring that cannot go on."""
    guest = back_end.runs()
    assert guest.number(SUSPEND) == 0
    assert guest.tell(RESET_DEVICE) == 0
    assert guest.count() == 0
    guest.set_up(guest.added & 0xFFFF)
    guest.start()
    guest.works()
    assert guest.number(SUSPEND) == 0
    guest.socket.close()
    guest = back_end.runs()
    assert guest.number(SUSPEND) == 0
    assert guest.tell(SET_MEM_TABLE, struct.pack("=II", 0, 0)) == 0
    assert guest.number(RESUME) == 1, "its ring is in memory that is gone"
    assert guest.share_memory() == 0
    assert guest.ring(SET_VRING_NUM, ENTRIES) == 0, "and is stopped by now"
    guest.set_up(guest.added & 0xFFFF)
    guest.start()
    guest.works()


def saved_while_suspended(back_end):
    """The example of the page; RESUME gives up a save, and waits for no load."""
    guest = back_end.runs()
    assert guest.transfer(SAVE, STOPPED, os.pipe()[1]) == REFUSED, "while rings run"
    assert guest.number(SUSPEND) == 0
    stream = Stream().give(guest, STOPPED)
    assert stream.to_its_end() and guest.check() == 0
    assert guest.number(RESUME) == 0
    guest.works()
    assert guest.number(SUSPEND) == 0
    assert guest.transfer(LOAD, STOPPED, os.pipe()[0]) == REFUSED, "it has run"
    assert guest.tell(RESET_DEVICE) == 0
    assert guest.number(SUSPEND) == 0
    guest.set_up(guest.added & 0xFFFF)
    guest.start()
    ends = os.pipe()
    assert guest.transfer(LOAD, STOPPED, ends[0]) == USED
    assert guest.number(RESUME) == 1, "a state is being loaded"
    os.write(ends[1], stream.bytes)
    os.close(ends[1])
    assert guest.check() == 0
    count = guest.count()
    assert guest.number(RESUME) == 0
    guest.works()
    assert guest.count() == count + 1


def in_rounds(back_end, other):
    """The example of the page: rounds by hand, the destination reads from the first byte."""
    guest, there = back_end.runs(), FrontEnd(other.path)
    ends = os.pipe()
    assert there.transfer(LOAD, STOPPED, ends[0]) == USED
    os.close(ends[0])
    assert there.pending()[:3] == (0, 0, 0)
    stream = Stream().give(guest)
    initial, dirty, sent, idle = guest.idle()
    assert (initial, dirty, idle) == (0, 0, True) and sent == stream.read() > 0
    guest.works(3)
    time.sleep(0.01)
    assert guest.pending()[1] > 0 and guest.pending()[2:] == (sent, True), "it never sends on its own"
    assert stream.read() == sent
    assert guest.transfer(SAVE, RUNNING) == USED
    again = guest.idle()
    assert again[2] == stream.read() > sent and again[:2] == (0, 0)
    # The destination has dealt with all that there is.
    os.write(ends[1], stream.bytes)
    until("the destination", lambda: there.pending() == (0, 0, len(stream.bytes), True))
    written = len(stream.bytes)

    for refused in (SAVE, STOPPED), (LOAD, RUNNING), (LOAD, STOPPED), (2, RUNNING), (SAVE, 2):
        assert guest.transfer(*refused) == REFUSED, refused
    assert guest.check() == 1, "there is no verdict yet"
    assert guest.pending() == again, "a refusal changes nothing"
    # Rings may do what they like.
    assert guest.number(SUSPEND) == 0 and guest.number(RESUME) == 0
    base = guest.stop()
    guest.set_up(base)
    guest.start()
    guest.works(2)
    assert guest.pending()[2:] == (again[2], True)

    assert guest.number(SUSPEND) == 0
    assert guest.transfer(SAVE, STOPPED) == USED
    os.write(ends[1], stream.to_its_end()[written:])
    os.close(ends[1])
    assert guest.check() == 0 and there.check() == 0
    assert guest.check() == 1, "a verdict is told once"
    assert guest.pending() is None and there.pending() is None
    assert there.count() == guest.count() >= guest.added, "the state at the moment of the stop"
    there.socket.close()


def given_up(back_end):
    """By each thing that does; the device goes on as if it had never been asked."""
    guest = back_end.runs()
    assert guest.number(CANCEL) == 0 and guest.pending() is None, "of nothing"
    assert guest.transfer(SAVE, RUNNING) == REFUSED, "no stream is under way"

    stream = Stream().give(guest)
    sent = guest.idle()[2]
    assert guest.number(CANCEL) == 0
    assert len(stream.to_its_end()) == sent and guest.pending() is None
    assert guest.check() == 1, "its verdict is that it failed"
    guest.works()

    # A new transfer: a round's, or one that is whole.
    first, second = Stream().give(guest), Stream().give(guest)
    first.to_its_end()
    guest.idle()
    assert guest.number(SUSPEND) == 0
    whole = Stream().give(guest, STOPPED)
    second.to_its_end()
    assert whole.to_its_end() and guest.check() == 0 and guest.number(RESUME) == 0
    guest.works()

    # Its reader goes, which is noticed while nothing is sent.
    stream = Stream().give(guest)
    guest.idle()
    os.close(stream.fd)
    until("the reader's end", lambda: guest.pending() is None)
    assert guest.check() == 1
    guest.works()

    # RESUME in phase 0, while nobody reads.
    full = Stream(*(end.detach() for end in socket.socketpair()))
    os.set_blocking(full.other, False)
    try:
        while os.write(full.other, bytes(4096)):
            pass
    except BlockingIOError:
        pass
    assert guest.number(SUSPEND) == 0
    full.give(guest, STOPPED)
    assert guest.pending() == guest.pending() is not None, "it is being sent"
    assert guest.number(RESUME) == 0
    assert guest.check() == 1
    guest.works()

    stream = Stream().give(guest)
    assert guest.tell(RESET_DEVICE) == 0
    stream.to_its_end()
    guest.set_up(guest.added & 0xFFFF)
    guest.start()
    guest.works()
    stream = Stream().give(guest)
    guest.socket.close()
    stream.to_its_end()
    back_end.runs()


def refused_early(back_end, other):
    """The destination stops reading when it knows, and not at the end."""
    there, ends = FrontEnd(other.path), os.pipe()
    assert there.tell(RESET_DEVICE) == 0
    assert there.transfer(LOAD, STOPPED, ends[0]) == USED
    os.close(ends[0])
    os.write(ends[1], b"no state of anybody's" * 100)
    until("a refusal", lambda: there.pending() is None)
    try:
        os.write(ends[1], b"more")
        raise AssertionError("it still reads")
    except BrokenPipeError:
        pass
    assert there.check() == 1
    # A load can be given up as well.
    ends = os.pipe()
    assert there.transfer(LOAD, STOPPED, ends[0]) == USED
    assert there.number(CANCEL) == 0 and there.pending() is None and there.check() == 1
    # A file has no reader that could go.
    guest = back_end.runs()
    file = os.memfd_create("state")
    assert guest.transfer(SAVE, RUNNING, file) == USED
    sent = guest.idle()[2]
    assert os.fstat(file).st_size == sent
    assert guest.number(CANCEL) == 0
    guest.works()
    assert os.fstat(file).st_size == sent


def main():
    """Each of them, against back-ends that have served others before."""
    with tempfile.TemporaryDirectory(prefix="gw-stranger-") as directory:
        only_where_both_ask(directory)
        with BackEnd(directory, BOTH) as back_end, BackEnd(directory, BOTH) as other:
            suspended_means_silent(back_end)
            set_up_while_suspended(back_end)
            the_end_of_a_suspension(back_end)
            saved_while_suspended(back_end)
            in_rounds(back_end, other)
            given_up(back_end)
            refused_early(back_end, other)


main()
