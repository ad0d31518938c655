#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`godwit publish` and `godwit find` with a real etcd: leases, pages, TLS, users; and with something
else that answers in its place.

usage: etcd.py GODWIT ETCD
"""
import base64
import http.server
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

GODWIT = os.path.abspath(sys.argv.pop(1))
ETCD = os.environ.get("ETCD") or sys.argv.pop(1)
if not os.access(ETCD, os.X_OK):
    ETCD = shutil.which("etcd")
PATIENCE = 60


def wait_until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """An etcd of one member on loopback."""

    def __init__(self, directory, tls=()):
        self.port, peer = free_port(), free_port()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        # pylint: disable=consider-using-with
        self.log = open(os.path.join(directory, "etcd.log"), "ab")
        self.process = subprocess.Popen(
            [ETCD, "--data-dir", os.path.join(directory, "data"),
             "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
             "--listen-peer-urls", f"http://127.0.0.1:{peer}",
             "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
             "--initial-cluster", f"default=http://127.0.0.1:{peer}", *tls],
            stdout=self.log, stderr=self.log)
        wait_until(self.answers, "etcd answering")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("etcd ended")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

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
        shutil.rmtree(os.path.join(self.top, "data"))
        # The same port again, and nothing in it.
        global free_port  # pylint: disable=global-statement
        ports, free_port = [port, free_port()], lambda: ports.pop(0)
        try:
            self.server = self.start_server()
        finally:
            free_port = _free_port
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
        where = f"etcd://127.0.0.1:{free_port()},127.0.0.1:{self.server.port}/fleet/a/"
        self.assertEqual(self.find(where=where).returncode, 0)

    def test_default_prefix(self):
        self.server.put("/godwit/hosts/h/info", json.dumps(fleet.implementation()))
        where = f"etcd://127.0.0.1:{self.server.port}"
        self.assertEqual(self.find(where=where).returncode, 0)


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


class Impostor(unittest.TestCase):
    """Nothing that answers in etcd's place is believed, or ends the program."""

    ANSWERS = (b"", b"[]", b"{", b"null", b"{}" * 3, b'{"kvs": 7}', b'{"kvs": [7]}',
               b'{"kvs": [{"key": "!"}]}', b'{"kvs": [{"key": "YQ"}]}',
               b'{"kvs": [{"key": "YQ==", "value": 5}]}', b'{"more": true}',
               b'{"kvs": [], "more": true, "header": {"revision": "x"}}',
               b"[" * 100000, b'{"kvs": [{"key": "===="}]}')

    def test_answers(self):
        answers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                self.send_response(answers[0][0])
                self.send_header("Content-Length", str(len(answers[0][1])))
                self.end_headers()
                self.wfile.write(answers[0][1])

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as directory:
            source = os.path.join(directory, "s")
            fleet.write(source, fleet.instance())
            for status in (200, 302, 401, 500):
                for answer in self.ANSWERS:
                    answers[:] = [(status, answer)]
                    ran = fleet.run(GODWIT, "find", "--from", source,
                                    f"etcd://127.0.0.1:{server.server_port}/x")
                    empty = status == 200 and answer == b'{"kvs": 7}'
                    self.assertEqual(ran.returncode, 1 if empty else 3, (answer, ran.stderr))
                    if not empty:
                        self.assertEqual(ran.stderr.count("\n"), 1, (answer, ran.stderr))
        server.shutdown()
        server.server_close()


class Broken(unittest.TestCase):
    """What ends in the middle is no answer: no host is found, and none is missed in silence."""
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.source = os.path.join(directory.name, "s")
        fleet.write(self.source, fleet.instance())

    def ask(self, *answers, timeout="5"):
        """Each request gets the next of them, and the connection ends."""
        def serve(listener):
            for answer in answers:
                client, _ = listener.accept()
                with client:
                    while b"\r\n\r\n" not in client.recv(65536):
                        pass
                    client.sendall(answer)
                    if answer == b"":
                        time.sleep(20)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
            ran = fleet.run(GODWIT, "find", "--json", "--timeout", timeout, "--from", self.source,
                            f"etcd://127.0.0.1:{listener.getsockname()[1]}/x")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr.count("\n")), (3, "", 1),
                         ran.stderr)
        return ran.stderr

    @staticmethod
    def page(more):
        def text(value):
            return base64.b64encode(value.encode()).decode()
        body = json.dumps({"header": {"revision": "7"}, "more": more, "kvs": [
            {"key": text("/x/hosts/h/info"), "value": text(json.dumps(fleet.implementation()))}]})
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + body).encode()

    def test_second_page_does_not_come(self):
        self.ask(self.page(True))
        self.ask(self.page(True), self.page(False)[:-1])
        self.ask(self.page(True), b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n")

    def test_half_a_page(self):
        for cut in (1, 20, 100, 300):
            self.ask(self.page(False)[:-cut])
        self.ask(b"HTTP/1.1 200 OK\r\n")
        self.ask(b"no HTTP at all\r\n\r\n")

    def test_nothing_comes(self):
        before = time.monotonic()
        self.assertIn("imed out", self.ask(b"", timeout="1"))
        self.assertLess(time.monotonic() - before, 15)


_free_port = free_port

if __name__ == "__main__":
    if fleet.run(GODWIT, "find", "--from", "/dev/null", "etcd://x").stderr.find("libcurl") >= 0:
        print("skipped: godwit was built without libcurl (scripts/install-deps build)")
        sys.exit(77)
    if not ETCD:
        print("skipped: there is no etcd: scripts/fetch-etcd BUILD, or ETCD=path")
        sys.exit(77)
    unittest.main()
