"""Clearing of a book (domain.md §6) against statements of the optimum that share nothing with it.

A clearing is the solution of a linear program: maximise what buyers are ready to pay less what sellers ask,
subject to as much being bought as sold. Small books go through a solver; books of any size are judged by the
program's dual in exact integers: whatever the price, `sum q max(0, b - p) + sum q max(0, p - s)` is at least
the welfare of any matching, so fills that reach it are optimal, and the prices that reach it are the
clearing prices.
"""

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_array
from typer.testing import CliRunner, Result

from contracts.clearing import BookInvalid, BookOrder, Clearing, Side, Step, clear, curves
from contracts.pro_rata import NO_SHARES, NOBODY, Cut, Shares, share_out
from scripts.command_line import build_application

DOMAIN_BIDS = ((3, 2), (9, 2), (1, 2), (9, 2), (7, 3), (10, 3))
DOMAIN_OFFERS = ((5, 1), (7, 2), (9, 2), (7, 1))
U32 = 2**32 - 1
Book = list[BookOrder]


def book(bids: Sequence[tuple[int, int]], offers: Sequence[tuple[int, int]]) -> Book:
    """A book of (price, Wh); its orders are b0, b1, ... and o0, o1, ..."""
    return [BookOrder(f"b{place}".encode(), Side.BID, *order) for place, order in enumerate(bids)] + [
        BookOrder(f"o{place}".encode(), Side.OFFER, *order) for place, order in enumerate(offers)
    ]


def named_fills(clearing: Clearing) -> dict[str, int]:
    return {name.decode(): fill_wh for name, fill_wh in clearing.fills.items() if fill_wh}


# ---------------------------------------------------------------- books


def _whole(random: Random, most: int) -> int:
    return random.randint(0, most)


def _extreme(random: Random, _most: int) -> int:
    return random.choice(
        (0, 1, 2, U32 - 1, U32, U32 + 1, 2**64, 10**30, random.randint(0, U32), random.randint(0, 2**70))
    )


def random_book(
    random: Random, price: Callable[[Random, int], int], most_price: int, most_wh: int, size: int
) -> Book:
    """Up to `size` orders; now and then one side only, one price for all, or a quantity of zero."""
    sides = random.choice((list(Side), list(Side), list(Side), [Side.BID], [Side.OFFER]))
    return [
        BookOrder(identifier, random.choice(sides), price(random, most_price), price(random, most_wh))
        for identifier in {random.randbytes(random.choice((1, 32))) for _ in range(random.randint(0, size))}
    ]


KINDS: tuple[tuple[Callable[[Random, int], int], int, int, int], ...] = (
    (_whole, 3, 4, 12),
    (_whole, 0, 5, 8),
    (_whole, 1, 1, 16),
    (_whole, 40, 20, 10),
    (_whole, 1_000_000, U32, 10),
    (_extreme, 0, 0, 8),
)
SMALL_KINDS = KINDS[:4]


def random_books(
    count: int, seed: int, kinds: Sequence[tuple[Callable[[Random, int], int], int, int, int]]
) -> list[Book]:
    random = Random(seed)
    return [random_book(random, *kinds[number % len(kinds)]) for number in range(count)]


# ---------------------------------------------------------------- the program's dual, exact


def dual_welfare(orders: Book, price: int, times: int = 1, more_for_bids: int = 0) -> int:
    """What no matching exceeds, seen from a price, every limit multiplied and every bid raised."""
    total = 0
    for order in orders:
        limit = times * order.price_micro_eur_per_kwh
        gain = limit + more_for_bids - price if order.side is Side.BID else price - limit
        total += order.quantity_wh * max(0, gain)
    return total


def welfare(clearing: Clearing) -> int:
    return sum(order.price_micro_eur_per_kwh * fill_wh for order, fill_wh in clearing.bids) - sum(
        order.price_micro_eur_per_kwh * fill_wh for order, fill_wh in clearing.offers
    )


def require_optimal(orders: Book, clearing: Clearing) -> None:
    """Feasible fills of the greatest welfare and, of those, the greatest volume; the price in the middle."""
    price, volume_wh = clearing.price_micro_eur_per_kwh, clearing.volume_wh
    fills = clearing.fills
    assert set(fills) == {order.id for order in orders}
    for fill in clearing.bids + clearing.offers:
        assert 0 <= fill.fill_wh <= fill.order.quantity_wh
    assert sum(fill_wh for _, fill_wh in clearing.bids) == volume_wh
    assert sum(fill_wh for _, fill_wh in clearing.offers) == volume_wh
    assert (price is None) == (volume_wh == 0)

    limits = {order.price_micro_eur_per_kwh for order in orders} or {0}
    earned = welfare(clearing)
    clearing_prices = [limit for limit in limits if dual_welfare(orders, limit) == earned]
    assert clearing_prices, "some price proves the welfare the greatest"
    times = sum(order.quantity_wh for order in orders) + 1
    raised = {times * limit + more for limit in limits for more in (0, 1)}
    assert min(dual_welfare(orders, high, times, 1) for high in raised) == times * earned + volume_wh
    if price is not None:
        assert dual_welfare(orders, price) == earned
        assert price == (min(clearing_prices) + max(clearing_prices)) // 2


def require_shares(clearing: Clearing) -> None:
    """Better orders trade whole, worse ones not, those at the price by share; exact fractions."""
    price = clearing.price_micro_eur_per_kwh
    for fills, margin, sign in (
        (clearing.bids, clearing.bid_margin, 1),
        (clearing.offers, clearing.offer_margin, -1),
    ):
        assert [fill.order for fill in fills] == sorted(
            (fill.order for fill in fills),
            key=lambda order: (-sign * order.price_micro_eur_per_kwh, order.id),
        )
        if price is None:
            assert margin == NO_SHARES
            continue
        at_price, rest_wh = [], clearing.volume_wh
        for order, fill_wh in fills:
            advantage = sign * (order.price_micro_eur_per_kwh - price)
            if advantage:
                assert fill_wh == (order.quantity_wh if advantage > 0 else 0)
                rest_wh -= fill_wh
            else:
                at_price.append((order, fill_wh))
        wanted_wh = sum(order.quantity_wh for order, _ in at_price)
        assert sum(fill_wh for _, fill_wh in at_price) == rest_wh
        assert (margin.wanted_wh, margin.available_wh) == (wanted_wh, rest_wh)
        if not wanted_wh:
            continue
        ranks = []
        for order, fill_wh in at_price:
            share = Fraction(order.quantity_wh * rest_wh, wanted_wh)
            assert fill_wh - share.__floor__() in (0, 1)
            ranks.append((share.__floor__() - share, order.id, fill_wh - share.__floor__()))
        ranks.sort()
        more = [one_more for _, _, one_more in ranks]
        assert more == sorted(more, reverse=True), "the largest fraction first, then the lowest identifier"
        if sum(more):
            negative_fraction, identifier, _ = ranks[sum(more) - 1]
            assert margin.cut == Cut(int(-negative_fraction * wanted_wh), identifier)
        else:
            assert margin.cut == NOBODY


# ---------------------------------------------------------------- tests


def test_the_book_of_the_domain_reference_clears_6_at_9() -> None:
    clearing = clear(book(DOMAIN_BIDS, DOMAIN_OFFERS))
    assert (clearing.volume_wh, clearing.price_micro_eur_per_kwh) == (6, 9)
    assert named_fills(clearing) == {"b5": 3, "b1": 2, "b3": 1, "o0": 1, "o1": 2, "o2": 2, "o3": 1}
    assert clearing.bid_margin == Shares(4, 3, Cut(2, b"b1"))
    assert clearing.offer_margin == Shares(2, 2, NOBODY)


@pytest.mark.parametrize(
    ("bids", "offers", "price", "volume_wh"),
    [
        ([], [], None, 0),
        ([(5, 10)], [], None, 0),
        ([], [(5, 10)], None, 0),
        ([(5, 10)], [(6, 10)], None, 0),
        ([(5, 10)], [(5, 10)], 5, 10),
        ([(5, 10)], [(0, 10)], 2, 10),
        ([(0, 10)], [(0, 4)], 0, 4),
        ([(8, 10)], [(2, 4)], 8, 4),
        ([(8, 4)], [(2, 10)], 2, 4),
        ([(8, 4), (6, 1)], [(2, 4), (7, 1)], 6, 4),
        ([(U32, U32)], [(U32, U32)], U32, U32),
        ([(9, 0), (5, 3)], [(0, 0), (1, 3)], 3, 3),
    ],
)
def test_prices_where_a_side_ends_or_goes_on(
    bids: list[tuple[int, int]], offers: list[tuple[int, int]], price: int | None, volume_wh: int
) -> None:
    clearing = clear(book(bids, offers))
    assert (clearing.price_micro_eur_per_kwh, clearing.volume_wh) == (price, volume_wh)


def test_the_remainder_goes_to_the_largest_fraction_and_then_to_the_lowest_identifier() -> None:
    equal = clear(book([(4, 3), (4, 3), (4, 3)], [(4, 5)]))
    assert named_fills(equal) == {"b0": 2, "b1": 2, "b2": 1, "o0": 5}
    unequal = clear(book([(4, 1), (4, 2), (4, 5)], [(4, 3)]))  # shares 3/8, 6/8, 15/8
    assert named_fills(unequal) == {"b1": 1, "b2": 2, "o0": 3}
    assert unequal.bid_margin.cut == Cut(6, b"b1")


def test_ten_thousand_random_books_are_optimal_and_shared_by_the_rule() -> None:
    random = Random(6)
    traded = extreme = 0
    for orders in random_books(10_000, 5, KINDS):
        clearing = clear(orders)
        require_optimal(orders, clearing)
        require_shares(clearing)
        random.shuffle(orders)
        assert clear(orders) == clearing
        traded += clearing.volume_wh > 0
        extreme += clearing.volume_wh > U32
    assert traded > 3_000
    assert extreme > 400


def test_ten_thousand_random_books_earn_what_the_linear_program_earns() -> None:
    """One program holds many books; bids are raised by so little that only volume is decided by it."""
    times = 1024
    for orders_of in (random_books(2_000, seed, SMALL_KINDS) for seed in range(5)):
        entries = [(number, order) for number, orders in enumerate(orders_of) for order in orders]
        sign = np.array([1 if order.side is Side.BID else -1 for _, order in entries])
        limits = np.array([order.price_micro_eur_per_kwh for _, order in entries])
        books = np.array([number for number, _ in entries])
        solution = linprog(
            -sign * (times * limits + (sign > 0)),
            A_eq=csr_array(
                (sign.astype(float), (books, np.arange(len(entries)))), shape=(2_000, len(entries))
            ),
            b_eq=np.zeros(2_000),
            bounds=[(0, order.quantity_wh) for _, order in entries],
            method="highs",
        )
        assert solution.status == 0, solution.message
        earned = np.bincount(books, sign * limits * solution.x, 2_000)
        volume_wh = np.bincount(books, (sign > 0) * solution.x, 2_000)
        clearings = [clear(orders) for orders in orders_of]
        assert max(clearing.volume_wh for clearing in clearings) < times
        assert np.abs(earned - [welfare(clearing) for clearing in clearings]).max() < 1e-6
        assert np.abs(volume_wh - [clearing.volume_wh for clearing in clearings]).max() < 1e-6
        for orders, clearing, most in zip(orders_of, clearings, earned, strict=True):
            price = clearing.price_micro_eur_per_kwh
            assert price is None or dual_welfare(orders, price) == round(most), "a price of the dual"


def test_volume_and_price_are_those_of_the_definition_wh_by_wh() -> None:
    for orders in random_books(2_000, 11, SMALL_KINDS):
        b, s = (
            sorted(o.price_micro_eur_per_kwh for o in orders if o.side is side for _ in range(o.quantity_wh))
            for side in Side
        )
        b.reverse()
        crossed = [q for q in range(1, min(len(b), len(s)) + 1) if b[q - 1] >= s[q - 1]]
        clearing = clear(orders)
        if not crossed:
            assert (clearing.volume_wh, clearing.price_micro_eur_per_kwh) == (0, None)
            continue
        q = max(crossed)
        low, high = max([s[q - 1], *b[q : q + 1]]), min([b[q - 1], *s[q : q + 1]])
        assert (clearing.volume_wh, clearing.price_micro_eur_per_kwh) == (q, (low + high) // 2)
        found = curves(orders)
        assert _unrolled(found.demand) == b
        assert _unrolled(found.supply) == s


def _unrolled(steps: tuple[Step, ...]) -> list[int]:
    prices: list[int] = []
    for step in steps:
        prices += [step.price_micro_eur_per_kwh] * (step.until_wh - len(prices))
    return prices


_NUMBERS = st.one_of(st.integers(0, 5), st.integers(0, 2**33), st.integers(0, 10**40))
_BOOKS = st.lists(
    st.builds(BookOrder, st.binary(max_size=32), st.sampled_from(Side), _NUMBERS, _NUMBERS),
    max_size=14,
    unique_by=lambda order: order.id,
)


@settings(max_examples=500, deadline=None)
@given(_BOOKS, st.randoms(use_true_random=False))
def test_any_book_is_optimal_and_independent_of_submission(orders: Book, random: Random) -> None:
    clearing = clear(orders)
    require_optimal(orders, clearing)
    require_shares(clearing)
    random.shuffle(orders)
    assert clear(orders) == clearing


def test_a_book_of_10_000_orders_is_optimal() -> None:
    random = Random(3)
    orders = [
        BookOrder(
            random.randbytes(32), random.choice(list(Side)), random.randint(0, 30), random.randint(1, U32)
        )
        for _ in range(10_000)
    ]
    clearing = clear(orders)
    require_optimal(orders, clearing)
    require_shares(clearing)


def test_shares_of_more_than_is_wanted_are_refused() -> None:
    assert share_out(3, [(b"a", 1), (b"b", 2)]) == Shares(3, 3, NOBODY)
    for available_wh in (4, -1):
        with pytest.raises(ValueError, match=f"{available_wh} Wh cannot be shared among claims of 3 Wh"):
            share_out(available_wh, [(b"a", 1), (b"b", 2)])


@pytest.mark.parametrize(
    ("orders", "named"),
    [
        ([BookOrder(b"x", Side.BID, 1, 1), BookOrder(b"x", Side.OFFER, 1, 1)], "b'x' is in the book twice"),
        ([BookOrder(b"x", Side.BID, -1, 1)], "price -1"),
        ([BookOrder(b"x", Side.BID, 1, -1)], "quantity -1"),
    ],
)
def test_what_is_no_book_is_refused(orders: Book, named: str) -> None:
    with pytest.raises(BookInvalid, match=named):
        clear(orders)
    with pytest.raises(BookInvalid, match=named):
        curves(orders)


# ---------------------------------------------------------------- ped market clear

HEADER = "id,owner,side,price_micro_eur_per_kwh,quantity_wh\n"
DOMAIN_ROWS = [f"b{n},buyer-{n},bid,{price},{wh}\n" for n, (price, wh) in enumerate(DOMAIN_BIDS)] + [
    f"o{n},seller-{n},offer,{price},{wh}\n" for n, (price, wh) in enumerate(DOMAIN_OFFERS)
]


def run(folder: Path, content: str | bytes, *options: str) -> Result:
    path = folder / "book.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CliRunner().invoke(build_application("market"), ["market", "clear", str(path), *options])


def test_the_command_clears_a_csv_alike_in_whatever_order(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + "".join(DOMAIN_ROWS), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "price_micro_eur_per_kwh": 9,
        "volume_wh": 6,
        "fills": {
            "b0": 0,
            "b1": 2,
            "b2": 0,
            "b3": 1,
            "b4": 0,
            "b5": 3,
            "o0": 1,
            "o1": 2,
            "o2": 2,
            "o3": 1,
        },
    }
    assert run(tmp_path, HEADER + "".join(reversed(DOMAIN_ROWS)), "--json").stdout == result.stdout


def test_the_command_takes_files_as_spreadsheets_write_them(tmp_path: Path) -> None:
    columns = "note,side,quantity_wh,price_micro_eur_per_kwh,owner,id\r\n"
    rows = '"a, b",BUY, 5 ,7,"Öko, Ltd",ä\r\n\r\n,sell,5,0,Z,z\r\n'
    result = run(tmp_path, b"\xef\xbb\xbf" + (columns + rows).encode(), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == {"price_micro_eur_per_kwh": 3, "volume_wh": 5, "fills": {"z": 5, "ä": 5}}


@pytest.mark.parametrize("rows", ["", "b,B,bid,4,1\n", "o,O,offer,4,1\n", "b,B,bid,3,1\no,O,offer,4,1\n"])
def test_a_book_without_a_trade_is_a_result(tmp_path: Path, rows: str) -> None:
    result = run(tmp_path, HEADER + rows, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "price_micro_eur_per_kwh": None,
        "volume_wh": 0,
        "fills": {row.split(",")[0]: 0 for row in rows.splitlines()},
    }
    assert "No price" in run(tmp_path, HEADER + rows).stdout


def test_for_people_the_command_prints_a_table_with_owners(tmp_path: Path) -> None:
    result = run(tmp_path, HEADER + "b,[red]B,bid,1500000,2000\no,O,offer,500000,1000\n")
    assert result.exit_code == 0, result.output
    for expected in ("1,000 Wh at 1,500,000 micro-euro per kWh", "[red]B", "2,000", "500,000"):
        assert expected in result.stdout


def test_numbers_beyond_the_chain_clear_and_are_named(tmp_path: Path) -> None:
    rows = f"b,B,bid,{U32},{U32}\no,O,offer,0,{10**12}\n"
    result = run(tmp_path, HEADER + rows, "--json")
    assert json.loads(result.stdout)["fills"] == {"b": U32, "o": U32}
    assert "1 orders, the first on line 3" in result.stderr


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "line 1: column id is missing"),
        ("id,owner,side,quantity_wh\n", "line 1: column price_micro_eur_per_kwh is missing"),
        ("id,owner,side,side,price_micro_eur_per_kwh,quantity_wh\n", "line 1: column side is there twice"),
        (HEADER + "a,A,bid,1,1\nb,B,bid,1,1\na,C,bid,1,1\n", "line 4, column id: 'a' is already on line 2"),
        (HEADER + ",A,bid,1,1\n", "line 2, column id: it is empty"),
        (HEADER + "a,,bid,1,1\n", "line 2, column owner: it is empty"),
        (HEADER + "a,A,long,1,1\n", "line 2, column side: 'long' is no side; write bid or offer"),
        (HEADER + "a,A,bid,-1,1\n", "line 2, column price_micro_eur_per_kwh: '-1' is no whole number"),
        (HEADER + "a,A,bid,1.5,1\n", "line 2, column price_micro_eur_per_kwh: '1.5' is no whole number"),
        (HEADER + "a,A,bid,,1\n", "line 2, column price_micro_eur_per_kwh: '' is no whole number"),
        (HEADER + "a,A,bid,1,1e3\n", "line 2, column quantity_wh: '1e3' is no whole number"),
        (HEADER + "a,A,bid,1,\u0663\n", "line 2, column quantity_wh: '\u0663' is no whole number"),
        (HEADER + f"a,A,bid,1,{'9' * 5000}\n", "line 2, column quantity_wh"),
        (HEADER + "a,A,bid,1,0\n", "line 2, column quantity_wh: an order of 0 Wh trades nothing"),
        (HEADER + "a,A,bid,1\n", "line 2 has 4 cells under 5 columns"),
        (HEADER + "a,A,bid,1,1,1\n", "line 2 has 6 cells under 5 columns"),
        (HEADER + 'a,"A,bid,1,1\n', "not valid CSV"),
        (
            HEADER + "a,A,bid,1,1\nb,A,sell,1,1\n",
            "line 3, column side: 'A' is on the other side on line 2",
        ),
        (HEADER.encode() + b"a,\xff,bid,1,1\n", "byte 52 is not UTF-8"),
    ],
)
def test_what_is_no_book_is_told_with_its_place(tmp_path: Path, content: str | bytes, named: str) -> None:
    for options in ((), ("--json",)):
        result = run(tmp_path, content, *options)
        assert result.exit_code == 1
        assert result.output.startswith("ped market clear: ")
        assert named in result.output


def test_a_missing_file_is_told() -> None:
    result = CliRunner().invoke(build_application("market"), ["market", "clear", "nothing.csv"])
    assert (result.exit_code, "nothing.csv" in result.output) == (1, True)
