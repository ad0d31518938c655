#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit state: shows, verifies and compares states in files, also in a VM's; refuses what is damaged.

usage: state.py GODWIT GOLDEN-DIRECTORY
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

GODWIT, GOLDEN = sys.argv[1], pathlib.Path(sys.argv[2])
FS = GOLDEN / "godwit-fs-1.stream"


def state(*args, code=0):
    """What `godwit state ARGS` printed."""
    ran = subprocess.run([GODWIT, "state", *map(str, args)], capture_output=True, timeout=60, check=False)
    out = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == code, f"{args}: exit {ran.returncode}, not {code}\n{out}"
    return out


def in_pieces(data, size):
    """As QEMU puts a back-end's state into its stream."""
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(struct.pack(">I", len(p)) + p for p in pieces) + struct.pack(">I", 0)


def test_show():
    """Text and JSON say the same objects."""
    text = state("show", FS)
    assert 'gw_fs_name_v1 parent=1 name="dir" inode=2' in text, text
    lines = [json.loads(line) for line in state("show", "--json", FS).splitlines()]
    assert lines[0]["record"] == "header" and lines[0]["model"].startswith("godwit-project.org/virtio-fs")
    assert lines[-1]["record"] == "end" and lines[-1]["bytes"] == FS.stat().st_size
    names = [line["fields"] for line in lines if line.get("layout") == "gw_fs_name_v1"]
    assert {"parent": 1, "name": "dir", "inode": 2} in names, names
    assert sum(line["record"] == "object" for line in lines) == text.count("\ngw_fs_")


def test_inside_of_a_vm(directory):
    """Two states among other things, one of them in many pieces."""
    data, file = FS.read_bytes(), directory / "vm"
    file.write_bytes(b"QEVM" + b"x" * 1000 + in_pieces(data, 100) + b"y" * 77 + in_pieces(data, 1 << 20) + b"z" * 9)
    told = state("verify", file).splitlines()
    assert len(told) == 2 and all(f"complete, {len(data)} bytes" in line for line in told), told
    assert "state 2, at byte" in state("show", file)
    assert "none is told" in state("diff", file, FS, code=3)
    one = directory / "one"
    one.write_bytes(b"x" * 50 + in_pieces(data, 64))
    state("diff", one, FS)


def test_damaged(directory):
    """Flipped, cut, longer, empty, nothing of the kind."""
    data, file = FS.read_bytes(), directory / "bad"
    for bad in (data[:-1], data + b"\0", data[:700] + bytes([data[700] ^ 4]) + data[701:], data[:100]):
        file.write_bytes(bad)
        state("verify", file, code=1)
        state("show", file, code=1)
        state("diff", file, FS, code=3)
    for none in (b"", b"no state", b"QEVM" * 1000):
        file.write_bytes(none)
        assert "no device state" in state("verify", file, code=1)
    state("verify", directory, code=1)
    state("verify", directory / "missing", code=1)


def test_diff():
    """What differs is told from both sides, object by object."""
    state("diff", FS, FS)
    told = state("diff", GOLDEN / "sample-1.stream", GOLDEN / "sample-1-state2.stream", code=1).splitlines()
    assert any(line.startswith("- sample_setting_v1") for line in told), told
    assert any(line.startswith("+ sample_setting_v2") for line in told), told
    lines = state("diff", "--json", GOLDEN / "sample-1.stream", GOLDEN / "sample-1-state2.stream", code=1)
    assert {json.loads(line)["in"] for line in lines.splitlines()} == {"first", "second"}


def test_command_line():
    """Wrong words end in 2."""
    state(code=2)
    state("frobnicate", "x", code=2)
    state("show", code=2)
    state("diff", FS, code=2)


def main():
    """Each test, in a directory of its own."""
    test_show()
    test_diff()
    test_command_line()
    with tempfile.TemporaryDirectory(prefix="gw-state-") as name:
        test_inside_of_a_vm(pathlib.Path(name))
        test_damaged(pathlib.Path(name))


main()
