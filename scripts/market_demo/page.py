"""The last page of the market's month: energy and money reconciled, for people and without network."""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from contracts.hour import format_hour_utc
from scripts.market_demo.reconciliation import UNIT_MONEY, Answer, Line, Reconciliation
from scripts.page import page_head


def reconciliation_page(found: Reconciliation, title: str) -> str:
    """The page as HTML."""
    verdict = (
        "Every figure of the contracts equals the one computed from the meters' series."
        if found.is_exact
        else "THE STATEMENTS DIFFER. See the lines whose difference is not 0."
    )
    parts = [
        page_head(title),
        f"<h1>{escape(title)}</h1>",
        f"<p>{found.trades} trades in {found.seller_hours} hours. {verdict}</p>",
    ]
    for subject, lines in groupby(found.lines, key=lambda line: line.subject):
        parts += [f"<h2>{escape(subject)}</h2>", _table(_LINE_HEADS, map(_line, lines))]
    parts += [
        "<h2>Answers to the grid operator, kWh per hour</h2>",
        _table(_ANSWER_HEADS, map(_answer, found.answers)),
    ]
    return "\n".join((*parts, "</body></html>\n"))


_LINE_HEADS = ("", "by the contracts", "from the series", "difference")
_ANSWER_HEADS = ("district and hour", "event", "baseline", "measured", "response")


def _line(line: Line) -> tuple[str, ...]:
    values = (shown(value, line.unit) for value in (line.on_chain, line.stated, line.difference))
    return line.what.replace("  ", "\u2003"), *values


def _answer(answer: Answer) -> tuple[str, ...]:
    figures = (answer.baseline_wh, answer.measured_wh, answer.response_wh)
    return (
        f"{answer.district_id}, {format_hour_utc(answer.hour)}",
        f"{answer.event_id}: {answer.planned}",
        *(_thousandths(value, 3) for value in figures),
    )


def shown(value: int, unit: str) -> str:
    """Wh as kWh, micro-euro as EUR, exactly."""
    return f"{_thousandths(value, 6)} EUR" if unit == UNIT_MONEY else f"{_thousandths(value, 3)} kWh"


def _thousandths(value: int, places: int) -> str:
    whole, part = divmod(abs(value), 10**places)
    return f"{'-' if value < 0 else ''}{whole:,}.{part:0{places}d}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    body = body.replace("<tr><td>", '<tr><td class="words">')
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
