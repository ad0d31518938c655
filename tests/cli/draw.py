#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of a benchmark say what was measured. usage: draw.py BENCH-DRAW"""
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

DRAW = sys.argv.pop()
HEAD = "inodes cached, 1000 files open, {how}; median of 3 runs, ms\n"
NAMES = "              blackout      stop      save      load     start     first\n"
MEASURED = (
    "share on ext4\n10000 " + HEAD.format(how="warm") + NAMES +
    "godwit-fs         5.50      0.30      1.20      3.50      0.40      0.10\n"
    "virtiofsd        97.00      0.10      6.00     90.00      0.80      0.10\nratio: 1/18\n"
    "1000000 " + HEAD.format(how="warm") + NAMES +
    "godwit-fs        82.00      0.30     20.20     61.00      0.40      0.10\n"
    "10000 " + HEAD.format(how="warm, most of the state ahead") + NAMES +
    "godwit-fs         2.25      0.30      0.90      0.60      0.40      0.05\n"
    "10000 " + HEAD.format(how="warm, saved and loaded at once") + NAMES +
    "godwit-fs       666.00      0.30      1.20    664.00      0.40      0.10\n"
    "10000 " + HEAD.format(how="host's caches dropped") + NAMES +
    "godwit-fs       777.00      0.30      1.20    775.00      0.40      0.10\n")


class Draw(unittest.TestCase):
    def draw(self, text):
        with tempfile.TemporaryDirectory() as where:
            measured = pathlib.Path(where) / "measured"
            measured.write_text(text, encoding="utf-8")
            ran = subprocess.run([DRAW, measured, where], check=False, capture_output=True, text=True)
            pictures = {p.stem: ET.fromstring(p.read_text(encoding="utf-8"))
                        for p in pathlib.Path(where).glob("*.svg")}
            return ran, pictures

    def words(self, picture):
        return [e.text for e in picture.iter() if e.text and e.text.strip()]

    def test_each_point_is_there(self):
        ran, pictures = self.draw(MEASURED)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        words = self.words(pictures["blackout"])
        for word in ("5.5 ms", "97 ms", "82 ms", "2.25 ms", "godwit-fs", "virtiofsd", "with precopy",
                     "10k", "1M"):
            self.assertIn(word, words)
        # Nor is what is neither one after the other nor ahead.
        self.assertNotIn("666 ms", words)
        # What is measured with cold caches is another thing.
        self.assertNotIn("777 ms", words)

    def test_phases_of_both(self):
        _, pictures = self.draw(MEASURED)
        words = self.words(pictures["phases"])
        for word in ("stop", "save", "load", "start", "first", "save: 6 ms", "load: 3.5 ms", "97 ms"):
            self.assertIn(word, words)

    def test_nothing_measured(self):
        ran, pictures = self.draw("no such thing\n")
        self.assertEqual((ran.returncode, pictures), (1, {}))
        self.assertIn("no run", ran.stderr)


unittest.main()
