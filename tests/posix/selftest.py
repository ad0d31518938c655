#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The comparison can fail: the cases run twice on one file system, and what is planted is found."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cases
import compare

PROGRAM = sys.argv.pop() if len(sys.argv) > 1 else "posix-cases"
# Some of every kind that an ordinary user can run too, in seconds.
SOME = "rename/*-over-* rename/content open/flags-* link/count unlink/type-*"
PLANTED = "rename/content"


def run(chosen: dict[str, str], *options: str) -> str:
    """The cases in a directory of their own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(cases.as_lines(chosen))
            file.flush()
            return subprocess.run(
                [PROGRAM, "-u", *options, file.name, directory],
                capture_output=True,
                text=True,
                check=True,
            ).stdout


class Comparison(unittest.TestCase):
    """On one file system, with and without lies."""

    cases: dict[str, str]
    host: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.cases = cases.load(SOME)
        cls.host = run(cls.cases)

    def judge(self, guest: str, rows: str = "") -> compare.Verdict:
        """As posix.py does."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(rows)
            file.flush()
            expected = compare.load_expected(Path(file.name))
        host, there = compare.parse(self.host), compare.parse(guest)
        return compare.judge("default", self.cases, host, there, expected)

    def test_same(self) -> None:
        """Twice the same thing."""
        verdict = self.judge(run(self.cases))
        self.assertTrue(verdict.passed(), [d.describe() for d in verdict.unexpected])
        self.assertGreater(verdict.same, 60)

    def test_planted(self) -> None:
        """One wrong answer, and only that one."""
        verdict = self.judge(run(self.cases, "-p", PLANTED))
        self.assertEqual([d.name for d in verdict.unexpected], [PLANTED])
        self.assertIn("the guest says", verdict.unexpected[0].describe())
        self.assertFalse(verdict.passed())

    def test_expected(self) -> None:
        """A row takes exactly its difference away; others do not."""
        guest = run(self.cases, "-p", PLANTED)
        key = self.judge(guest).unexpected[0].key()
        self.assertTrue(self.judge(guest, f"default {PLANTED} {key} :: planted").passed())
        self.assertTrue(self.judge(guest, "* rename/c*tent * :: planted").passed())
        self.assertFalse(self.judge(guest, f"writeback {PLANTED} {key} :: planted").passed())
        self.assertFalse(self.judge(guest, f"default {PLANTED} 0/EPERM :: planted").passed())

    def test_gone(self) -> None:
        """What is expected and does not occur is a failure, unless it need not."""
        row = f"default {PLANTED} * :: not there"
        self.assertEqual(len(self.judge(self.host, row).gone), 1)
        self.assertTrue(self.judge(self.host, "?" + row).passed())

    def test_cut(self) -> None:
        """A run that ends early, or leaves a case out, is none."""
        lines = self.host.splitlines(keepends=True)
        for text in ("", "".join(lines[:-1]), "".join(lines[:50]), "".join(lines[1:])):
            with self.assertRaises(compare.OutputError):
                self.judge(text)

    def test_bad_tables(self) -> None:
        """A case that makes no sense ends the run, with the word."""
        for script, word in (("frob x", "frob"), ("open @a", "open"), ("open @a x RDOMLY", "RDOMLY")):
            with self.assertRaises(subprocess.CalledProcessError) as caught:
                run({"bad/case": script})
            self.assertIn(word, caught.exception.stderr)


class Tables(unittest.TestCase):
    """cases.py"""

    def load(self, text: str) -> dict[str, str]:
        """A table of this text."""
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "t.cases").write_text(text)
            return cases.load(directory=Path(directory))

    def test_expanded(self) -> None:
        """Every combination, with its values in the name."""
        self.assertEqual(
            self.load("a-{x=1,2}-{y=p|q}: op {x} {y}\n"),
            {"t/a-1-p+q": "op 1 p|q", "t/a-2-p+q": "op 2 p|q"},
        )

    def test_refused(self) -> None:
        """A name that is there twice, and what is no case."""
        for text in ("a: op\na: op\n", "a op\n", "a b: op\n", "# nothing\n"):
            with self.assertRaises(cases.CaseError):
                self.load(text)

    def test_expected_rows_name_cases(self) -> None:
        """No row of expected.txt is about a case that there is not."""
        names = cases.load()
        for row in compare.load_expected():
            matches = [n for n in names if any(row.matches(c, n) for c in ("default", "", *row.configs))]
            self.assertTrue(matches, f"expected.txt:{row.line}")


if __name__ == "__main__":
    unittest.main()
