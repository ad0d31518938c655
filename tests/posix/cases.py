# SPDX-License-Identifier: BSD-3-Clause
"""The tables of cases, expanded: cases/SUBJECT.cases to lines "SUBJECT/name: operations"."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent / "cases"
_DEFINITION = re.compile(r"\{(\w+)=([^}]*)\}")


class CaseError(Exception):
    """A table does not read as one."""


def _expand(name: str, script: str) -> Iterator[tuple[str, str]]:
    """A row for each combination of the values that the name lists: x-{t=file,dir}: make {t} x."""
    variables = _DEFINITION.findall(name)
    keys = [key for key, _ in variables]
    for values in itertools.product(*(text.split(",") for _, text in variables)):
        chosen = dict(zip(keys, values))
        # In a name "|" would end it.
        one = _DEFINITION.sub(lambda match: chosen[match[1]].replace("|", "+"), name)
        text = script
        for key, value in chosen.items():
            text = text.replace(f"{{{key}}}", value)
        yield one, text


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(table.read_text().splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        name, colon, script = line.partition(": ")
        if not colon or not script.strip() or " " in name:
            raise CaseError(f"{table.name}:{number}: not 'name: operation; ...'")
        yield from _expand(name, script.strip())


def load(wanted: str = "*", directory: Path = DIRECTORY) -> dict[str, str]:
    """All cases whose name matches one of the patterns in @wanted, in order."""
    patterns = wanted.split()
    cases: dict[str, str] = {}
    for table in sorted(directory.glob("*.cases")):
        for name, script in _rows(table):
            full = f"{table.stem}/{name}"
            if full in cases:
                raise CaseError(f"{table.name}: '{name}' is there twice")
            if any(fnmatch.fnmatchcase(full, pattern) for pattern in patterns):
                cases[full] = script
    if not cases:
        raise CaseError(f"no case is named '{wanted}'")
    return cases


def as_lines(cases: dict[str, str]) -> str:
    """As posix-cases reads them."""
    return "".join(f"{name}: {script}\n" for name, script in cases.items())
