"""`market`: clearing a book off chain, how the time grows with its orders, and what trading costs on chain.

Half of the orders bid and half offer, around one price, so that about half of the energy trades. The floor is
what no clearing can avoid: sorting the orders once. `growth_*` is the time of ten times as many orders over
the time of so many; n log n is beside it.
"""

import math
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any

from contracts.clearing import BookOrder, Side, clear
from scripts.benches import exchange
from scripts.benches.progress import Tell, tell_nobody

SIZES = (100, 1_000, 10_000)
REPETITIONS = 15
PLACED = 1_000
MIDDLE_PRICE, DEVIATION = 120_000, 25_000
MOST_WH = 50_000


def measure(
    sizes: Sequence[int] = SIZES,
    repetitions: int = REPETITIONS,
    placed: int = PLACED,
    tell: Tell = tell_nobody,
) -> dict[str, Any]:
    """Seconds per book of `sizes` orders, the best of `repetitions`, and the figures of `exchange`, whose
    rates are over `placed` orders."""
    figures: dict[str, Any] = {}
    seconds: dict[int, float] = {}
    for done, size in enumerate(sizes):
        tell(f"books of {size} orders", done, len(sizes))
        orders = book(size)
        seconds[size] = _best(clear, orders, repetitions)
        figures[f"clear_{size}_s"] = round(seconds[size], 6)
        figures[f"clear_{size}_s_floor"] = round(_best(sort, orders, repetitions), 6)
    for few, many in pairwise(sizes):
        figures[f"growth_{few}_to_{many}"] = round(seconds[many] / seconds[few], 2)
        figures[f"growth_{few}_to_{many}_n_log_n"] = round(many * math.log(many) / (few * math.log(few)), 2)
    return figures | exchange.measure(placed, tell)


def book(size: int) -> list[BookOrder]:
    """A book of `size` orders whose hashes, prices and quantities are random, and always the same."""
    random = Random(size)
    return [
        BookOrder(
            random.randbytes(32),
            Side.BID if place % 2 else Side.OFFER,
            max(0, round(random.gauss(MIDDLE_PRICE, DEVIATION))),
            random.randint(1, MOST_WH),
        )
        for place in range(size)
    ]


def sort(orders: list[BookOrder]) -> list[BookOrder]:
    """The orders by price and identifier."""
    return sorted(orders, key=lambda order: (order.price_micro_eur_per_kwh, order.id))


def _best(work: Callable[[list[BookOrder]], object], orders: list[BookOrder], repetitions: int) -> float:
    taken = []
    for _ in range(repetitions):
        began = time.perf_counter()
        work(orders)
        taken.append(time.perf_counter() - began)
    return min(taken)
