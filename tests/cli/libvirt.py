#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Command lines as management software writes them for virtiofsd: each starts a back-end that serves.

usage: libvirt.py GODWIT-FS

The lists are what libvirt 6.2 to 11 makes of a <filesystem> (docs/libvirt.md), KubeVirt 1.6 of a
volume (docs/kubevirt.md), Kata Containers 3 of its share.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

GODWIT_FS = os.path.abspath(sys.argv.pop(1))
GET_FEATURES, VERSION = 1, 1
HEADER = struct.Struct("<III")
SHARE, FD = object(), object()


def libvirt_old(*keys, after=()):
    """As for the virtiofsd in C, and for any that does not say separate-options."""
    return [("--fd=", FD), "-o", ("source=", SHARE, *keys), *after]


def libvirt(*arguments):
    return [("--fd=", FD), "--shared-dir", SHARE, *arguments]


LINES = {
    "libvirt, old form": libvirt_old(),
    "libvirt, old form, cache": libvirt_old(",cache=none"),
    "libvirt, old form, all": libvirt_old(",cache=always", ",sandbox=chroot", ",xattr",
                                          ",flock,posix_lock", after=["-d"]),
    "libvirt, old form, all off": libvirt_old(",cache=auto", ",sandbox=namespace", ",no_xattr",
                                              ",no_flock,no_posix_lock",
                                              after=["--thread-pool-size=16"]),
    "libvirt": libvirt(),
    "libvirt, all": libvirt("--cache", "always", "--sandbox", "chroot", "--xattr",
                            "--thread-pool-size=0", "--rlimit-nofile=1024", "--log-level", "debug"),
    "libvirt, no cache": libvirt("--cache", "never", "--sandbox", "namespace"),
    "libvirt, readonly": libvirt("--readonly"),
    "KubeVirt, PVC": ["--socket-path=", ("--shared-dir=", SHARE), "--sandbox=none", "--cache=auto",
                      "--migration-on-error=guest-error", "--migration-mode=find-paths",
                      "--migration-verify-handles"],
    "KubeVirt, service account": ["--socket-path=", ("--shared-dir=", SHARE), "--sandbox=none",
                                  "--cache=auto", "--migration-on-error=guest-error",
                                  "--migration-mode=find-paths", "--translate-uid=host:107:0:1"],
    "KubeVirt, privileged": ["--socket-path", "", "--shared-dir", SHARE, "--cache", "auto",
                             "--sandbox", "chroot", "--modcaps=+dac_read_search:-mknod",
                             "--inode-file-handles=prefer", "--migration-mode=file-handles",
                             "--migration-on-error=guest-error",
                             "--translate-uid=squash-guest:0:107:4294967295",
                             "--translate-gid=squash-guest:0:107:4294967295", "--xattr"],
    "Kata": ["--syslog", "--cache=never", ("--shared-dir=", SHARE), ("--fd=", FD),
             "--migration-mode=find-paths", "--migration-on-error=guest-error"],
    "Kata, extra": ["--syslog", "--cache=auto", ("--shared-dir=", SHARE), ("--fd=", FD),
                    "--thread-pool-size=1", "--announce-submounts"],
}
# An ordinary user's libvirt (qemu:///session); this user has no further ids here.
SESSION = libvirt("--uid-map=:0:{uid}:1:", "--gid-map=:0:{gid}:1:")
NOBODY = 65534


def needs_root(line):
    return any("chroot" in str(part) for part in line) or line == LINES["libvirt, old form, all"]


class CommandLines(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        os.chmod(self.directory.name, 0o755)
        # Commas and equals signs are what such lists are made of.
        self.share = os.path.join(self.directory.name, "share")
        os.mkdir(self.share)
        self.path = os.path.join(self.directory.name, "socket")
        self.listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.listener.close)

    def listen(self):
        """As libvirt does: it makes the socket, and passes it on."""
        self.listener.bind(self.path)
        self.listener.listen()
        return self.listener.fileno()

    def filled_in(self, line, fd):
        escaped = {True: self.share.replace(",", ",,"), False: self.share}

        def text(part, in_list):
            if part is SHARE:
                return escaped[in_list]
            return str(fd) if part is FD else part.format(uid=NOBODY, gid=NOBODY)

        words = []
        for part in line:
            parts = part if isinstance(part, tuple) else (part,)
            words.append("".join(text(p, parts[0] == "source=") for p in parts))
        for option in ("--socket-path=", "--socket-path"):
            if option in words:
                at = words.index(option)
                words[at:at + (2 if option[-1] != "=" else 1)] = [f"--socket-path={self.path}"]
        return words

    def serves(self, line, **options):
        inherited = any(FD in part for part in line if isinstance(part, tuple))
        fd = self.listen() if inherited else -1
        # pylint: disable=consider-using-with
        daemon = subprocess.Popen([GODWIT_FS, *self.filled_in(line, fd)], stderr=subprocess.PIPE,
                                  text=True, pass_fds=[fd] if inherited else [], **options)
        try:
            reply = self.ask(daemon)
            self.assertEqual(reply, (GET_FEATURES, VERSION | 4, 8))
            daemon.wait(timeout=20)  # the front-end has gone
        finally:
            daemon.kill()
            said = daemon.communicate()[1]
        self.assertEqual(daemon.returncode, 0, said)

    def ask(self, daemon):
        front_end = socket.socket(socket.AF_UNIX)
        front_end.settimeout(30)
        with front_end:
            while True:
                try:
                    front_end.connect(self.path)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    if daemon.poll() is not None:
                        self.fail(daemon.stderr.read())
            front_end.sendall(HEADER.pack(GET_FEATURES, VERSION, 0))
            answer = front_end.recv(HEADER.size + 8, socket.MSG_WAITALL)
        return HEADER.unpack(answer[:HEADER.size])

    def test_strange_path(self):
        self.share = os.path.join(self.directory.name, "a,b,,c=d e")
        os.mkdir(self.share)
        self.serves(libvirt_old(",cache=none"))

    def test_session(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user here")

        def become():
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)

        probe = subprocess.run(["unshare", "--user", "true"], preexec_fn=become, check=False,
                               capture_output=True)
        if probe.returncode:
            self.skipTest("ordinary users may not make user namespaces here")
        self.serves(SESSION, preexec_fn=become)


def add(name, line):
    def test(self):
        if os.geteuid() != 0 and needs_root(line):
            self.skipTest("--sandbox=chroot takes root")
        self.serves(line)

    setattr(CommandLines, "test_" + name.replace(" ", "_").replace(",", ""), test)


for title, arguments in LINES.items():
    add(title, arguments)
unittest.main()
