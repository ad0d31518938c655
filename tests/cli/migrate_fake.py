# SPDX-License-Identifier: BSD-3-Clause
"""Two QEMUs and their back-ends, as far as their sockets go, for the tests of `godwit migrate`."""
import base64
import copy
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

TIMEOUT_S = 60
MODEL = "example.org/fs"
PIECE = 45 * 1024
PROTOCOLS = ["VHOST_USER_PROTOCOL_F_DEVICE_STATE: Backend device state transfer supported",
             "VHOST_USER_PROTOCOL_F_LOG_SHMFD: Shared log memory fd supported",
             "VHOST_USER_PROTOCOL_F_MQ: Multiqueue protocol supported"]
CAPABILITIES = ("return-path", "events", "multifd", "postcopy-ram", "background-snapshot")


def be_called(name):
    """What the command takes the process behind a socket for."""
    with open("/proc/self/comm", "w", encoding="utf-8") as file:
        file.write(name)


class Refusal(Exception):
    """An error reply."""

    def __init__(self, desc, kind="GenericError"):
        super().__init__(desc)
        self.reply = {"error": {"class": kind, "desc": desc}}


class Peer:
    """A server that speaks as QMP does; `command_NAME` of a subclass answers NAME."""

    greeting = {"QMP": {"version": {}, "capabilities": []}}

    def __init__(self, path):
        self.path = path
        self.seen = []          # (command, arguments), in order
        self.answers = {}       # command: what is called with its arguments instead
        self.raw = {}           # command: bytes instead of an answer; None: nothing at all
        self.clients = []
        self.greeting_of_others = None  # but the first; bytes, and nothing more
        self.ending = False     # it takes connections, and drops them
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def listen_tcp(self):
        """There, too; its port."""
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.ending:
                client.close()
                continue
            self.clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self.greeting_of_others and client is not self.clients[0]:
                client.sendall(self.greeting_of_others)
                return
            if self.greeting:
                client.sendall(json.dumps(self.greeting).encode() + b"\n")
            for line in client.makefile("rb"):
                self._request(client, json.loads(line))
        except (OSError, ValueError):
            pass

    def _request(self, client, request):
        name, arguments = request["execute"], request.get("arguments", {})
        self.seen.append((name, arguments))
        if name in self.raw:
            if self.raw[name] is not None:
                client.sendall(self.raw[name])
            return
        try:
            reply = {"return": self._answer(name, arguments)}
        except Refusal as refusal:
            reply = refusal.reply
        if "id" in request:
            reply["id"] = request["id"]
        client.sendall(json.dumps(reply).encode() + b"\n")

    def _answer(self, name, arguments):
        if name in self.answers:
            return self.answers[name](arguments)
        handler = getattr(self, "command_" + name.replace("-", "_"), None)
        if handler is None:
            raise Refusal(f"The command {name} has not been found", "CommandNotFound")
        return handler(arguments)

    def command_qmp_capabilities(self, _):
        return {}

    def event(self, name, **data):
        line = json.dumps({"event": name, "data": data,
                           "timestamp": {"seconds": 0, "microseconds": 0}}).encode() + b"\n"
        for client in self.clients:
            try:
                client.sendall(line)
            except OSError:
                pass

    def end(self, seconds):
        """As a process that takes its time to be gone."""
        self.ending = True
        for client in self.clients:
            client.shutdown(socket.SHUT_RDWR)
        time.sleep(seconds)
        self.die()

    def die(self):
        """The process is gone, and so is its socket."""
        os.unlink(self.path)
        self.listener.close()
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            client.close()

    def asked(self, name):
        return [arguments for command, arguments in self.seen if command == name]


class Backend(Peer):
    """A control socket."""

    def __init__(self, path, side):
        self.side = side
        self.session = {"device": "virtio-fs", "model": MODEL, "connected": True,
                        "device_state": "running" if side == "source" else "fresh",
                        "transfer_state": "idle", "last_transfer": None,
                        "migration": {"mode": "stateful"}, "details": {"state_format": "godwit"}}
        self.info = {"format": 1, "implementation": {"name": "fsd", "build": "1"},
                     "models": {MODEL: {"params": {
                         "xattr": {"type": "bool", "off": False},
                         "queues": {"type": "int", "off": 1, "min": 1, "max": 8}},
                         "profiles": {"1": {}}, "default": "1",
                         "state": {"write": [1], "read": [1]}}},
                     "instances": [{"format": 1, "model": MODEL, "params": {"queues": 2},
                                    "unset": []}]}
        if side == "destination":
            self.info["instances"][0].update(params={}, unset=["xattr", "queues"])
        self.preflight = {"can_travel": True, "cannot_travel": [], "state_bytes": 2000000,
                          "blackout_us": 5000}
        super().__init__(path)

    def command_query_status(self, _):
        return {"program": "fsd", "version": "1", "connections": 1, "sessions": [self.session]}

    def command_query_migration_info(self, _):
        return self.info

    def command_check_migration(self, _):
        return {"compatible": True, "reasons": []}

    def command_migration_expect(self, arguments):
        if self.session["device_state"] != "fresh":
            raise Refusal(f"{arguments}: the device is not fresh")
        return {}

    def knows_precopy(self, state=None):
        """What goes ahead: `state` is made here; what is written comes into `written`, and what is
        loaded into `ahead`."""
        self.state, self.written, self.ahead = state, None, None
        self.answers.update({
            "migration-precopy-save": lambda _: {"bytes": len(self.state)},
            "migration-precopy-read": lambda arguments: {"data": base64.b64encode(
                self.state[arguments["position"]:][:PIECE]).decode()},
            "migration-precopy-write": self._write,
            "migration-precopy-load": self._load})

    def _write(self, arguments):
        if arguments["position"] == 0:
            self.written = b""
        if arguments["position"] != len(self.written):
            raise Refusal("migration-precopy-write: another position was expected")
        try:
            self.written += base64.b64decode(arguments["data"], validate=True)
        except ValueError as error:
            raise Refusal(f"migration-precopy-write: no base64: {error}") from error
        return {}

    def _load(self, _):
        self.ahead, self.written = self.written, None
        return {}

    def command_preflight(self, _):
        return {"sessions": [self.preflight]}

    def command_migration_outcome(self, _):
        return {}

    def transfer(self, direction, result="ok", reason="", ident="7f"):
        self.session["last_transfer"] = {"id": ident, "direction": direction, "bytes": 680,
                                         "ms": 3, "result": result, "reason": reason,
                                         "phases": {}}


class Qemu(Peer):
    """A monitor. Devices are {"id", "type", "socket", "properties", "vhost"}."""

    greeting = {"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 0}},
                        "capabilities": ["oob"]}}

    def __init__(self, path, side, devices):
        self.side, self.devices = side, devices
        self.status = "running" if side == "source" else "inmigrate"
        self.migrate = {}
        self.capabilities = dict.fromkeys(CAPABILITIES, False)
        self.memory = [{"id": "mem", "share": True, "size": 1 << 28}]
        self.chardevs = []
        self.network = ""
        self.on_migrate = lambda: None
        super().__init__(path)

    def command_query_status(self, _):
        return {"status": self.status, "running": self.status == "running"}

    def command_query_migrate(self, _):
        return self.migrate

    def command_query_migrate_capabilities(self, _):
        return [{"capability": name, "state": on} for name, on in self.capabilities.items()]

    def command_migrate_set_capabilities(self, arguments):
        for one in arguments["capabilities"]:
            if one["capability"] not in self.capabilities:
                raise Refusal(f"no capability {one['capability']}")
            self.capabilities[one["capability"]] = one["state"]
        return {}

    def command_query_memdev(self, _):
        return self.memory

    def command_query_chardev(self, _):
        return [{"label": f"char-{d['id']}", "filename": f"unix:{d['socket']}",
                 "frontend-open": True} for d in self.devices if "socket" in d] + self.chardevs

    def command_qom_list(self, arguments):
        anonymous = arguments["path"].endswith("-anon")
        return [{"name": "type", "type": "string"}] + [
            {"name": d["id"], "type": f"child<{d['type']}>"} for d in self.devices
            if d.get("anonymous", False) == anonymous]

    def device(self, path):
        for device in self.devices:
            if path.split("/")[3:4] == [device["id"]]:
                return device
        raise Refusal(f"Device '{path}' not found", "DeviceNotFound")

    def command_qom_get(self, arguments):
        device, name = self.device(arguments["path"]), arguments["property"]
        if name == "chardev" and "socket" in device:
            return f"char-{device['id']}"
        if name not in device["properties"]:
            raise Refusal(f"Property '{device['type']}.{name}' not found")
        return device["properties"][name]

    def command_x_query_virtio_status(self, arguments):
        device = self.device(arguments["path"])
        vhost = device.get("vhost")
        return {"name": "virtio-user-fs", **device.get("virtio", {}),
                **({"vhost-dev": vhost} if vhost else {})}

    def command_human_monitor_command(self, _):
        return self.network

    def command_migrate_incoming(self, arguments):
        if arguments["uri"].startswith("unix:"):
            with open(arguments["uri"][5:], "w", encoding="utf-8"):
                pass  # as its socket
        self.migrate = {"status": "setup",
                        "socket-address": [{"type": "unix", "path": arguments["uri"][5:]}]}
        return {}

    def command_migrate(self, _):
        self.becomes("setup")
        threading.Thread(target=self.on_migrate, daemon=True).start()
        return {}

    def command_migrate_cancel(self, _):
        self.becomes("cancelled")
        return {}

    def command_cont(self, _):
        self.status = "running"
        self.event("RESUME")
        return {}

    def becomes(self, status, **more):
        self.migrate = {"status": status, **more}
        if self.capabilities.get("events"):
            self.event("MIGRATION", status=status)


RAM = {"transferred": 50000000, "remaining": 20000000, "total": 268000000, "mbps": 800.0}


class Pair:
    """Both sides, with one virtio-fs device each; `ask` runs the command."""

    def __init__(self, program):
        self.program = program
        be_called("qemu-fake")
        self.dir = tempfile.mkdtemp(prefix="godwit-migrate-")
        self.backends = {side: Backend(f"{self.dir}/{side}.fs.control", side)
                         for side in ("source", "destination")}
        self.source = Qemu(f"{self.dir}/a", "source", [self.fs("source")])
        self.destination = Qemu(f"{self.dir}/b", "destination", [self.fs("destination")])
        self.source.on_migrate = self.succeed

    def fs(self, side):
        device = {"id": "share", "type": "vhost-user-fs-pci", "socket": f"{self.dir}/{side}.fs",
                  "properties": {"num-request-queues": 2, "queue-size": 128, "tag": "t",
                                 "addr": 2 << 3}}
        if side == "source":
            device["vhost"] = {"features": {"dev-features": ["VHOST_F_LOG_ALL: Logging"]},
                               "protocol-features": {"protocols": copy.copy(PROTOCOLS)}}
        return device

    # What a migration does, in parts.

    def precopy(self):
        self.source.becomes("active", ram=RAM, **{"expected-downtime": 300})
        time.sleep(0.3)

    def switch_over(self):
        self.source.status = "finish-migrate"
        self.source.event("STOP")
        self.source.becomes("device", ram=RAM)
        self.backends["source"].transfer("save")

    def arrive(self, status="running"):
        self.backends["destination"].transfer("load")
        self.destination.becomes("completed")
        self.destination.status = status
        if status == "running":
            self.destination.event("RESUME")

    def complete(self):
        self.source.status = "postmigrate"
        self.source.becomes("completed", ram=RAM, downtime=12)

    def succeed(self):
        self.precopy()
        self.switch_over()
        self.arrive()
        self.complete()

    def fail(self, why="Unable to write to socket: Broken pipe"):
        self.source.status = "running"
        self.source.becomes("failed", **{"error-desc": why})

    # The command.

    def command(self, *arguments):
        return [self.program, "migrate", "--from", self.source.path, "--to",
                self.destination.path, *arguments]

    def ask(self, *arguments):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              check=False, timeout=TIMEOUT_S)

    def start(self, *arguments):
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def report(self, *arguments):
        ran = self.ask("--json", *arguments)
        report = json.loads(ran.stdout)
        assert report["exit"] == ran.returncode, ran
        return report

    def close(self):
        for peer in (self.source, self.destination, *self.backends.values()):
            if os.path.exists(peer.path):
                peer.die()
        shutil.rmtree(self.dir)


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)
