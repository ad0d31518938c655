#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit publish` and `godwit find` with a real etcd: leases, pages, TLS, users; and with something
else that answers in its place.

usage: etcd.py GODWIT GODWIT_FS ETCD
"""
import base64
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import fleet
import h2

GODWIT, GODWIT_FS = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
ETCD = os.environ.get("ETCD") or sys.argv.pop(1)
if not os.access(ETCD, os.X_OK):
    ETCD = shutil.which("etcd")
PATIENCE = 60
# Ports that were free may be taken by the time that etcd asks for them.
STARTS, ENDED = 5, "ended"


def wait_until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def free_ports():
    """Two, until somebody else takes them."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


class Server:
    """An etcd of one member on loopback."""

    def __init__(self, directory, tls=(), port=None):
        # pylint: disable=consider-using-with
        self.log = open(os.path.join(directory, "etcd.log"), "a+b")
        for _ in range(STARTS):
            self.start(tempfile.mkdtemp(dir=directory), tls, port)
            if wait_until(self.answers, "etcd answering") is not ENDED:
                return
        self.log.seek(0)
        raise AssertionError("etcd ended: " + self.log.read()[-2000:].decode())

    def start(self, data, tls, port):
        self.port, peer = free_ports()
        self.port = port or self.port
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [ETCD, "--data-dir", data,
             "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
             "--listen-peer-urls", f"http://127.0.0.1:{peer}",
             "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
             "--initial-cluster", f"default=http://127.0.0.1:{peer}", *tls],
            stdout=self.log, stderr=self.log)

    def answers(self):
        """Of somebody else who has taken a port meanwhile it is no answer."""
        with socket.socket() as probe:
            connected = probe.connect_ex(("127.0.0.1", self.port)) == 0
        return ENDED if self.process.poll() is not None else connected

    def post(self, path, body, token=None):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                         {"Authorization": token} if token else {})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def put(self, key, value):
        def encode(text):
            return base64.b64encode(text.encode()).decode()
        self.post("/v3/kv/put", {"key": encode(key), "value": encode(value)})

    def lease(self, key):
        """Under which one a key is."""
        answer = self.post("/v3/kv/range", {"key": base64.b64encode(key.encode()).decode()})
        return answer["kvs"][0]["lease"]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Fleet(unittest.TestCase):
    tls = ()

    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top = directory.name
        self.source = os.path.join(self.top, "source.json")
        self.document = os.path.join(self.top, "nicd.json")
        fleet.write(self.source, fleet.instance(rss=True, rx_filter_size=64))
        fleet.write(self.document, fleet.implementation())
        self.access = []
        self.server = self.start_server()
        self.addCleanup(self.server.stop)
        self.where = f"etcd://127.0.0.1:{self.server.port}/fleet/a"

    def start_server(self):
        return Server(self.top)

    def find(self, *options, access=None, where=None):
        return fleet.run(GODWIT, "find", "--from", self.source, "--json", *options,
                         *(self.access if access is None else access), where or self.where)

    def found(self):
        ran = self.find()
        self.assertIn(ran.returncode, (0, 1, 3), ran.stderr)
        return [f["host"] for f in json.loads(ran.stdout)["found"]] if ran.stdout else None

    def publish(self, host, *options):
        # pylint: disable=consider-using-with
        process = subprocess.Popen(
            [GODWIT, "publish", "--host", host, *options, *self.access, self.document, self.where],
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process


class Leases(Fleet):
    def test_published_and_withdrawn(self):
        one, two = self.publish("one"), self.publish("two")
        wait_until(lambda: self.found() == ["one", "two"], "both found")
        one.send_signal(signal.SIGTERM)
        self.assertEqual(one.wait(PATIENCE), 0)
        self.assertEqual(self.found(), ["two"])  # at once
        two.send_signal(signal.SIGINT)
        self.assertEqual(two.wait(PATIENCE), 0)
        ran = self.find()
        self.assertEqual((ran.returncode, json.loads(ran.stdout)),
                         (1, {"found": [], "rejected": []}))

    def test_dead_host_disappears(self):
        process = self.publish("one", "--ttl", "3")
        wait_until(lambda: self.found() == ["one"], "found")
        time.sleep(6)  # kept beyond its first lease
        self.assertEqual(self.found(), ["one"])
        process.kill()
        wait_until(lambda: self.found() == [], "gone with its lease", 30)

    def test_lease_that_ran_out_is_taken_anew(self):
        process = self.publish("one", "--ttl", "3")
        wait_until(lambda: self.found() == ["one"], "found")
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: self.found() == [], "gone with its lease", 30)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: self.found() == ["one"], "found again")

    def test_changes_are_seen(self):
        self.publish("one", "--ttl", "3")
        wait_until(lambda: self.found() == ["one"], "found")
        fleet.write(self.document, fleet.implementation(available_instances=0))
        wait_until(lambda: self.found() == [], "rejected")
        self.assertEqual(json.loads(self.find().stdout)["rejected"][0]["reasons"][0]["code"],
                         "no-capacity")
        os.unlink(self.document)  # what cannot be told is withdrawn
        wait_until(lambda: json.loads(self.find().stdout)["rejected"] == [], "withdrawn")
        fleet.write(self.document, fleet.implementation())
        wait_until(lambda: self.found() == ["one"], "found again")

    def test_room_changes_under_one_lease(self):
        """SIGHUP makes it look now; what is no number any more is withdrawn."""
        room = os.path.join(self.top, "room")
        fleet.write(room, "1\n")
        process = self.publish("one", "--ttl", "300", "--available-instances", room)
        wait_until(lambda: self.found() == ["one"], "found")
        lease = self.server.lease("/fleet/a/hosts/one/info")
        for text, found in (("0\n", []), ("5\n", ["one"])):
            fleet.write(room, text)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: self.found() == found, f"room {text}")  # pylint: disable=W0640
            self.assertEqual(self.server.lease("/fleet/a/hosts/one/info"), lease)
        fleet.write(room, "some\n")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.found() == [] and not json.loads(self.find().stdout)["rejected"],
                   "withdrawn")
        fleet.write(room, "1\n")
        wait_until(lambda: self.found() == ["one"], "found again")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_etcd_away(self):
        process = self.publish("one", "--ttl", "3")
        wait_until(lambda: self.found() == ["one"], "found")
        port = self.server.port
        self.server.stop()
        self.assertEqual(self.find("--timeout", "2").returncode, 3)
        self.assertIsNone(process.poll())
        # The same port again, and nothing in it.
        self.server = Server(self.top, port=port)
        self.addCleanup(self.server.stop)
        wait_until(lambda: self.found() == ["one"], "found again")


    def test_etcd_away_is_told(self):
        """At the next time that the lease is kept, and again each second from then on: it may last."""
        process = self.publish("one", "--ttl", "6")
        wait_until(lambda: self.found() == ["one"], "found")
        self.server.process.kill()
        said = b""
        while b"not published: etcd 127.0.0.1" not in said:
            self.assertTrue(select.select([process.stderr], [], [], PATIENCE)[0], said)
            said += os.read(process.stderr.fileno(), 4096)
        self.assertIsNone(process.poll())
        # Ending does not wait for what is not there.
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)


class Keys(Fleet):
    def test_pages(self):
        """More hosts than a page has, all of one moment; other keys are passed over."""
        document = json.dumps(fleet.implementation())
        for i in range(600):
            self.server.put(f"/fleet/a/hosts/h{i:03}/info", document)
        for key in ("/fleet/a/hosts/h1/epoch", "/fleet/a/hosts/x/y/info", "/fleet/b/hosts/n/info",
                    "/fleet/a/hosts/../info", "/fleet/a/hosts//info", "/fleet/a/hosts0"):
            self.server.put(key, "7")
        self.server.put("/fleet/a/hosts/empty/info", "")
        ran = self.find()
        self.assertEqual(ran.returncode, 0, ran.stderr)
        answer = json.loads(ran.stdout)
        self.assertEqual([f["host"] for f in answer["found"]], [f"h{i:03}" for i in range(600)])
        self.assertEqual([(r["host"], r["verdict"]) for r in answer["rejected"]],
                         [("empty", "cannot-tell")])

    def test_second_endpoint(self):
        self.server.put("/fleet/a/hosts/h/info", json.dumps(fleet.implementation()))
        where = f"etcd://127.0.0.1:{free_ports()[0]},127.0.0.1:{self.server.port}/fleet/a/"
        self.assertEqual(self.find(where=where).returncode, 0)

    def test_default_prefix(self):
        self.server.put("/godwit/hosts/h/info", json.dumps(fleet.implementation()))
        where = f"etcd://127.0.0.1:{self.server.port}"
        self.assertEqual(self.find(where=where).returncode, 0)


class Many(Fleet):
    """10,000 hosts in well under a second of this machine's processors; MANY=10000 tries that number.

    Each host has another boot, build, backing and room, as in a fleet; in the second test something
    else, too, so that no host's models are written as another's."""
    HOSTS = int(os.environ.get("MANY", "2000"))
    KEYS_OF_A_PUT = 100

    def put_all(self, document):
        def encode(text):
            return base64.b64encode(text.encode()).decode()
        for first in range(0, self.HOSTS, self.KEYS_OF_A_PUT):
            self.server.post("/v3/kv/txn", {"success": [
                {"request_put": {"key": encode(f"/fleet/a/hosts/host-{i:05}/info"),
                                 "value": encode(document(i))}}
                for i in range(first, min(first + self.KEYS_OF_A_PUT, self.HOSTS))]})

    def processor_time(self):
        """Of etcd, in seconds (proc(5): utime and stime)."""
        with open(f"/proc/{self.server.process.pid}/stat", encoding="ascii") as stat:
            return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / \
                os.sysconf("SC_CLK_TCK")

    def best(self):
        """The wall in the best of some runs, or the processor time of both programs, whichever is
        less: others work here, too."""
        took = []
        for _ in range(3):
            before = time.monotonic(), sum(os.times()[2:4]), self.processor_time()
            found = json.loads(self.find().stdout)
            wall, own, etcds = (after - earlier for after, earlier in zip(
                (time.monotonic(), sum(os.times()[2:4]), self.processor_time()), before))
            took.append((min(wall, (own + etcds) / (os.cpu_count() or 1)), wall, own, etcds))
        self.assertEqual(len(found["found"]), self.HOSTS // 2)
        self.assertEqual(len(found["rejected"]), self.HOSTS - self.HOSTS // 2)
        best, wall, own, etcds = min(took)
        print(f"{self.HOSTS} hosts of etcd: wall {wall:.3f} s, processor time {own:.3f} s, "
              f"etcd's {etcds:.3f} s")
        return best

    def documents(self, note):
        document = json.loads(fleet.run(GODWIT_FS, "--print-migration-info").stdout)
        model = next(iter(document["models"]))
        fleet.write(self.source, {"format": 1, "model": model, "params": {}})

        document["implementation"].update(boot="boot-@", build="1.0-@")
        document["provides"] = ["shared-backing:@", "users:all"]
        document["models"][model].update(available_instances="ROOM", note="NOTE")
        text = json.dumps(document, indent=2)

        def write(i):
            return text.replace("@", f"{i:032x}").replace('"ROOM"', str(i * (i % 2))).replace(
                "NOTE", note(i))
        return write

    def check(self, note, seconds):
        """@seconds are for 10,000 hosts."""
        self.put_all(self.documents(note))
        best = self.best()
        if not fleet.is_sanitized(GODWIT):
            self.assertLess(best, seconds * self.HOSTS / 10000)

    def test_alike(self):
        self.check(lambda _: "", 0.5)
        if not fleet.is_sanitized(GODWIT):
            self.check_no_waiting()

    def check_no_waiting(self):
        """What has come is taken out of libcurl: it would wait for more, until a timer of its own
        ends that, 200 ms after it had begun to connect, for each page. Others work here, too."""
        took, enough = [], self.HOSTS / 10000
        while sum(one <= enough for one in took) < 5:
            self.assertLess(len(took), 60, took)
            before = time.monotonic()
            self.assertEqual(self.find().returncode, 0)
            took.append(time.monotonic() - before)

    def test_all_different(self):
        self.check(str, 1)


class Users(Fleet):
    def setUp(self):
        super().setUp()
        self.server.put("/fleet/a/hosts/h/info", json.dumps(fleet.implementation()))
        for path, body in (("/v3/auth/user/add", {"name": "root", "password": "secret"}),
                           ("/v3/auth/role/add", {"name": "root"}),
                           ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
                           ("/v3/auth/enable", {})):
            self.server.post(path, body)
        self.password = os.path.join(self.top, "password")
        fleet.write(self.password, "secret\n")
        self.access = ["--user", "root", "--password-file", self.password]

    def test_let_in(self):
        self.assertEqual(self.found(), ["h"])
        self.publish("mine")
        wait_until(lambda: self.found() == ["h", "mine"], "found")

    def test_not_let_in(self):
        wrong = os.path.join(self.top, "wrong")
        fleet.write(wrong, "guess\n")
        for access in ([], ["--user", "root"], ["--user", "root", "--password-file", wrong],
                       ["--user", "nobody", "--password-file", self.password],
                       ["--user", "root", "--password-file", "/nonexistent"]):
            ran = self.find(access=access)
            self.assertEqual(ran.returncode, 3, access)
            self.assertEqual(ran.stderr.count("\n"), 1)
            self.assertNotIn("secret", ran.stderr)


class Tls(Fleet):
    def start_server(self):
        self.make_certificates()
        where = os.path.join(self.top, "tls")
        self.access = ["--cacert", f"{where}/ca.pem", "--cert", f"{where}/client.pem",
                       "--key", f"{where}/client.key"]
        return Server(self.top, ["--cert-file", f"{where}/server.pem", "--key-file",
                                 f"{where}/server.key", "--trusted-ca-file", f"{where}/ca.pem",
                                 "--client-cert-auth"])

    def make_certificates(self):
        where = os.path.join(self.top, "tls")
        os.mkdir(where)

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=where, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out",
                "ca.pem", "-subj", "/CN=test-ca", "-days", "2")
        for name in ("server", "client"):
            fleet.write(os.path.join(where, name + ".ext"),
                        "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out",
                    name + ".csr", "-subj", f"/CN={name}")
            openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-out", name + ".pem", "-days", "2", "-extfile",
                    name + ".ext")

    def test_tls(self):
        self.where = f"etcds://127.0.0.1:{self.server.port}/fleet/a"
        self.publish("one")
        wait_until(lambda: self.found() == ["one"], "found")
        no_client = self.find(access=self.access[:2])
        self.assertEqual(no_client.returncode, 3)
        no_authority = self.find(access=self.access[2:])
        self.assertEqual(no_authority.returncode, 3)
        self.assertIn("certificate", no_authority.stderr)
        plain = self.find(access=[], where=self.where.replace("etcds", "etcd"))
        self.assertEqual(plain.returncode, 3)


class Answered(unittest.TestCase):
    """Something else answers in etcd's place."""
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.source = os.path.join(directory.name, "s")
        fleet.write(self.source, fleet.instance())

    def ask(self, *answers, timeout="5"):
        """Each request gets the next of them; after one that is not whole the connection ends."""
        def serve(listener):
            for answer in answers:
                client, _ = listener.accept()
                with client:
                    h2.serve(client, answer)
                    if answer == b"":
                        time.sleep(20)
                    if not isinstance(answer, h2.Whole):
                        client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):  # or what it still sends would cut off the answer
                        pass
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
            return fleet.run(GODWIT, "find", "--json", "--timeout", timeout, "--from", self.source,
                             f"etcd://127.0.0.1:{listener.getsockname()[1]}/x")

    def ask_in_vain(self, *answers, timeout="5"):
        ran = self.ask(*answers, timeout=timeout)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr.count("\n")), (3, "", 1),
                         (answers, ran.stderr))
        return ran.stderr

    @staticmethod
    def page(more, key="/x/hosts/h/info", revision=7):
        """As etcd answers to a range."""
        pair = h2.field(1, key.encode()) + h2.field(5, json.dumps(fleet.implementation()).encode())
        return h2.field(1, h2.field(3, revision)) + h2.field(2, pair) + h2.field(3, int(more)) + \
            h2.field(4, 2)


class Impostor(Answered):
    """Nothing that answers in etcd's place is believed, or ends the program."""
    def test_good(self):
        """What the others are held against: so it is taken."""
        ran = self.ask(h2.good(self.page(False)))
        self.assertEqual((ran.returncode, json.loads(ran.stdout)["found"][0]["host"]), (0, "h"))
        ran = self.ask(h2.good(self.page(True)),
                       h2.good(self.page(False, key="/x/hosts/i/info")))
        self.assertEqual(len(json.loads(ran.stdout)["found"]), 2)
        self.assertEqual(self.ask(h2.good(b"")).returncode, 1)  # nobody has published

    def test_no_message(self):
        whole = self.page(False)
        for payload in (b"\xff" * 20, b"\x12\xff\xff\xff\xff\x0f", b"\x12" + b"\xff" * 9 + b"\x01",
                        b"\0\0", b"\x13", b"\x14", b"\x0f", b"\x12\x7f", b"\x09\0", b"\x0d\0",
                        whole[:-1], whole + b"\x12", whole + b"\x80",
                        h2.field(1, b"\x1a"), h2.field(2, b"\x0a\xff"),
                        h2.field(2, h2.field(1, b"/x/hosts/h/info") + b"\x2a\x05")):
            self.assertIn("no protobuf message", self.ask_in_vain(h2.good(payload)))

    def test_another_message(self):
        """A message, but none that answers this request."""
        for payload, said in (
                (h2.field(2, b""), "was not asked for"),
                (h2.field(2, h2.field(1, b"/y/hosts/h/info")), "was not asked for"),
                (h2.field(2, h2.field(1, b"/x/hosts")), "was not asked for"),
                (h2.field(2, h2.field(1, 5)), "was not asked for"),
                (h2.field(3, 1), "empty page"),
                (h2.field(1, h2.field(3, b"7")) + h2.field(3, 1), "empty page")):
            self.assertIn(said, self.ask_in_vain(h2.good(payload)))
        # What is not known is passed over, whatever its type.
        other = h2.field(99, b"?") + b"\x31" + b"\0" * 8 + b"\x35" + b"\0" * 4 + h2.field(2, 7)
        self.assertEqual(self.ask(h2.good(other + self.page(False) + other)).returncode, 0)

    def test_frames(self):
        page = self.page(False)
        done = ("grpc-status", "0")
        for body in (b"", b"\0" * 4, h2.message(page, compressed=1),
                     h2.message(page, length=len(page) - 1), h2.message(page, length=len(page) + 1),
                     h2.message(page, length=0xffffffff), h2.message(page) + b"\0",
                     h2.message(page) * 2):
            self.assertIn("not one message", self.ask_in_vain(h2.answer(body, done)))
        body = h2.message(page)
        for answer in (h2.answer(body), h2.answer(body, ("grpc-status", "")),
                       h2.answer(body, ("grpc-status", "x")),
                       h2.answer(body, ("grpc-status", "1000000000")),
                       *(h2.answer(body, done, status=s) for s in ("302", "401", "404", "500"))):
            self.assertIn("none of etcd's", self.ask_in_vain(answer))

    def test_refusals(self):
        for words, said in (("no%20luck%0a%1b[2J%zz%", "no luck??[2J%zz%"), ("", "without a reason"),
                            ("x" * 120, "x" * 120)):
            answer = h2.answer(b"", ("grpc-status", "7"), ("grpc-message", words))
            self.assertTrue(self.ask_in_vain(answer).endswith(f"{said}\n"))
        # Of a status that cannot be 0 the message is not looked at.
        answer = h2.answer(h2.message(self.page(False)), ("grpc-status", "16"))
        self.ask_in_vain(answer)


class Broken(Answered):
    """What ends in the middle is no answer: no host is found, and none is missed in silence."""
    def test_second_page_does_not_come(self):
        more, last = h2.good(self.page(True)), h2.good(self.page(False))
        self.ask_in_vain(more)
        self.ask_in_vain(more, last[:-1])
        self.ask_in_vain(more, h2.answer(b"", ("x", "y"), status="503"))

    def test_half_a_page(self):
        whole = h2.good(self.page(False))
        for cut in (1, 20, 100, 300):
            self.ask_in_vain(whole[:-cut])
        self.ask_in_vain(b"HTTP/1.1 200 OK\r\n\r\n")
        self.ask_in_vain(b"no HTTP at all\r\n\r\n")

    def test_nothing_comes(self):
        before = time.monotonic()
        self.assertIn("imed out", self.ask_in_vain(b"", timeout="1"))
        self.assertLess(time.monotonic() - before, 15)


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile("w") as some:
        json.dump(fleet.instance(), some)
        some.flush()
        told = fleet.run(GODWIT, "find", "--from", some.name, "etcd://127.0.0.1:1").stderr
    if "libcurl" in told:
        print(f"skipped: {told.strip()} (scripts/install-deps build)")
        sys.exit(77)
    if not ETCD:
        print("skipped: there is no etcd: scripts/fetch-etcd BUILD, or ETCD=path")
        sys.exit(77)
    unittest.main()
