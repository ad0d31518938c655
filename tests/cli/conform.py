#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit conform: godwit's own back-ends pass all of it, and a back-end with a fault does not.

usage: conform.py GODWIT GODWIT-FS GODWIT-NULL GODWIT-RELAY [every]

every: in every way that they can be started in, which takes long.
"""
import concurrent.futures
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

GODWIT, GODWIT_FS, GODWIT_NULL, GODWIT_RELAY = (
    os.path.abspath(p) for p in sys.argv[1:5] + [""] * (5 - len(sys.argv)))
EVERY = sys.argv[5:] == ["every"]
GET_FEATURES, GET_PROTOCOL_FEATURES, GET_VRING_BASE = 1, 15, 11
FEATURES = 1 << 32 | 1 << 30


def conform(*args, code):
    """Runs it and returns what it printed. @code: the exit status, None: any."""
    ran = subprocess.run([GODWIT, "conform", *args], capture_output=True, text=True, timeout=300, check=False)
    assert code is None or ran.returncode == code, f"{args}: exit {ran.returncode}, not {code}\n{ran.stdout}{ran.stderr}"
    return ran.stdout + ran.stderr


def faulty(fault, path):
    """A back-end of nearly nothing, with one fault; it serves one connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    peer = listener.accept()[0]
    asked = 0
    while True:
        header = peer.recv(12, socket.MSG_WAITALL)
        if len(header) < 12:
            return
        request, flags, size = struct.unpack("=III", header)
        if fault == "mute" and asked and request == GET_FEATURES:
            time.sleep(1000)
        if fault == "falls" and asked and request == GET_FEATURES:
            os.kill(os.getpid(), 11)
        if fault == "dies" and flags & 3 != 1:
            os.kill(os.getpid(), 11)
        if size:
            peer.recv(size, socket.MSG_WAITALL)
        if request not in (GET_FEATURES, GET_PROTOCOL_FEATURES):
            continue
        value = FEATURES if request == GET_FEATURES else 0
        asked += 1
        if fault == "flags":
            flags = 0xD
        elif fault == "fickle":
            value |= asked & 1
        peer.sendall(struct.pack("=IIIQ", request, (flags & 0x8) | 5, 8, value))


def verdicts(*args, code):
    """What became of each check."""
    lines = conform("--json", *args, code=code).splitlines()
    return {line["check"]: line for line in map(json.loads, lines)}


def test_faults():
    """Each fault is found by the check that is about it."""
    me = f"{sys.executable} {os.path.abspath(__file__)} --faulty"
    for fault, check in (("flags", "reply-exact"), ("fickle", "features-stable")):
        name = verdicts("--only", check, "--exec", f"{me} {fault} {{socket}}", code=1)[check]
        assert name["verdict"] == "fail" and name["level"] == "must", name
    none = verdicts("--only", "features-stable", "--exec", f"{me} none {{socket}}", code=0)
    assert none["features-stable"]["verdict"] == "pass", none
    should = verdicts("--only", "features-device-state", "--exec", f"{me} none {{socket}}", code=0)
    assert should["features-device-state"]["verdict"] == "fail", should
    # Who says nothing more costs one check, not the run.
    mute = verdicts("--timeout", "500", "--only", "features-stable", "--exec", f"{me} mute {{socket}}", code=1)
    assert "nothing for 500 ms" in mute["features-stable"]["seen"], mute
    # What it died of is told with what failed.
    fell = verdicts("--only", "features-stable", "--exec", f"{me} falls {{socket}}", code=1)
    assert "it was ended by signal 11" in fell["features-stable"]["seen"], fell
    died = verdicts("--only", "hostile-version", "--exec", f"{me} dies {{socket}}", code=1)
    assert died["hostile-version"]["verdict"] == "fail", died


def test_command_line():
    """What is wrong is said, with the documented exit codes."""
    assert "either --exec or --socket" in conform(code=2)
    assert "{socket}" in conform("--exec", "true", code=2)
    assert "cannot be talked to" in conform("--timeout", "200", "--exec", "true {socket}", code=3)
    assert "no check's name begins with 'nosuch'" in conform("--only", "nosuch", "--list", code=2)
    assert "no check's name begins with" in conform("--only", "nosuch", "--exec", "x {socket}", code=2)
    # Who has ended is not waited for.
    began = time.monotonic()
    assert "ended with exit status 127 before it listened" in conform(
        "--timeout", "60000", "--exec", "/nonexistent/backend {socket}", code=3)
    assert "ended by signal 15 before it listened" in conform(
        "--timeout", "60000", "--exec", "sh -c 'kill $$' {socket}", code=3)
    assert time.monotonic() - began < 50
    assert "cannot be talked to" in conform("--timeout", "200", "--socket", "/nonexistent/s", code=3)


def test_list():
    """Enough checks, no name twice, and each says where it comes from."""
    listed = conform("--list", code=0).splitlines()
    names = [line.split()[0] for line in listed[::2]]
    assert len(names) == len(set(names)) >= 80, len(names)
    assert {line.split()[1] for line in listed[::2]} == {"must", "should"}
    assert all(line.strip() for line in listed[1::2])


def test_tap():
    """As the Test Anything Protocol wants it, with the section of the specification where one fails."""
    me = f"{sys.executable} {os.path.abspath(__file__)} --faulty"
    lines = conform("--only", "features-", "--exec", f"{me} fickle {{socket}}", code=1).splitlines()
    tests = [line for line in lines if line.startswith(("ok ", "not ok "))]
    assert lines[:2] == ["TAP version 13", f"1..{len(tests)}"], lines
    assert [line.split(" - ")[0].split()[-1] for line in tests] == [str(i + 1) for i in range(len(tests))], tests
    failed = lines[lines.index(next(line for line in lines if line.startswith("not ok") and "features-stable" in line)):]
    assert failed[1] == "  ---" and failed[2] == "  level: must" and failed[3].startswith("  section: '"), failed
    assert any("# SKIP" in line for line in tests) and any("# TODO should" in line for line in tests), tests


def ours(share):
    """Our own: type, how many checks must pass at the least, command. The more there is, the more applies."""
    both = "--experimental=iterative,suspend"
    share_it = f"{GODWIT_FS} --shared-dir={share} --tag=t"
    relay = f"{GODWIT_RELAY} --listen=127.0.0.1:0"
    yield "fs", 134, f"{share_it} {both}"
    yield "any", 74, f"{GODWIT_NULL} {both}"
    yield "any", 72, f"{relay} {both}"
    if not EVERY:
        return
    for sandbox in ("none", "chroot"):
        yield "fs", 134, f"{share_it} --sandbox={sandbox} {both}"
    yield "fs", 134, f"{share_it} --sandbox=none --inode-file-handles=never --rlimit-nofile=1024 {both}"
    # The two exclude each other.
    yield "fs", 126, f"{share_it} --recover=keeper"
    yield "any", 74, f"{GODWIT_NULL} --recover=keeper"
    # As most front-ends find them.
    yield "fs", 126, share_it
    yield "any", 72, relay


def judge(kind, least, command):
    """It does all that can be asked of it."""
    ran = verdicts("--type", kind, "--timeout", "20000", "--exec",
                   f"{command} --log-level=off --socket-path={{socket}}", code=0)
    bad = [c for c in ran.values() if c["verdict"] == "fail"]
    assert not bad, (command, bad)
    passed = sum(c["verdict"] == "pass" for c in ran.values())
    assert passed >= least, (command, passed, ran)


def judge_other(fault, check):
    """A back-end that was written from docs/protocol.md: with a fault the check that is about it fails, without none."""
    device = f"{sys.executable} {os.path.dirname(os.path.abspath(__file__))}/conform_device.py"
    ran = verdicts("--type", "fs", "--timeout", "20000" if fault == "none" else "3000", "--only", check, "--exec",
                   f"{device} {fault} {{socket}}", code=None)
    assert any(told["verdict"] != "skip" for told in ran.values()), (check, ran)
    bad = [name for name, told in ran.items() if told["verdict"] == "fail"]
    assert bad == ([] if fault == "none" else [check]), (fault, check, ran)


def judge_socket(share):
    """One that somebody else has started serves one check after the other; what needs more is left out."""
    with tempfile.TemporaryDirectory(prefix="gw-conform-") as directory:
        path = f"{directory}/s"
        daemon = subprocess.Popen([GODWIT_FS, f"--shared-dir={share}", "--tag=t", "--log-level=off", "--reconnect",
                                   "--experimental=iterative,suspend", f"--socket-path={path}"])
        try:
            while socket.socket(socket.AF_UNIX).connect_ex(path):
                assert daemon.poll() is None
                time.sleep(0.01)
            ran = verdicts("--type", "fs", "--timeout", "20000", "--socket", path, code=0)
        finally:
            daemon.terminate()
            daemon.wait()
    assert not [c for c in ran.values() if c["verdict"] == "fail"], ran
    assert sum(c["verdict"] == "pass" for c in ran.values()) >= 95, ran
    assert "--exec" in ran["move"]["reason"], ran["move"]


OTHER = (
    ("none", "suspend-"), ("none", "iterative-"), ("none", "status-zero"), ("none", "save-"), ("none", "stop-"),
    ("none", "move"),
    ("status-forgets", "status-zero"), ("suspend-goes-on", "suspend-drains"), ("suspend-twice", "suspend-answers"),
    ("suspend-forgets", "suspend-remembers"), ("resume-brings-back", "suspend-stop"),
    ("suspend-is-no-stop", "suspend-saves"), ("rounds-forget", "iterative-moves"),
    ("saved-is-gone", "move-given-up-anywhere"), ("verdict-is-early", "iterative-order"), ("cancel-is-good", "iterative-cancel"),
)


def test_side_by_side():
    """Back-ends of ours, and of another hand: they wait more than they work."""
    with tempfile.TemporaryDirectory(prefix="gw-conform-") as share, \
            concurrent.futures.ThreadPoolExecutor(4) as pool:
        os.chmod(share, 0o755)
        runs = [pool.submit(judge_socket, share)]
        runs += [pool.submit(judge, *row) for row in ours(share)]
        runs += [pool.submit(judge_other, *row) for row in OTHER]
        for done in runs:
            done.result()


if __name__ == "__main__":
    if sys.argv[1] == "--faulty":
        faulty(*sys.argv[2:4])
    else:
        for test in (test_command_line, test_list, test_tap, test_faults, test_side_by_side):
            test()
