#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The symbol map, the functions that the public headers declare, and what the library exports: equal.

usage: symbols.py MAP HEADERS-DIRECTORY LIBRARY
"""
import pathlib
import re
import subprocess
import sys


def declared(header):
    """Functions of the header; not macros, types, inline functions or members."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
    text = text.replace("\\\n", " ")
    text = re.sub(r"^#ifdef __cplusplus\n.*?^#endif\n", "", text, flags=re.M | re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", ";", text)
    for statement in text.split(";"):
        if not re.match(r"\s*(typedef|static)\b", statement):
            yield from re.findall(r"^[\w\s*]*?\b(gw_\w+)\s*\(", statement)


def differ(what, left, right):
    for name in sorted(left ^ right):
        print(f"{name}: {what[0] if name in left else what[1]}")
    return left != right


map_file, headers, library = map(pathlib.Path, sys.argv[1:])
mapped = set(re.findall(r"^\s+(\w+);$", map_file.read_text(encoding="utf-8"), re.M))
functions = {name for h in headers.glob("*.h") for name in declared(h)}
symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                         check=True).stdout
exported = set(re.findall(r" [TDBR] (\w+)@@GODWIT", symbols))
wrong = differ(("only in the map", "declared, and not in the map"), mapped, functions)
wrong |= differ(("mapped, and not in the library", "exported, and not in the map"), mapped, exported)
sys.exit(wrong or not mapped)
