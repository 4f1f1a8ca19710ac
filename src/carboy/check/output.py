"""What was found, for people, for programs, and for code-scanning services."""

from __future__ import annotations

import json
import textwrap
import typing as t
from collections.abc import Mapping, Sequence

if t.TYPE_CHECKING:
    from .rules import Finding, Rule

_WIDTH = 92


def as_text(findings: Sequence[Finding]) -> str:
    """One paragraph a finding: id, what was seen, where, why it matters and the remedy."""
    parts = [_paragraph(finding) for finding in findings]
    parts.append(_summary(findings))
    return "\n\n".join(parts)


def _paragraph(finding: Finding) -> str:
    rule = finding.rule
    return "\n".join(
        (
            f"{rule.level}: {rule.id}: {finding.subject}: {finding.seen}",
            f"  where:  {finding.place}",
            _filled("  why:    ", rule.why),
            _filled("  remedy: ", rule.remedy),
        )
    )


def _filled(label: str, text: str) -> str:
    indent = " " * len(label)
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=label,
        subsequent_indent=indent,
        break_on_hyphens=False,  # the ids of rules have some
    )


def _summary(findings: Sequence[Finding]) -> str:
    if not findings:
        return "Nothing found."
    levels = [finding.rule.level for finding in findings]
    counted = [(levels.count(level), level) for level in ("error", "warning", "note")]
    counts = [f"{count} {level}{'s' * (count != 1)}" for count, level in counted if count]
    return f"{len(findings)} found: {', '.join(counts)}. `carboy explain ID` tells more of one."


def as_json(findings: Sequence[Finding]) -> str:
    """A list of objects with the keys id, level, title, setting, seen, file, line, why, remedy."""
    rows = [
        {
            "id": finding.rule.id,
            "level": finding.rule.level,
            "title": finding.rule.title,
            "setting": finding.subject,
            "seen": finding.seen,
            "file": finding.place.file,
            "line": finding.place.line if finding.place.file else None,
            "why": finding.rule.why,
            "remedy": finding.rule.remedy,
        }
        for finding in findings
    ]
    return json.dumps(rows, indent=2)


def as_sarif(
    findings: Sequence[Finding], rules: Mapping[str, Rule], version: str, file: str
) -> str:
    """A SARIF 2.1.0 log (OASIS), as code-scanning services take it.

    ``file`` stands in for findings that cannot be pointed at: those services want a file.
    """
    order = list(rules)
    driver = {
        "name": "carboy check",
        "version": version,
        "rules": [
            {
                "id": rule.id,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.why},
                "help": {"text": rule.remedy},
                "defaultConfiguration": {"level": rule.level},
                "properties": {"tags": ["security", rule.family]},
            }
            for rule in rules.values()
        ],
    }
    results = [
        {
            "ruleId": finding.rule.id,
            "ruleIndex": order.index(finding.rule.id),
            "level": finding.rule.level,
            "message": {"text": f"{finding.subject}: {finding.seen}. {finding.rule.remedy}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.place.file or file},
                        "region": {"startLine": finding.place.line},
                    }
                }
            ],
            "partialFingerprints": {"carboy/v1": f"{finding.rule.id}:{finding.subject}"},
        }
        for finding in findings
    ]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=2)


def explained(rule: Rule) -> str:
    """All that is known about a rule, for ``carboy explain``."""
    scope = "with --deploy" if rule.deploy else "always"
    head = f"{rule.id} ({rule.level}, family {rule.family}, checked {scope})"
    why, remedy = _filled("Why:    ", rule.why), _filled("Remedy: ", rule.remedy)
    return f"{head}\n{rule.title}.\n\n{why}\n\n{remedy}"
