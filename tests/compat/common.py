# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of compatibility share: documents in a directory, and the command that reads them.

usage of every test: TEST.py GODWIT GODWIT-FS SOURCE-ROOT [unittest's arguments]
"""
import contextlib
import copy
import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

GODWIT, GODWIT_FS, ROOT = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
LATER = os.environ.get("GODWIT_FS_LATER")  # a later build of godwit-fs
NIC = "vendor-a.example/my-nic"
FS = "godwit-project.org/virtio-fs"
NIC_DOCUMENTS = pathlib.Path(ROOT, "docs/models/my-nic")


def nic(name):
    """A document of the network card, to be changed at will."""
    return json.loads((NIC_DOCUMENTS / f"{name}.json").read_text(encoding="utf-8"))


def instance(params, model=NIC, **more):
    return dict({"format": 1, "model": model, "params": params}, **more)


def run(*arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False,
                          **options)


class Case(unittest.TestCase):
    def setUp(self):
        # pylint: disable=consider-using-with
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.checkers = self.directory / "checkers.d"
        self.count = 0

    def write(self, text, name):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def put(self, document, name=None):
        """The path of a file with it; what is a path already stays one."""
        if isinstance(document, str):
            return document
        self.count += 1
        return self.write(json.dumps(document), name or f"document-{self.count}")

    def program(self, text, name):
        """An executable script."""
        path = self.directory / name
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(stat.S_IRWXU)
        return str(path)

    @contextlib.contextmanager
    def daemon(self, share, *arguments, program=GODWIT_FS):
        """A back-end that waits: the path of its control socket. What it says is in self.log."""
        self.count += 1
        path, self.log = self.directory / f"s{self.count}", self.directory / f"log{self.count}"
        with open(self.log, "w", encoding="utf-8") as log, subprocess.Popen(
                [program, "--shared-dir", share, "--socket-path", path, *arguments],
                stderr=log) as daemon:
            try:
                self.wait_for(f"{path}.control", daemon)
                yield f"{path}.control"
            finally:
                daemon.terminate()

    def wait_for(self, path, daemon):
        deadline = time.monotonic() + 60
        with socket.socket(socket.AF_UNIX) as client:
            while client.connect_ex(path):
                self.assertLess(time.monotonic(), deadline)
                self.assertIsNone(daemon.poll(), self.log.read_text("utf-8"))
                time.sleep(0.005)

    def checker(self, text, name="checker"):
        return self.program(text, f"checkers.d/{name}")

    def backend(self, document, check="exit 0", name="backend"):
        """A back-end of another make, as far as documents go."""
        path = self.put(document)
        return self.program(f"""#!/bin/sh
for word; do
    case $word in
    --print-migration-info) cat {path}; exit ;;
    --check-migration) cat >{self.directory}/asked; {check}; exit ;;
    esac
done
echo "it was started" >{self.directory}/started
exit 9
""", name)

    def check(self, source, destination, *arguments):
        """What `godwit check` says: exit code, report."""
        ran = run(GODWIT, "check", "--json", "--checkers", str(self.checkers), "--from",
                  self.put(source), "--to", self.put(destination), *arguments)
        self.assertIn(ran.returncode, (0, 1, 3), ran.stderr)
        self.stderr = ran.stderr
        return ran.returncode, json.loads(ran.stdout)

    def codes(self, source, destination, *arguments):
        """["code:subject"], and the exit code agrees with it."""
        code, report = self.check(source, destination, *arguments)
        self.report = report
        self.assertEqual(report["verdict"], {0: "compatible", 1: "incompatible",
                                             3: "cannot-tell"}[code])
        for reason in report["reasons"]:
            self.assertTrue(reason["text"])
        return [f"{r['code']}:{r['subject']}" for r in report["reasons"]]

    def goes(self, source, destination, *arguments):
        self.assertEqual(self.codes(source, destination, *arguments), [])

    def stays(self, source, destination, *codes):
        self.assertEqual(self.codes(source, destination), list(codes))
        self.assertEqual(self.report["verdict"], "incompatible")

    def unknown(self, source, destination, *arguments):
        """The sentence of the one reason."""
        codes = self.codes(source, destination, *arguments)
        self.assertEqual(self.report["verdict"], "cannot-tell")
        self.assertEqual([code.split(":")[0] for code in codes], ["cannot-tell"])
        return self.report["reasons"][0]["text"]


def shuffled(document, random):
    """The same members in another order, everywhere, and some that nobody knows."""
    if isinstance(document, list):
        return copy.deepcopy(document)
    if not isinstance(document, dict):
        return document
    members = [(name, shuffled(value, random)) for name, value in document.items()]
    random.shuffle(members)
    return dict(members)


main = unittest.main
