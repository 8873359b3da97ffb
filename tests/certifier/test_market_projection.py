"""The market's logs in the projection: what is shown, what a changed figure raises, undoing (§6)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from certifier import districts, escrow_queries, market_queries, queries, response_queries
from certifier.indicators import indicators
from certifier.lineage import reading
from certifier.market_views import StatementLine
from certifier.projection import Projection
from certifier.store import Store, content
from contracts import events, market_events, response_events
from contracts.account import Account
from tests.certifier.trading_story import (
    CHAIN_ID,
    DEPOSIT,
    DISTRICTS,
    EXPORT_FACTOR,
    IMPORT_FACTOR,
    LEDGER,
    NOON,
    RULES,
    TRADING_DAY,
    Change,
    Story,
    net_export_wh,
    responded,
    told,
)


def projected(folder: Path, story: Story, blocks: int | None = None) -> Store:
    opened = Store(f"sqlite:///{folder / 'projection.sqlite'}")
    Projection(opened, CHAIN_ID, LEDGER, RULES).apply(story.blocks[:blocks])
    return opened


@pytest.fixture(scope="module")
def story() -> Story:
    return told()


@pytest.fixture(scope="module")
def opened(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = projected(tmp_path_factory.mktemp("story"), story)
    yield store
    store.close()


def test_what_the_rules_give_raises_no_alarm(opened: Store) -> None:
    with opened.read() as connection:
        assert queries.alarms(connection) == []
        shown = market_queries.book(connection, NOON, False)
    assert (shown.state, shown.volume_wh, shown.price_micro_eur_per_kwh) == ("cleared", 31_000, 80_000)
    assert (shown.bids, shown.offers, shown.bid_wh, shown.offer_wh) == (4, 3, 40_500, 48_000)


def test_a_seller_that_is_short_delivers_what_the_ledger_certifies(opened: Store) -> None:
    with opened.read() as connection:
        west = market_queries.seller_hours(connection, "west", NOON - 1, NOON + 2)[-1]
        parts = [
            trade
            for _, trade in market_queries.settled_trades(connection, "west", NOON + 1, NOON + 2)
            if trade.seller_district_id == "west"
        ]
    assert west.sold_wh == 14_000
    assert west.certified_wh == west.delivered_wh == sum(trade.delivered_wh for trade in parts) < 14_000
    assert west.compensation_micro_eur == sum(trade.compensation_micro_eur for trade in parts) > 0


def test_statements_add_up_to_what_was_paid_in(opened: Store) -> None:
    with opened.read() as connection:
        accounts = escrow_queries.accounts(connection)
        assert sum(account.balance_micro_eur for account in accounts) == DEPOSIT * 5
        assert sum(account.held_trade_micro_eur for account in accounts) == 0
        for account in accounts:
            lines = escrow_queries.statement(connection, account.account)
            balance = 0
            for line in lines:
                balance += line.credit_micro_eur - line.debit_micro_eur
                assert line.balance_micro_eur == balance == line.free_micro_eur + line.held_micro_eur
            assert balance == account.balance_micro_eur


def test_a_page_of_a_statement_brings_the_balance_forward(opened: Store) -> None:
    with opened.read() as connection:
        whole = escrow_queries.statement(connection, "coop-north")
        joined: list[StatementLine] = []
        after: tuple[int, int] | None = None
        while True:
            opening, *part = escrow_queries.statement(connection, "coop-north", after=after, limit=5)
            expected = joined[-1].balance_micro_eur if joined else 0
            assert (opening.kind, opening.balance_micro_eur) == ("brought_forward", expected)
            if not part:
                break
            joined += part
            after = part[-1].block_number, part[-1].log_index
    assert joined == whole[1:]


def test_lines_say_what_they_were_for(opened: Store) -> None:
    with opened.read() as connection:
        lines = escrow_queries.statement(connection, "coop-west")
    kinds = {line.kind for line in lines}
    assert kinds == {"brought_forward", "deposit", "hold", "release", "receipt", "payment"}
    for line in lines:
        if line.kind == "payment":
            assert line.reference.startswith("trade 0x")
            assert "settled: west delivered" in line.text
        if line.kind == "hold":
            assert line.reference.split()[0] in ("order", "trade")


def test_attributes_change_the_balance_of_both_districts(opened: Store) -> None:
    with opened.read() as connection:
        north, east = (
            queries.hour_balances(
                connection, name, NOON, NOON + 1, districts.main_assessment_id(connection, name)
            )[0]
            for name in ("north", "east")
        )
        lineage = reading(connection, "east-grid", NOON)
    moved = 2_000
    assert (north.attributes_out_wh, east.attributes_in_wh) == (moved, moved)
    assert north.balance_mwh_pe == (net_export_wh("north", NOON) - moved) * EXPORT_FACTOR
    assert east.balance_mwh_pe == (net_export_wh("east", NOON) + moved) * IMPORT_FACTOR
    assert lineage.claims[0].attributes_in_wh == moved
    sellers = {trade.seller_district_id for trade in lineage.settled_trades if trade.with_attributes}
    assert sellers == {"north"}


def test_claims_of_an_hour(opened: Store) -> None:
    with opened.read() as connection:
        north = market_queries.hour_claims(connection, "north", NOON, NOON + 1)[0]
        east = market_queries.hour_claims(connection, "east", NOON, NOON + 1)[0]
    assert north.delivered_wh == 22_000
    assert north.attributes_out_wh == east.attributes_in_wh == 2_000


def price_one_higher(event: events.Event) -> events.Event:
    if isinstance(event, market_events.BookCleared) and event.outcome.volume_wh:
        outcome = replace(event.outcome, price_micro_eur_per_kwh=event.outcome.price_micro_eur_per_kwh + 1)
        return replace(event, outcome=outcome)
    return event


def a_wh_moved(event: events.Event) -> events.Event:
    if isinstance(event, market_events.OrderApplied) and event.fill_wh:
        return replace(event, fill_wh=event.fill_wh - 1)
    return event


def signed_by_another(event: events.Event) -> events.Event:
    if isinstance(event, market_events.TradingKeySet) and event.district_id == "south":
        return replace(event, allowed=False)
    return event


def certified_one_more(event: events.Event) -> events.Event:
    if isinstance(event, market_events.SettlementProven):
        return replace(event, certified_wh=event.certified_wh + 1)
    return event


def paid_one_more(event: events.Event) -> events.Event:
    if isinstance(event, market_events.TradeSettled):
        return replace(event, paid=event.paid + 1)
    return event


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (price_one_higher, "clearing"),
        (a_wh_moved, "fill"),
        (signed_by_another, "order_signature"),
        (certified_one_more, "settlement"),
        (paid_one_more, "settlement"),
    ],
)
def test_a_figure_that_the_logs_do_not_give_is_an_alarm(change: Change, kind: str, tmp_path: Path) -> None:
    store = projected(tmp_path, told(change))
    with store.read() as connection:
        raised = {alarm.kind for alarm in queries.alarms(connection)}
    assert kind in raised
    store.close()


def test_undoing_to_any_block_is_as_if_the_rest_had_never_been(story: Story, tmp_path: Path) -> None:
    store = projected(tmp_path, story)
    for place in (-2, -6, -9, -14, 2):
        Projection(store, CHAIN_ID, LEDGER, RULES).undo_after(story.blocks[place])
        folder = tmp_path / str(place)
        folder.mkdir()
        fresh = projected(folder, story, place + 1)
        with store.read() as one, fresh.read() as other:
            assert content(one) == content(other), place
        fresh.close()
    store.close()


def test_block_by_block_gives_the_same_as_at_once(opened: Store, story: Story, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'single.sqlite'}")
    single = Projection(store, CHAIN_ID, LEDGER, RULES)
    for block in story.blocks:
        single.apply([block])
    with store.read() as one, opened.read() as other:
        assert content(one) == content(other)
    store.close()


def test_accounts_are_those_of_the_owners(opened: Store) -> None:
    with opened.read() as connection:
        names = [account.account for account in escrow_queries.accounts(connection)]
    assert names == sorted([*DISTRICTS.values(), "grid-co"])


def test_a_follow_up_moves_money_owes_the_rest_and_sets_debts_off(story: Story, tmp_path: Path) -> None:
    west, south = Account("coop-west"), Account("coop-south")
    trade = bytes.fromhex("07" * 32)

    def followed_up(round_: int, to_seller: int) -> market_events.TradeFollowedUp:
        return market_events.TradeFollowedUp(trade, "west", "south", NOON, round_, 5, 0, to_seller)

    longer = Story(blocks=list(story.blocks))
    time_s = story.blocks[-1].time_s
    longer.tell(time_s + 60, [followed_up(2, -500), market_events.Owed(west, south, 100)])
    longer.tell(time_s + 120, [followed_up(3, 40), market_events.DebtPaid(west, south, 30)])
    longer.tell(time_s + 180, [market_events.DebtPaid(west, south, 70)])
    store = projected(tmp_path, longer, len(story.blocks))
    projection = Projection(store, CHAIN_ID, LEDGER, RULES)

    def accounts() -> list[tuple[int, int]]:
        with store.read() as connection:
            found = [escrow_queries.account(connection, name) for name in (west, south)]
        return [(account.free_micro_eur, account.owed_micro_eur) for account in found]

    (free, owed), (other, _) = accounts()
    assert owed == 0
    projection.apply(longer.blocks[-3:-2])
    assert accounts() == [(free - 400, 100), (other + 400, 0)]
    projection.apply(longer.blocks[-2:-1])
    assert accounts() == [(free - 400 + 10, 70), (other + 400 - 10, 0)]
    projection.apply(longer.blocks[-1:])
    assert accounts() == [(free - 460, 0), (other + 460, 0)]
    with store.read() as connection:
        kinds = [line.kind for line in escrow_queries.statement(connection, west)[-5:]]
    assert kinds == ["follow_up_payment", "debt", "follow_up_receipt", "debt_set_off", "debt_payment"]
    store.close()


def test_progress_before_the_contract_measures_is_what_it_measures(tmp_path: Path) -> None:
    story = responded()
    measured = next(
        place
        for place, block in enumerate(story.blocks)
        if any(isinstance(logged.event, response_events.Measured) for logged in block.events)
    )
    store = projected(tmp_path, story, measured)
    with store.read() as connection:
        assert response_queries.response_event(connection, 1).state == "over"
        live = response_queries.progress(connection, 1)
    assert not any(hour.final for hour in live)
    Projection(store, CHAIN_ID, LEDGER, RULES).apply(story.blocks[measured:])
    with store.read() as connection:
        assert queries.alarms(connection) == []
        final = response_queries.progress(connection, 1)
        assert [hour.model_copy(update={"final": True}) for hour in live] == final
        assert response_queries.response_event(connection, 1).state == "settled"
        lines = {line.district_id: line for line in response_queries.statement(connection, 1)}
        operator = escrow_queries.account(connection, "grid-co")
        assessment_id = districts.main_assessment_id(connection, "east")
        assert assessment_id is not None
        found, before = (
            next(
                entry
                for entry in indicators(connection, assessment_id, day, day + 1)
                if entry.id == "flexibility_response"
            )
            for day in (TRADING_DAY, TRADING_DAY - 1)
        )
    assert (found.numerator, found.denominator) == (4.438, 9.0)
    assert before.value is None
    assert lines["south"].penalty_micro_eur == 0 < lines["east"].penalty_micro_eur
    paid = sum(line.net_micro_eur for line in lines.values())
    assert operator.balance_micro_eur == operator.free_micro_eur == DEPOSIT - paid
    store.close()


def response_one_more(event: events.Event) -> events.Event:
    if isinstance(event, response_events.Measured):
        return replace(event, response_wh=(event.response_wh[0] + 1, *event.response_wh[1:]))
    return event


def baseline_one_more(event: events.Event) -> events.Event:
    if isinstance(event, response_events.Measured):
        return replace(event, baseline_wh=tuple(value + 1 for value in event.baseline_wh))
    return event


def penalty_one_less(event: events.Event) -> events.Event:
    if isinstance(event, response_events.ResponsePaid) and event.penalty:
        return replace(event, penalty=event.penalty - 1)
    return event


@pytest.mark.parametrize("change", [response_one_more, baseline_one_more, penalty_one_less])
def test_a_response_that_the_logs_do_not_give_is_an_alarm(change: Change, tmp_path: Path) -> None:
    store = projected(tmp_path, responded(change))
    with store.read() as connection:
        assert {alarm.kind for alarm in queries.alarms(connection)} == {"response"}
    store.close()
