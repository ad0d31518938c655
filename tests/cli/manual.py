#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""All options of a program's help and those of its manual page are the same, names and arguments; its
short help fits a screen.

usage: manual.py PAGE.scd PROGRAM [SUBCOMMAND]
"""
import re
import subprocess
import sys


def ask(command, option):
    text = subprocess.run([*command, option], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        if len(line) > 80:
            sys.exit(f"{command[0]}: a line of {option} is longer than 80 columns: {line}")
    return text


def of_help(command):
    text = ask(command, "--help")
    if text.count("\n") > 24:
        sys.exit(f"{command[0]}: --help does not fit a screen of 24 lines")
    if "--help-all" in text:
        text = ask(command, "--help-all")
    return re.findall(r"^  (--[a-z0-9-]+)(?:(?: |\[=)([A-Z][A-Z-]*))?", text, re.M)


def of_manual(page):
    with open(page, encoding="utf-8") as file:
        lines = [line for line in file if line.startswith("*--")]
    return re.findall(r"\*(--[a-z0-9-]+)\*(?:(?: |\[=)_([A-Z-]+)_)?", "".join(lines))


page, *program = sys.argv[1:]
shown, told = set(of_help(program)), set(of_manual(page))
for name, argument in sorted(shown ^ told):
    print(f"{name} {argument}: only in {'--help' if (name, argument) in shown else page}")
sys.exit(shown != told or not shown)
