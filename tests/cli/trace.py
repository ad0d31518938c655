#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit trace: nothing changes for who is traced, and what is told and drawn is what was said.

usage: trace.py GODWIT GODWIT-FS
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

GODWIT, GODWIT_FS = (os.path.abspath(p) for p in sys.argv[1:3])
# Framing, descriptors, the back-end channel, states through all channels, whole migrations.
CHECKS = ("ack", "split", "channel", "save", "load-socket", "move", "hostile-surplus")


def run(*args, code=0):
    """What `godwit ARGS` printed."""
    ran = subprocess.run([GODWIT, *args], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == code, f"{args}: exit {ran.returncode}, not {code}\n{ran.stdout}{ran.stderr}"
    return ran.stdout + ran.stderr


def behind_trace(share, options):
    """A back-end that is traced, as a command for `godwit conform`."""
    return (
        f"{GODWIT} trace {options} -- {GODWIT_FS} --shared-dir={share} --log-level=off "
        "--socket-path={socket}"
    )


def test_transparent(share):
    """A back-end passes through the trace what it passes without."""
    for check in CHECKS:
        run("conform", "--type", "fs", "--timeout", "20000", "--only", check,
            "--exec", behind_trace(share, "-o /dev/null"))


def test_proxy(share, directory):
    """It goes between two that others have started."""
    front, behind, output = directory / "front", directory / "behind", directory / "proxy.json"
    daemon = subprocess.Popen([GODWIT_FS, f"--shared-dir={share}", "--log-level=off", "--reconnect", "--tag=t",
                               f"--socket-path={behind}"])
    proxy = subprocess.Popen([GODWIT, "trace", "--proxy", front, "--to", behind, "--json", "-o", output])
    try:
        while not front.exists():
            assert proxy.poll() is None and daemon.poll() is None
            time.sleep(0.01)
        run("save", "--socket", str(front), "-o", str(directory / "state"))
        run("state", "verify", str(directory / "state"))
        assert proxy.wait(60) == 0, "it ends with its connection"
    finally:
        for process in proxy, daemon:
            process.terminate()
            process.wait()
    names = [json.loads(line)["name"] for line in output.read_text().splitlines()]
    assert "SET_DEVICE_STATE_FD" in names and names[-1] == "CHECK_DEVICE_STATE", names


def verdicts(command):
    """What becomes of a back-end's checks of what moves."""
    told = {}
    for check in "save", "move", "stop":
        ran = subprocess.run([GODWIT, "conform", "--json", "--type", "fs", "--only", check, "--exec", command],
                             capture_output=True, text=True, timeout=300, check=False)
        told.update((c["check"], c["verdict"]) for c in map(json.loads, ran.stdout.splitlines()))
    return told


def test_foreign(share):
    """A back-end of another make is to a front-end behind the trace what it is without."""
    virtiofsd = os.environ.get("VIRTIOFSD", "/usr/libexec/virtiofsd")
    if not os.access(virtiofsd, os.X_OK):
        return
    command = f"{virtiofsd} --shared-dir={share} --sandbox=none --log-level=off --socket-path={{socket}}"
    there, behind = verdicts(command), verdicts(f"{GODWIT} trace -o /dev/null -- {command}")
    # Whether it loses a kick is a matter of luck.
    differ = {name for name in there if there[name] != behind[name]} - {"stop-kicked"}
    assert there and not differ, {name: (there[name], behind[name]) for name in differ}


def migrate(share, traces):
    """One migration; the traces of its two ends, the source's first."""
    run("conform", "--type", "fs", "--timeout", "20000", "--only", "move-logged",
        "--exec", behind_trace(share, f"--json -o {traces}/$$.json"))
    files = sorted(traces.glob("*.json"), key=lambda path: path.stat().st_ctime_ns)
    told = {path: [json.loads(line) for line in path.read_text().splitlines()] for path in files}
    ends = [path for path in files if any(m["name"] == "SET_DEVICE_STATE_FD" for m in told[path])]
    ends.sort(key=lambda path: told[path][0]["us"])
    return ends[:2], told


def test_told(told, source):
    """Requests and replies, in order, with what they carry."""
    messages = told[source]
    assert [m["us"] for m in messages] == sorted(m["us"] for m in messages)
    first, second = messages[:2]
    assert (first["name"], first["from"]) == ("GET_FEATURES", "front-end"), first
    assert (second["name"], second["from"], second["flags"]) == ("GET_FEATURES", "back-end", 5), second
    save = next(m for m in messages if m["name"] == "SET_DEVICE_STATE_FD")
    assert save["descriptors"] == 1 and save["payload"] == "00" * 8, save
    assert any(m["name"] == "CHECK_DEVICE_STATE" and m["from"] == "back-end" for m in messages)


def enables(messages, value):
    """When a ring was first enabled, or disabled."""
    asked = (m for m in messages if m["name"] == "SET_VRING_ENABLE" and m["from"] == "front-end")
    return next(m["us"] for m in asked if m["payload"][8:] == value)


def test_drawn(ends, told, picture):
    """A picture of both ends, with the blackout as it was."""
    run("trace", "--svg", str(picture), "--read", str(ends[0]), "--read", str(ends[1]))
    texts = ["".join(t.itertext()) for t in xml.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    stop = enables(told[ends[0]], "00000000")
    start = enables(told[ends[1]], "01000000")
    assert f"blackout {(start - stop) / 1000:.3f} ms" in texts, (stop, start, [t for t in texts if "blackout" in t])
    for phase in ("running", "stopping", "saving", "loading"):
        assert phase in texts, phase


def test_refused(directory):
    """What is wrong is said."""
    bad = directory / "bad.json"
    for line in ("no json", "{}", '{"us": -1}', '{"us":1,"from":"x","channel":"main"}', "[" * 100000):
        bad.write_text(line + "\n")
        assert "is no message" in run("trace", "--svg", f"{directory}/x.svg", "--read", str(bad), code=1)
    assert "one of these" in run("trace", code=2)
    assert "belong together" in run("trace", "--proxy", "/tmp/x", code=2)
    assert "no --socket-path" in run("trace", "--", "true", code=1)
    assert "no message" in run("trace", "--svg", f"{directory}/x.svg", "--read", "/dev/null", code=1)


def main():
    """Each test, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="gw-trace-") as name:
        directory = pathlib.Path(name)
        share, traces = directory / "share", directory / "traces"
        share.mkdir()
        traces.mkdir()
        directory.chmod(0o755)
        test_refused(directory)
        test_transparent(share)
        test_proxy(share, directory)
        test_foreign(share)
        ends, told = migrate(share, traces)
        test_told(told, ends[0])
        test_drawn(ends, told, directory / "move.svg")


main()
