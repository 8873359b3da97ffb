"""`ped advise trade`: orders that keep or regain PED status, unsigned, with the reasons."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from contracts.hour import HOUR_S, TimeInvalid, day_of, day_of_hour, format_day, parse_day, parse_time_utc
from contracts.order import OrderInvalid
from optimiser.balances import BalancesInvalid, fetch_days, parse_balances
from optimiser.command_errors import errors_in_words
from optimiser.forecast import HistoryInvalid
from optimiser.strategy.foreseen import foresee
from optimiser.strategy.market_view import Position, Terms
from optimiser.strategy.reason import AdviceInvalid, parse_shortfall
from optimiser.strategy.source import fetch_market, fetch_recent, now_s, open_client, read_hours
from optimiser.strategy.standing import find_standing
from optimiser.strategy.trade import Prices, advise_trade, command_of

_EXPECTED = (AdviceInvalid, BalancesInvalid, HistoryInvalid, OrderInvalid, TimeInvalid, OSError)


def trade_command(
    district: Annotated[str, typer.Argument(help="District that trades.", metavar="DISTRICT")],
    hours: Annotated[
        Path | None,
        typer.Option(
            help="CSV, a row per hour of at least a year: time_utc, import_wh, export_wh, complete, "
            "average_factor, marginal_factor (mWh_PE per Wh), balance_mwh_pe, lower_mwh_pe, ghg_mg, "
            "ghg_upper_mg, as the certifier's hours have them.",
            metavar="HOURS.csv",
        ),
    ] = None,
    certifier: Annotated[
        str | None, typer.Option(help="URL of a certifier, instead of a file.", metavar="URL")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When the advice is for, ISO 8601 UTC; default: now.", metavar="TIME")
    ] = None,
    ahead: Annotated[
        int, typer.Option(help="Hours to trade, from the next open gate on.", min=1, max=168)
    ] = 24,
    confidence: Annotated[float, typer.Option(help="Probability with which status is to be kept.")] = 0.95,
    shortfall: Annotated[
        str, typer.Option(help="Accepted probability of too little export (or import) in an hour.")
    ] = "0.1",
    feed_in: Annotated[
        int, typer.Option(help="What a kWh earns that is not sold here, micro-euro per kWh.")
    ] = 0,
    supply: Annotated[
        int, typer.Option(help="What a kWh bought here saves at the supplier, micro-euro per kWh.")
    ] = 0,
    primary_energy_price: Annotated[
        int | None,
        typer.Option(help="What the cheapest other way to a kWh of primary energy costs, micro-euro."),
    ] = None,
    imbalance_price: Annotated[
        int | None,
        typer.Option(help="Expected imbalance price, micro-euro per kWh; without: the bond rate counts."),
    ] = None,
    horizon_days: Annotated[int, typer.Option(help="Days for which status is to be kept, up to 365.")] = 365,
    paths: Annotated[int, typer.Option(help="Paths of the outlook.")] = 2_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same outlook.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Offer only surplus that keeps PED status, bid where it would be lost. Signs and sends nothing."""
    with errors_in_words(*_EXPECTED):
        at_s = now_s() if at is None else parse_time_utc(at)
        prices = Prices(feed_in, supply, primary_energy_price, imbalance_price)
        terms, position = Terms(), Position()
        if hours is not None and certifier is None:
            known, text = read_hours(hours)
            days = parse_balances(text, str(hours)).days
            coming = _coming(at_s, ahead, terms)
        elif hours is None and certifier is not None:
            with open_client(certifier) as client:
                known, days = fetch_recent(client, district, at_s), fetch_days(client, district)
                after = date.fromordinal(days[-1].day.toordinal() + 1)
                end = _coming(at_s, ahead, terms)[-1] + ahead
                terms, position = fetch_market(client, district, after, end)
            coming = _coming(at_s, ahead, terms)
        else:
            raise AdviceInvalid("give --hours FILE or --certifier URL")
        known = known.before(at_s // HOUR_S)
        days = tuple(each for each in days if parse_day(each.day.isoformat()) < day_of(at_s))
        short = parse_shortfall(shortfall)
        standing = find_standing(
            days,
            date.fromisoformat(format_day(day_of_hour(coming[0]))),
            confidence=confidence,
            ghg=known.ghg_rates(),
            horizon_days=horizon_days,
            paths=paths,
            seed=seed,
        )
        forecast = foresee(known, coming[-1], (float(short), float(1 - short)))
        advice = advise_trade(
            district,
            known,
            coming,
            forecast,
            standing,
            shortfall=short,
            prices=prices,
            terms=terms,
            position=position,
        )
    if as_json:
        typer.echo(json.dumps(advice.to_json(terms)))
        return
    for reason in advice.reasons:
        typer.echo(f"- {reason}")
    typer.echo("Orders to sign and place:" if advice.orders else "No order.")
    for order in advice.orders:
        typer.echo(command_of(order))


def _coming(at_s: int, ahead: int, terms: Terms) -> range:
    """The hours whose gate has not closed at `at_s`."""
    first = (at_s + terms.gate_closure_s) // HOUR_S + 1
    return range(first, first + ahead)
