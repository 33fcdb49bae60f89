"""The comment under a pull request: what would happen to one stack, the dangerous first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tools.plan.events import Change, Plan
from tools.plan.failure import explain

# GitHub takes 65,536 characters; what is longer is cut here, where it can say so.
MAX_CHARACTERS = 60_000
_MAX_ROWS = 60
_MAX_VALUES = 8
_SAFE = re.compile(r"[A-Za-z0-9 /,=-]")


def marker(stack: str) -> str:
    """The first line of a stack's comment, by which it is found again."""
    return f"<!-- indextts2-plan:{stack} -->"


def render(plan: Plan, commit: str, price: str) -> str:
    """The comment's Markdown. `price` is Markdown of its own, "" for none."""
    parts = [
        f"{marker(plan.stack)}\n### {code(plan.stack)}: {_headline(plan)}",
        _failure(plan),
        _violations(plan),
        _dangerous(plan.of("replace", "delete")),
        _changed(plan.of("update")),
        _made(plan.of("create", "import")),
        price,
        _warnings(plan.warnings),
        _foot(plan, commit),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    if len(text) <= MAX_CHARACTERS:
        return text
    cut = text[:MAX_CHARACTERS].rpartition("\n")[0]
    unclosed = cut.count("<details>") - cut.count("</details>")
    return (
        f"{cut}\n\n{'</details>' * unclosed}\n\n**Cut here: too long for a comment.** `make plan STACK=...` has all.\n"
    )


def code(text: str) -> str:
    """`text`, whatever it holds, as code: no markup, link, mention or comment can come of it."""
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    shown = (char if char.isprintable() else " " for char in text)
    return "".join(char if _SAFE.match(char) or ord(char) > 127 else f"&#{ord(char)};" for char in shown)


def _headline(plan: Plan) -> str:
    if plan.failed and not plan.changes:
        return "**the preview failed**"
    counts = [
        (len(plan.of("replace")), "replaced"),
        (len(plan.of("delete")), "deleted"),
        (len(plan.of("update")), "changed in place"),
        (len(plan.of("create", "import")), "new"),
    ]
    said = ", ".join(f"**{count} {word}**" if word in ("replaced", "deleted") else f"{count} {word}"
                     for count, word in counts if count)  # fmt: skip
    return f"{said or 'nothing changes'} ({plan.unchanged} unchanged){' - **and it fails**' if plan.failed else ''}"


def _failure(plan: Plan) -> str:
    if not plan.errors and plan.complete:
        return ""
    text = "\n".join(plan.errors) or "The preview ended before the engine summed it up."
    what, remedy = explain(text)
    lines = "<br>".join(_escaped(line) for line in text.splitlines()[-20:])
    return f"> [!CAUTION]\n> **{what}** {remedy}\n>\n> <code>{lines[:6000]}</code>"


def _violations(plan: Plan) -> str:
    if not plan.violations:
        return ""
    rows = [
        f"> - {code(one.rule)}{'' if one.mandatory else ' (advice)'}: {code(one.text)}"
        for one in plan.violations[:_MAX_ROWS]
    ]
    head = "Rules are broken; this cannot be deployed" if plan.failed else "Advice"
    return "\n".join([f"> [!CAUTION]\n> **{head}**", *rows, *_more("> - ", len(plan.violations))])


def _dangerous(changes: Sequence[Change]) -> str:
    """Deletions before replacements: what is deleted does not come back."""
    if not changes:
        return ""
    ordered = sorted(changes, key=lambda change: (change.operation != "delete", change.type, change.name))
    rows = [
        f"| **{one.operation}d** | {code(_short(one.type))} | {code(one.name)} | "
        f"{', '.join(code(name) for name in one.because[:_MAX_VALUES]) or '-'} |"
        for one in ordered[:_MAX_ROWS]
    ]
    table = ["| | what | name | because of |", "| --- | --- | --- | --- |", *rows]
    return "\n".join(["#### Replaced or deleted", "", *table, *_more("\n", len(ordered))])


def _changed(changes: Sequence[Change]) -> str:
    rows = []
    for one in changes[:_MAX_ROWS]:
        values = [f"{code(value.path)}: {code(value.before)} → {code(value.after)}" for value in one.values]
        if len(values) > _MAX_VALUES:
            values = [*values[:_MAX_VALUES], f"and {len(values) - _MAX_VALUES} more"]
        rows.append(f"| {code(_short(one.type))} | {code(one.name)} | {'<br>'.join(values) or '-'} |")
    table = ["| what | name | values |", "| --- | --- | --- |", *rows, *_more("\n", len(changes))]
    return _folded(f"Changed in place ({len(changes)})", table) if changes else ""


def _made(changes: Sequence[Change]) -> str:
    rows = [f"| {code(_short(one.type))} | {code(one.name)} |" for one in changes[: 2 * _MAX_ROWS]]
    table = ["| what | name |", "| --- | --- |", *rows, *_more("\n", len(changes), 2 * _MAX_ROWS)]
    return _folded(f"New ({len(changes)})", table) if changes else ""


def _warnings(texts: Sequence[str]) -> str:
    return _folded(f"Warnings ({len(texts)})", [f"- {code(text)}" for text in texts[:_MAX_ROWS]]) if texts else ""


def _foot(plan: Plan, commit: str) -> str:
    policy = "the policy pack was asked" if plan.checked else "**no policy pack looked at this**"
    return f"<sub>Of commit {code(commit[:12] or '?')}; {policy}. Nothing was changed.</sub>"


def _folded(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"<details><summary>{title}</summary>", "", *lines, "", "</details>"])


def _more(prefix: str, count: int, shown: int = _MAX_ROWS) -> list[str]:
    return [f"{prefix}and {count - shown} more"] if count > shown else []


def _short(kind: str) -> str:
    """`aws:ec2/launchTemplate:LaunchTemplate` as `aws:ec2:LaunchTemplate`."""
    package, _, rest = kind.partition(":")
    module, _, name = rest.rpartition(":")
    return f"{package}:{module.partition('/')[0]}:{name}" if module else kind
