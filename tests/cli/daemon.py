#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""godwit-fs as a program: its command line, its exit codes, its sockets.

usage: daemon.py GODWIT-FS GODWIT DISCOVERY-FILE
"""
import grp
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

GODWIT_FS, GODWIT, DISCOVERY = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))


def run(*arguments, **options):
    return subprocess.run([GODWIT_FS, *arguments], capture_output=True, text=True, timeout=30,
                          check=False, **options)


class CommandLine(unittest.TestCase):
    def test_capabilities_before_everything(self):
        with open(DISCOVERY, encoding="utf-8") as file:
            discovery = json.load(file)
        for others in ((), ("--nothing",), ("--shared-dir",), ("--help",)):
            ran = run(*others, "--print-capabilities")
            self.assertEqual(ran.returncode, 0)
            self.assertEqual(ran.stderr, "")
            self.assertEqual(json.loads(ran.stdout),
                             {"type": "fs", "features": ["migrate-precopy", "posix-acl-negotiation-mode",
                                                         "security-label-negotiation-mode",
                                                         "separate-options"]})
            self.assertEqual(json.loads(ran.stdout)["features"], discovery["features"])

    def test_usage_errors(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            ran = run("--shared-dir", directory, "--socket-path", path, "--nothing")
            self.assertEqual(ran.returncode, 2)
            self.assertEqual(os.listdir(directory), [])
        for arguments in (
            (),
            ("--nothing",),
            ("--shared-dir", "/tmp"),
            ("--socket-path", "/tmp/s"),
            ("--shared-dir", "/tmp", "--socket-path", "/tmp/s", "--fd", "3"),
            ("--shared-dir", "/tmp", "--fd", "99"),
            ("--shared-dir", "/tmp", "--fd", "-1"),
            ("--shared-dir", "/tmp", "--fd", "0", "--tag", "x" * 37),
            ("--shared-dir", "/tmp", "--fd", "0", "--cache", "sometimes"),
            ("--shared-dir", "/tmp", "--fd", "0", "--xattrmap", ":bad:"),
            ("--shared-dir", "/tmp", "--fd", "0", "-o", "nonsense"),
            ("--shared-dir", "/tmp", "--fd", "0", "-o"),
            ("--shared-dir", "/tmp", "--fd", "0", "--socket-group", "root"),
            ("--shared-dir", "/tmp", "--fd", "0", "--recover", "--experimental", "iterative"),
            ("--shared-dir", "/tmp", "--fd", "0", "--migration-mode=file-handles",
             "--inode-file-handles=never"),
            ("--shared-dir", "/tmp", "--fd", "0", "--translate-uid=map:0:1:1",
             "--translate-uid=map:0:2:1"),
            ("--shared-dir", "/tmp", "--fd", "0", "--num-request-queues", "0"),
            ("--shared-dir", "/tmp", "--fd", "0", "--notification-queue"),
            ("--shared-dir", "/tmp", "--fd", "0", "--num-request-queues", "65"),
            ("--shared-dir", "/tmp", "--fd", "0", "--sandbox", "box"),
            ("--shared-dir", "/tmp", "--fd", "0", "--seccomp", "maybe"),
            ("--shared-dir", "/tmp", "--fd", "0", "--modcaps", "chown"),
            ("--shared-dir", "/tmp", "--fd", "0", "--modcaps", "+nothing"),
            ("--shared-dir", "/tmp", "--fd", "0", "--modcaps", "-chown:"),
            ("--shared-dir", "/tmp", "--fd", "0", "--uid-map", ":0:1000"),
            ("--shared-dir", "/tmp", "--fd", "0", "--uid-map", ":0:1000:0:"),
            ("--shared-dir", "/tmp", "--fd", "0", "--uid-map="),
            ("--shared-dir", "/tmp", "--fd", "0", "--uid-map", ":4294967295:0:2:"),
            ("--shared-dir", "/tmp", "--fd", "0", "--gid-map", ":0:4294967295:2:"),
            ("--shared-dir", "/tmp", "--fd", "0", "--sandbox=none", "--gid-map", ":0:1:2:"),
        ):
            with self.subTest(arguments=arguments):
                ran = run(*arguments)
                self.assertEqual(ran.returncode, 2, ran.stderr)
                self.assertEqual(ran.stdout, "")
                self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
                self.assertTrue(ran.stderr.startswith("godwit-fs: "))

    def test_version(self):
        self.assertRegex(run("-V").stdout, r"^godwit-fs \d+\.\d+\.\d+\n$")


class Program(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.share = os.path.join(directory.name, "share")
        self.path = os.path.join(directory.name, "s")
        os.mkdir(self.share)

    def refused(self, *arguments):
        """What is wrong on this host: one line, exit 1, and no socket was ever there."""
        ran = run("--log-level", "error", "--socket-path", self.path, *arguments)
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertEqual(ran.stderr.count("\n"), 1, ran.stderr)
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(os.path.exists(self.path + ".control"))
        return ran.stderr

    def start(self, *arguments, **options):
        daemon = subprocess.Popen([GODWIT_FS, "--shared-dir", self.share, *arguments],
                                  stderr=subprocess.PIPE, text=True, **options)
        self.addCleanup(daemon.stderr.close)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        return daemon

    def await_sockets(self, *paths):
        deadline = time.monotonic() + 20
        while not all(os.path.exists(p) for p in paths):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def await_answer(self, daemon):
        """The socket is there before it listens."""
        while True:
            self.assertIsNone(daemon.poll())
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(self.path)
                    return
                except ConnectionRefusedError:
                    time.sleep(0.005)

    def test_bad_shares(self):
        self.assertIn("No such file", self.refused("--shared-dir", self.share + "x"))
        with open(self.share + "f", "w", encoding="utf-8"):
            pass
        self.assertIn("not a directory", self.refused("--shared-dir", self.share + "f"))

    def test_a_share_that_cannot_be_read(self):
        os.chmod(self.share, 0o311)
        program = shutil.copy(GODWIT_FS, os.path.dirname(self.path))
        os.chmod(os.path.dirname(self.path), 0o777)

        def ordinary():
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
        for sandbox in ("namespace", "none"):
            # pylint: disable=subprocess-popen-preexec-fn
            ran = subprocess.run([program, "--log-level=error", f"--sandbox={sandbox}",
                                  "--shared-dir", self.share, "--socket-path", self.path],
                                 capture_output=True, text=True, timeout=30, check=False,
                                 preexec_fn=ordinary)
            self.assertEqual(ran.returncode, 1, ran.stderr)
            self.assertRegex(ran.stderr, r"\Agodwit-fs: .*cannot be read: Permission denied\n\Z")
            self.assertFalse(os.path.exists(self.path))

    def test_sandbox(self):
        daemon = self.start("--socket-path", self.path, "--sandbox=none")
        self.await_sockets(self.path)
        daemon.terminate()
        self.assertIn("no sandbox", daemon.communicate()[1])

    def open_files(self, *arguments, **options):
        daemon = self.start("--socket-path", self.path, *arguments, **options)
        self.await_sockets(self.path)
        with open(f"/proc/{daemon.pid}/limits", encoding="utf-8") as file:
            soft = [line for line in file if line.startswith("Max open files")][0].split()[3]
        daemon.terminate()
        daemon.wait(timeout=10)
        return int(soft)

    def test_open_files(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_NOFILE, (512, 2000))
        self.assertEqual(self.open_files("--rlimit-nofile=700"), 700)
        self.assertEqual(self.open_files("--rlimit-nofile=0", preexec_fn=limited), 512)
        self.assertGreaterEqual(self.open_files(preexec_fn=limited), 2000)

    def test_socket_of_a_group(self):
        group = grp.getgrgid(os.getgid())
        self.start("--socket-path", self.path, "--socket-group", group.gr_name)
        deadline = time.monotonic() + 20
        self.await_sockets(self.path)
        while stat.S_IMODE(os.stat(self.path).st_mode) != 0o660:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        self.assertEqual(os.stat(self.path).st_gid, group.gr_gid)
        self.path += "2"
        self.assertIn("no-such-group", self.refused("--shared-dir", self.share, "--socket-group",
                                                    "no-such-group"))

    def test_old_spellings(self):
        """libvirt of old, and scripts: -o lists, -d, -f, --socket."""
        daemon = subprocess.Popen([GODWIT_FS, "-f", "-d", "--socket", self.path, "-o",
                                   f"source={self.share},cache=none,xattr,no_posix_lock"],
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(daemon.stderr.close)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        self.await_sockets(self.path)
        daemon.terminate()
        said = daemon.communicate()[1]
        for old in ("-f", "-d", "--socket", "-o"):
            self.assertIn(f"option {old} is deprecated", said)

    def test_syslog(self):
        daemon = self.start("--socket-path", self.path, "--syslog")
        self.await_sockets(self.path)
        daemon.terminate()
        self.assertNotIn("signal", daemon.communicate()[1])

    def test_bad_keys(self):
        key = os.path.join(self.share, "key")
        self.assertIn("No such file", self.refused("--shared-dir", self.share, "--state-key", key))
        for length in (0, 31, 33):
            with open(key, "wb") as file:
                file.write(b"k" * length)
            os.chmod(key, 0o600)
            self.assertIn("32 bytes",
                          self.refused("--shared-dir", self.share, "--state-key", key))
        os.chmod(key, 0o640)
        self.assertIn("others", self.refused("--shared-dir", self.share, "--state-key", key))

    def test_something_in_the_way(self):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("precious")
        ran = run("--shared-dir", self.share, "--socket-path", self.path)
        self.assertEqual(ran.returncode, 1)
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")

    def test_signals_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = self.start("--socket-path", self.path)
            self.await_sockets(self.path, self.path + ".control")
            for path in (self.path, self.path + ".control"):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            daemon.send_signal(number)
            self.assertEqual(daemon.wait(timeout=10), 0)
            self.assertFalse(os.path.exists(self.path))
            self.assertFalse(os.path.exists(self.path + ".control"))

    def test_second_daemon_is_refused_and_a_dead_one_replaced(self):
        first = self.start("--socket-path", self.path)
        self.await_sockets(self.path, self.path + ".control")
        ran = run("--shared-dir", self.share, "--socket-path", self.path)
        self.assertEqual(ran.returncode, 1)
        self.assertIsNone(first.poll())
        first.kill()
        first.wait()
        left = os.stat(self.path).st_ctime_ns
        second = self.start("--socket-path", self.path)
        deadline = time.monotonic() + 20
        while not os.path.exists(self.path) or os.stat(self.path).st_ctime_ns == left:
            self.assertIsNone(second.poll())
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def test_status(self):
        control = self.path + ".elsewhere"
        self.start("--socket-path", self.path, "--control-socket", control,
                   "--num-request-queues", "2")
        self.await_sockets(control)
        deadline = time.monotonic() + 20
        while True:  # there is a moment between the name and the first connection
            ran = subprocess.run([GODWIT, "status", "--json", control], capture_output=True,
                                 text=True, timeout=30, check=False)
            if ran.returncode == 0 or time.monotonic() > deadline:
                break
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(json.loads(ran.stdout)["status"]["program"], "godwit-fs")
        self.assertFalse(os.path.exists(self.path + ".control"))

    def test_inherited_descriptors(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen()
        ours, theirs = socket.socketpair()
        for end in (listener, ours, theirs):
            self.addCleanup(end.close)
        for inherited in (listener, theirs):
            fd = inherited.fileno()
            daemon = self.start("--fd", str(fd), pass_fds=(fd,))
            if inherited is theirs:
                theirs.close()
                ours.close()
            else:
                client = socket.socket(socket.AF_UNIX)
                client.connect(self.path)
                client.close()
            self.assertEqual(daemon.wait(timeout=10), 0)  # it ends with its front-end
        self.assertFalse(os.path.exists(self.path + ".control"))

    def test_reconnect_stays(self):
        daemon = self.start("--socket-path", self.path, "--reconnect")
        self.await_sockets(self.path)
        self.await_answer(daemon)
        for _ in range(3):
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.path)
            client.close()
        time.sleep(0.2)
        self.assertIsNone(daemon.poll())


unittest.main()
