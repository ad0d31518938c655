#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The table of docs/compatibility.md is complete: O1 to O10 and R22 to R33, each with a test that is
there and called after it; and the page names every reason."""
import pathlib
import re

from common import GODWIT, ROOT, Case, main, run

PAGE = pathlib.Path(ROOT, "docs/compatibility.md")
WANTED = [f"O{i}" for i in range(1, 11)] + [f"R{i}" for i in range(22, 34)]


class Table(Case):
    def rows(self):
        return re.findall(r"^\| ([OR]\d+) \|.*?\| `([\w/.-]+)`: `(\w+)`.*\|$",
                          PAGE.read_text("utf-8"), re.M)

    def test_complete(self):
        self.assertEqual([row[0] for row in self.rows()], WANTED)

    def test_each_test_is_there(self):
        for name, path, function in self.rows():
            with self.subTest(row=name):
                self.assertTrue(function.startswith(f"test_{name.lower()}_"), function)
                text = pathlib.Path(ROOT, path).read_text("utf-8")
                self.assertIn(f"    def {function}(self):", text)
        build = pathlib.Path(ROOT, "tests/compat/meson.build").read_text("utf-8")
        for path in {row[1] for row in self.rows()}:
            self.assertIn(f"'{pathlib.Path(path).stem}'", build)

    def test_files_that_are_named(self):
        for path in re.findall(r"`(tests/[\w/.-]+)`", PAGE.read_text("utf-8")):
            self.assertTrue(pathlib.Path(ROOT, path).exists(), path)

    def test_what_is_to_be_tried(self):
        """Each command that the page shows says what the page says."""
        block = re.search(r"```\n(\$ godwit .*?)```", PAGE.read_text("utf-8"), re.S).group(1)
        said = ""
        for command in re.findall(r"^\$ godwit (.*)$", block, re.M):
            ran = run(GODWIT, *command.split(), cwd=pathlib.Path(ROOT, "docs/models/my-nic"))
            said += f"$ godwit {command}\n{ran.stdout}{ran.stderr}"
        self.assertEqual(said, block)
        self.assertGreaterEqual(block.count("$"), 4)

    def test_documents(self):
        """The two that the page shows are such documents, and one goes to the other."""
        shown = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.S)
        self.goes(*(self.write(text, f"shown-{i}") for i, text in enumerate(shown)))

    def test_reasons(self):
        names = pathlib.Path(ROOT, "src/model/names.c").read_text("utf-8")
        reasons = set(re.findall(r'= "([\w-]+)"', names)) - {"accepted", "cannot-tell"}
        told = set(re.findall(r"^\| `([\w-]+)` \|", PAGE.read_text("utf-8"), re.M))
        self.assertLessEqual(reasons, told)
        manual = pathlib.Path(ROOT, "man/godwit-check.1.scd").read_text("utf-8")
        self.assertLessEqual(reasons, set(re.findall(r"^\*([\w-]+)\*$", manual, re.M)))

    def test_examples_of_the_page(self):
        """They are documents."""
        for i, text in enumerate(re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.S)):
            ran = run(GODWIT, "info", self.write(text, f"example{i}"))
            self.assertEqual(ran.returncode, 0, ran.stderr)


main()
