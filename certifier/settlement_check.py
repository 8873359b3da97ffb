"""The second opinion on settlement: what the ledger certifies of a seller's hour, and what its trades get.

Where our own computation and the chain's differ there is an alarm (domain.md §6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from certifier import market_tables as tables
from certifier.alarms import raise_alarm
from certifier.assessment import Position
from certifier.metered import MeteredDays
from certifier.sold import HourTrades
from contracts import market_events
from contracts.hour import day_of_hour, format_hour_utc
from contracts.settlement import BuyerHour, SettledTrade, TradesInvalid, settle


class SettlementCheck:
    """Judges settlements within one transaction of the projection."""

    def __init__(self, connection: Connection, metered: MeteredDays, bond_rate: int) -> None:
        """`bond_rate` in micro-euro per kWh."""
        self._connection = connection
        self._metered = metered
        self._bond_rate = bond_rate
        self._position: Position = (0, 0)

    def at(self, position: Position) -> None:
        """The log that is being applied."""
        self._position = position

    def proven(self, event: market_events.SettlementProven) -> int:
        """The shares of a seller's hour stand: what we certify of it, Wh."""
        own_wh = self.certified_wh(event.seller_district_id, event.hour)
        if own_wh != event.certified_wh:
            self._alarm(event, "certified", event.certified_wh, own_wh, "certified net export")
        return own_wh

    def certified_wh(self, district_id: str, hour: int) -> int:
        """Net export of a complete hour less what is declared for external certificates, Wh."""
        metered = self._metered.hour(district_id, hour, self._position)
        return metered.available_wh(self._external_wh(district_id, hour))

    def _external_wh(self, district_id: str, hour: int) -> int:
        table = tables.claims
        found = self._connection.execute(
            select(table.c.energy_wh)
            .where(table.c.kind == "external", table.c.district_id == district_id, table.c.hour == hour)
            .order_by(table.c.block_number.desc(), table.c.log_index.desc())
            .limit(1)
        ).scalar()
        return int(found or 0)

    def settled(self, event: market_events.HourSettled) -> None:
        """A round is over: do its trades get what we compute?"""
        connection, table = self._connection, tables.settled_trades
        proven = tables.proven_hours
        certified_wh = connection.execute(
            select(proven.c.certified_wh).where(
                proven.c.seller_district_id == event.seller_district_id,
                proven.c.hour == event.hour,
                proven.c.round == event.round,
            )
        ).scalar()
        stated: dict[str, dict[int, Row[Any]]] = {}
        for row in connection.execute(
            select(table).where(
                table.c.seller_district_id == event.seller_district_id, table.c.hour == event.hour
            )
        ):
            stated.setdefault(row.trade_id, {})[row.round] = row
        try:
            own = self._own(event, int(certified_wh or 0))
        except TradesInvalid as problem:
            self._alarm(event, "trades", "settled", str(problem), "list of trades")
            return
        for trade in own:
            trade_id = "0x" + trade.trade.trade_id.hex()
            chain, computed = _figures(event.round, stated.pop(trade_id, {}), trade)
            if chain != computed:
                self._alarm(event, trade_id, chain, computed, f"settlement of trade {trade_id[:10]}")
        for trade_id in stated:
            self._alarm(event, trade_id, "settled", "no such trade", f"settlement of trade {trade_id[:10]}")

    def _own(self, event: market_events.HourSettled, certified_wh: int) -> Sequence[SettledTrade]:
        trades_ = HourTrades(self._connection, event.hour)
        sold = trades_.of_seller(event.seller_district_id)
        buyers = {
            district_id: BuyerHour(
                self._metered.hour(district_id, event.hour, self._position).import_wh,
                trades_.bought_with_attributes_wh(district_id),
            )
            for district_id in {trade.buyer_district_id for trade in sold if trade.with_attributes}
        }
        return settle(sold, certified_wh, self._imbalance_price(event.hour), self._bond_rate, buyers).trades

    def _imbalance_price(self, hour: int) -> int:
        table = tables.imbalance_prices
        price = self._connection.execute(
            select(table.c.price_micro_eur_per_kwh).where(table.c.hour == hour)
        ).scalar()
        return self._bond_rate if price is None else int(price)

    def _alarm(
        self,
        event: market_events.SettlementProven | market_events.HourSettled,
        name: str,
        chain: object,
        own: object,
        what: str,
    ) -> None:
        of_hour = f"{event.seller_district_id}, {format_hour_utc(event.hour)}"
        raise_alarm(
            self._connection,
            "settlement",
            f"{event.seller_district_id}/{format_hour_utc(event.hour)}/{event.round}/{name}",
            block_number=self._position[0],
            chain_figure=chain,
            own_figure=own,
            explanation=f"the {what} of {of_hour} is not what the logs give",
            district_id=event.seller_district_id,
            day=day_of_hour(event.hour),
        )


def _figures(round_: int, rows: dict[int, Row[Any]], own: SettledTrade) -> tuple[object, object]:
    """A trade as the chain settled it in a round and as we do, in the same terms."""
    computed: tuple[int, ...] = (own.delivered_wh, own.attributes_wh)
    row = rows.get(max(rows, default=0))
    if row is None:
        return "no settlement", computed
    chain: tuple[int, ...] = (row.delivered_wh, row.attributes_wh)
    if round_ == 1:
        return (
            (*chain, row.paid_micro_eur, row.refunded_micro_eur, row.compensation_micro_eur),
            (*computed, own.paid_micro_eur, own.refunded_micro_eur, own.compensation_micro_eur),
        )
    to_seller = sum(
        found.paid_micro_eur - found.compensation_micro_eur + found.to_seller_micro_eur
        for found in rows.values()
    )
    return (*chain, to_seller), (*computed, own.to_seller_micro_eur)
