# SPDX-License-Identifier: BSD-3-Clause
"""Two runs of the same cases, line by line, held against the differences that are expected."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent / "expected.txt"
SKIPPED = ["skipped"]


class OutputError(Exception):
    """A run did not come to its end, or ran something else."""


def parse(text: str) -> dict[str, list[str]]:
    """What each case's operations answered."""
    results: dict[str, list[str]] = {}
    lines = text.splitlines()
    if not lines or not lines[-1].startswith("end "):
        last = lines[-1].split("|")[0] if lines else "the start"
        raise OutputError(f"the run ended at {last}")
    for line in lines[:-1]:
        name, *answers = line.split("|")
        if name in results:
            raise OutputError(f"{name} ran twice")
        results[name] = answers
    if len(results) != int(lines[-1].split()[1]):
        raise OutputError(f"{len(results)} lines, '{lines[-1]}'")
    return results


@dataclass
class Difference:
    """One case that answers differently."""

    name: str
    script: str
    host: list[str]
    guest: list[str]

    def key(self) -> str:
        """The answers that differ, as guest/host; what expected.txt names."""
        pairs = zip(self.guest, self.host)
        return " ".join(f"{g}/{h}".replace(" ", "_") for g, h in pairs if g != h)

    def describe(self) -> str:
        """For who has to find out why."""
        operations = [op.strip() for op in self.script.split(";")]
        lines = [f"{self.name}   [{self.key()}]"]
        for op, host, guest in zip(operations, self.host, self.guest):
            mark = "" if host == guest else f"   <-- the guest says {guest}"
            lines.append(f"    {op} = {host}{mark}")
        return "\n".join(lines)


def differences(
    cases: dict[str, str], host: dict[str, list[str]], guest: dict[str, list[str]]
) -> list[Difference]:
    """Every case has to have an answer on both sides."""
    found = []
    for name, script in cases.items():
        if name not in host or name not in guest:
            raise OutputError(f"{name} has no answer {'on the host' if name not in host else ''}")
        if host[name] != guest[name]:
            found.append(Difference(name, script, host[name], guest[name]))
    return found


@dataclass
class Expected:
    """One row of expected.txt."""

    line: int
    configs: list[str]
    all_but: bool
    case: str
    key: str
    reason: str
    sometimes: bool  # the row need not occur: it depends on what the reason says

    def matches(self, config: str, name: str) -> bool:
        """Is the row about this case?"""
        here = any(fnmatch.fnmatchcase(config, pattern) for pattern in self.configs)
        return here != self.all_but and fnmatch.fnmatchcase(name, self.case)


def load_expected(path: Path = EXPECTED) -> list[Expected]:
    """Rows "CONFIGS CASE ANSWERS: reason"; a row's "?" in front says that it need not occur."""
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        left, colon, reason = line.partition(" :: ")
        words = left.split()
        if not colon or len(words) < 3 or not reason.strip():
            raise OutputError(f"{path.name}:{number}: not 'CONFIGS CASE ANSWERS :: reason'")
        where = words[0].lstrip("?")
        rows.append(
            Expected(
                line=number,
                configs=where.lstrip("!").split(","),
                all_but=where.startswith("!"),
                case=words[1],
                key=" ".join(words[2:]),
                reason=reason.strip(),
                sometimes=words[0].startswith("?"),
            )
        )
    return rows


@dataclass
class Verdict:
    """What is left when the expected is taken away."""

    unexpected: list[Difference] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)  # expected, and did not occur
    expected: dict[str, list[str]] = field(default_factory=dict)  # reasons, with their cases
    same: int = 0
    skipped: int = 0

    def passed(self) -> bool:
        """Is everything as it is said to be?"""
        return not self.unexpected and not self.gone


def judge(
    config: str,
    cases: dict[str, str],
    host: dict[str, list[str]],
    guest: dict[str, list[str]],
    expected: list[Expected],
) -> Verdict:
    """Each row has to hold for every case it names that ran."""
    verdict = Verdict()
    differing = {d.name: d for d in differences(cases, host, guest)}
    for name in cases:
        rows = [row for row in expected if row.matches(config, name)]
        difference = differing.get(name)
        if host[name] == SKIPPED:
            verdict.skipped += 1
        elif difference is None:
            verdict.same += 1
            verdict.gone += [
                f"expected.txt:{row.line}: {name} is the same now"
                for row in rows
                if not row.sometimes
            ]
        else:
            row = next((r for r in rows if fnmatch.fnmatchcase(difference.key(), r.key)), None)
            if row is None:
                verdict.unexpected.append(difference)
            else:
                verdict.expected.setdefault(row.reason, []).append(name)
    return verdict
