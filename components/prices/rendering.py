"""A stack's price in words: as a stack output, as text for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from components.prices.stack import Price

NOT_IN_IT = "Without traffic, storage, requests and taxes."
_ROWS = (
    ("hour", "an hour, fewest nodes", "hour_least"),
    ("hourMost", "an hour, most nodes", "hour_most"),
    ("month", "a month with the schedule, fewest nodes", "month_least"),
    ("monthMost", "a month with the schedule, most nodes", "month_most"),
    ("nodeHour", "a node's hour, on demand", "node_on_demand"),
    ("nodeHourSpot", "a node's hour, spot", "node_spot"),
    ("fixedHour", "an hour of what runs without nodes", "fixed_hour"),
    ("audioHour", "an hour of finished audio, on demand", "audio_on_demand"),
    ("audioHourSpot", "an hour of finished audio, spot", "audio_spot"),
)
UNKNOWN = "unknown"


def output(price: Price) -> dict[str, Any]:
    """The stack output `price`: amounts as text ("0.53 USD", "unknown"), what is unknown, and every figure's source."""
    shown: dict[str, Any] = {key: amount(getattr(price, name), price.currency) for key, _, name in _ROWS}
    return {
        "of": f"{price.instance_type} in {price.region}",
        **shown,
        "unknown": list(price.unknown),
        "sources": [f"{what}: {source} ({date})" for what, source, date in price.sources],
        "note": NOT_IN_IT,
    }


def amount(value: float | None, currency: str) -> str:
    """ "0.5260 USD", "12.80 USD"; "unknown" for None."""
    if value is None:
        return UNKNOWN
    return f"{value:.2f} {currency}" if value >= 10 or value == 0 else f"{value:.4f} {currency}"


def table(prices: Mapping[str, Price]) -> str:
    """Several prices side by side, by what they are called, for a terminal."""
    head = ["", *prices]
    rows = [[text, *(amount(getattr(one, name), one.currency) for one in prices.values())] for _, text, name in _ROWS]
    lines = _aligned([head, ["nodes", *(f"{one.instance_type} {one.region}" for one in prices.values())], *rows])
    for name, one in prices.items():
        lines += [f"{name}: unknown: {text}" for text in one.unknown]
    seen = {f"{what}: {source} ({date})": None for one in prices.values() for what, source, date in one.sources}
    return "\n".join([*lines, NOT_IN_IT, *(f"source of {text}" for text in seen)])


def comparison(before: Any, after: Any) -> str:
    """Markdown of two `price` outputs; "" when neither is there. Both are read as a stack gave them, and trusted in
    nothing."""
    old, new = (one if isinstance(one, dict) else {} for one in (before, after))
    if not old and not new:
        return ""
    lines = ["#### Price", "", "| | before | after |", "| --- | --- | --- |"]
    lines.append(f"| nodes | {_cell(old.get('of'))} | {_cell(new.get('of'))} |")
    for key, text, _ in _ROWS:
        was, now = _cell(old.get(key)), _cell(new.get(key))
        lines.append(f"| {text} | {was} | {now if was == now else f'**{now}**'} |")
    lines += ["", *(f"- Unknown: {_cell(text)}" for text in _texts(new.get("unknown")))]
    lines += [
        "",
        f"<sub>{NOT_IN_IT} Sources: {'; '.join(_cell(text) for text in _texts(new.get('sources'))) or 'none'}</sub>",
    ]
    return "\n".join(lines)


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value[:20]] if isinstance(value, list) else []


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = "".join(char if char.isprintable() else " " for char in str(value))[:400]
    return html.escape(text).replace("|", "&#124;").replace("`", "&#96;").replace("@", "&#64;").replace("[", "&#91;")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
