# SPDX-License-Identifier: BSD-3-Clause
"""A back-end that can do less: what passes between a front-end and a real one, without some of the
features that the latter offers."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from pathlib import Path

# vhost-user's messages: request, flags, size; then as many bytes.
_HEADER = struct.Struct("<III")
_VALUE = struct.Struct("<Q")
GET_FEATURES, GET_PROTOCOL_FEATURES = 1, 15
_FDS_MAX = 8


def _receive(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            raise OSError("it ended in the midst of a message")
        data += more
    return data


class Masked:
    """Listens at @path for one front-end; of the values that answer a request, it takes the bits of
    @without away: {request: bits}."""

    def __init__(self, path: Path, backend: Path, without: dict[int, int]) -> None:
        self.socket = path
        self._backend, self._without = backend, without
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            front = self._listener.accept()[0]
        except OSError:
            return  # it was closed
        with front, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as back:
            try:
                back.connect(str(self._backend))
                self._pass_on(front, back)
            except OSError:
                pass  # one of them has ended, and so do both connections

    def _pass_on(self, front: socket.socket, back: socket.socket) -> None:
        """Message by message: descriptors have to come with the one that they are of."""
        while True:
            for side in select.select([front, back], [], [])[0]:
                header, fds, _, _ = socket.recv_fds(side, _HEADER.size, _FDS_MAX)
                if not header:
                    return
                header += _receive(side, _HEADER.size - len(header))
                request, _, size = _HEADER.unpack(header)
                body = _receive(side, size)
                if side is back and request in self._without and size == _VALUE.size:
                    value, = _VALUE.unpack(body)
                    body = _VALUE.pack(value & ~self._without[request])
                socket.send_fds(back if side is front else front, [header + body], fds)
                for number in fds:
                    os.close(number)

    def stop(self) -> None:
        self._listener.close()
