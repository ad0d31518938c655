#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit state with states that were sent in rounds: shown as they came, compared by what they come down to.

usage: state-rounds.py GODWIT MAKER GOLDEN-DIRECTORY
"""
import json
import pathlib
import subprocess
import sys
import tempfile

GODWIT, MAKER, GOLDEN = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
ROUNDS = GOLDEN / "godwit-fs-3-rounds.stream"


def state(*args, code=0):
    """What `godwit state ARGS` printed."""
    ran = subprocess.run([GODWIT, "state", *map(str, args)], capture_output=True, timeout=60, check=False)
    out = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == code, f"{args}: exit {ran.returncode}, not {code}\n{out}"
    return out


def make(directory, number):
    """One state of the same device, sent in rounds and at once."""
    files = directory / f"rounds-{number}", directory / f"once-{number}"
    subprocess.run([MAKER, "make", files[0], str(number), files[1]], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    return files


def test_show():
    """Phases are marked, and what is taken back is told of as that."""
    text = state("show", ROUNDS).splitlines()
    assert [line for line in text if line.startswith("phase")] == ["phase running"] * 2 + ["phase stopped"]
    assert 'gw_fs_name_v1 deleted parent=2 name="file"' in text
    lines = [json.loads(line) for line in state("show", "--json", ROUNDS).splitlines()]
    phases = [line["phase"] for line in lines if line["record"] == "phase"]
    assert phases == ["running", "running", "stopped"], phases
    removed = [line["fields"] for line in lines if line.get("deleted") and line["layout"] == "gw_fs_name_v1"]
    assert {"parent": 2, "name": "file"} in removed, removed
    assert f"complete, {ROUNDS.stat().st_size} bytes" in state("verify", ROUNDS)


def test_same(directory):
    """In rounds or at once: content in pieces that lie over each other, files that came and went."""
    for number in 1, 2, 3:
        rounds, once = make(directory, number)
        assert rounds.read_bytes() != once.read_bytes()
        assert state("diff", rounds, once) == ""
    # Another share, the same content: what differs is times and numbers of the host's.
    told = state("diff", rounds, ROUNDS, code=1).splitlines()
    assert told and {line.split()[1] for line in told} == {"gw_fs_inode_v1", "gw_fs_orphan_v1"}, told


def test_other():
    """What differs is told of by block, as it is in the end."""
    told = state("diff", GOLDEN / "godwit-fs-1.stream", ROUNDS, code=1).splitlines()
    content = [line.split(" data=")[0] for line in told if "gw_fs_content_v1" in line]
    assert "- gw_fs_content_v1 inode=4 offset=0" in content, content
    # Of the two pieces of 8's that lie over each other, and the zeros behind, two blocks.
    assert [line for line in content if "inode=8 " in line] == [
        "+ gw_fs_content_v1 inode=8 offset=0", "+ gw_fs_content_v1 inode=8 offset=4096"], content
    assert not any("inode=9 " in line for line in content), content


def main():
    """Each test."""
    test_show()
    test_other()
    with tempfile.TemporaryDirectory(prefix="gw-state-") as name:
        test_same(pathlib.Path(name))


main()
