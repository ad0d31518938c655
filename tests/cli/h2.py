# SPDX-License-Identifier: BSD-3-Clause
"""What of HTTP/2 (RFC 9113) a test needs to answer in etcd's place, well or badly."""
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME_MAX = 16384


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + \
        struct.pack(">I", stream) + payload


def headers(*pairs):
    """As RFC 7541 has them: each a literal that is not indexed."""
    return b"".join(b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) +
                    value.encode() for name, value in pairs)


def message(payload, compressed=0, length=None):
    """gRPC's head of five bytes, and what it is the head of."""
    return struct.pack(">BI", compressed, len(payload) if length is None else length) + payload


class Whole(bytes):
    """An answer to its end; what is cut out of it is bytes again."""


def answer(body, *trailers, status="200"):
    """What a stream is answered with; without trailers the body is its end."""
    head = headers((":status", status), ("content-type", "application/grpc"))
    frames = frame(HEADERS, END_HEADERS, 1, head)
    pieces = [body[i:i + FRAME_MAX] for i in range(0, len(body), FRAME_MAX)] or [b""]
    for i, piece in enumerate(pieces):
        last = not trailers and i == len(pieces) - 1
        frames += frame(DATA, END_STREAM if last else 0, 1, piece)
    if trailers:
        frames += frame(HEADERS, END_STREAM | END_HEADERS, 1, headers(*trailers))
    return Whole(frames)


def good(payload):
    return answer(message(payload), ("grpc-status", "0"))


def field(number, value):
    """Of a protobuf message: a number, or bytes."""
    def varint(value):
        low = value & 127
        return bytes((low | 128,)) + varint(value >> 7) if value > 127 else bytes((low,))
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def serve(client, reply):
    """Until the request on stream 1 is whole; then @reply, raw. False if it never came."""
    def read(count):
        got = b""
        while len(got) < count:
            piece = client.recv(count - len(got))
            if not piece:
                raise EOFError
            got += piece
        return got
    try:
        if read(len(PREFACE)) != PREFACE:
            return False
        client.sendall(frame(SETTINGS, 0, 0))
        while True:
            head = read(9)
            kind, flags = head[3], head[4]
            read(int.from_bytes(head[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                client.sendall(frame(SETTINGS, ACK, 0))
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                client.sendall(reply)
                return True
    except (EOFError, OSError):
        return False
