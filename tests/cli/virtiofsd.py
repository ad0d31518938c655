#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/virtiofsd.md speaks of each option that there is, and of none as being there that is not.

usage: virtiofsd.py PAGE GODWIT-FS
"""
import re
import subprocess
import sys

page, program = sys.argv[1:]
shown = set(re.findall(r"^  (--[a-z0-9-]+)", subprocess.run(
    [program, "--help-all"], capture_output=True, text=True, check=True).stdout, re.M))
# Deprecated ones are not shown; each is tried (a word that is none follows those that take one).
hidden = {"--socket": ("--socket=",), "-o": ("-o", "nonsense"), "-d": ("-d", "-d"),
          "-f": ("-f", "-f")}
with open(page, encoding="utf-8") as file:
    rows = re.findall(r"^\| `(--?[a-z0-9-]+)` \| (?:(\w+) \|)?", file.read(), re.M)
wrong = []

for option, verdict in rows:
    if verdict not in ("", "same", "differs", "missing"):
        wrong.append(f"{option}: '{verdict}' says neither same, differs nor missing")
    elif option in hidden:
        ran = subprocess.run([program, *hidden[option]], capture_output=True, text=True,
                             check=False)
        if "unknown option --" in ran.stderr or "not expected" in ran.stderr:
            wrong.append(f"{option}: the page knows it, the program does not")
    elif (verdict == "missing") == (option in shown):
        wrong.append(f"{option}: the page says {verdict or 'own'}, the program says otherwise")
names = [option for option, _ in rows]
wrong += [f"{option}: not on the page" for option in sorted(shown - set(names))]
wrong += [f"{option}: twice on the page" for option in set(names) if names.count(option) > 1]
print("\n".join(wrong))
sys.exit(bool(wrong) or len(rows) < 40)
