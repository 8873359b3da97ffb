"""Makes signed batches of the hours that are due (domain.md §2, §8), in one transaction of the outbox.

One batch holds hours of one UTC day and stream. New hours and corrections never share a batch, and a
correction replaces hours of one earlier batch. What is on the chain is compared with what the outbox says
now, so an hour is sent because it is new or different, and never because it might be.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from contracts.hour import HOURS_PER_DAY, day_start, first_hour, format_day, hour_start
from contracts.reading import MAX_GATEWAY_SEQUENCE
from gateway.batches import Batches, StoredBatch, holders
from gateway.config import GatewayConfig
from gateway.outbox import transaction
from gateway.records import Point, Records
from gateway.sections import Section, changed_members, open_section, private_section
from gateway.signing import Signer


class SequencesUsedUp(RuntimeError):
    """A day has had all batches that a gateway can sign; what changed since needs an adjustment."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Hours that go into one batch."""

    replaces: int
    sections: list[Section]
    changed_members: int = 0


class Builder:
    """Turns touched hours of one stream's day into signed batches."""

    def __init__(self, config: GatewayConfig, connection: sqlite3.Connection, signer: Signer) -> None:
        self._policy = config.relay
        self._db = connection
        self._records = Records(config, connection)
        self._batches = Batches(connection)
        self._signer = signer

    def build(
        self,
        private: bool,
        day: int,
        now_s: int,
        *,
        flush: bool,
        chain_sequence: int,
        tainted: frozenset[int],
        minimum_members: Callable[[], int],
        last_sequence: Callable[[], int],
    ) -> list[int]:
        """Make and sign what is due; rows of the new batches. Raises SequencesUsedUp, OutboxUnusable.

        `chain_sequence` is the last sequence on the chain, `tainted` are hours of the day that count as
        missing there until they are signed anew. `last_sequence` is asked only beyond the batches that every
        gateway has. Where they end, the batches before are made and the rest raises the next time.
        """
        minimum = max(minimum_members(), self._policy.minimum_members) if private else 0
        with transaction(self._db):
            touched = self._batches.touched().get((private, day), {})
            closed = sorted(hour for hour in touched if hour_start(hour + 1) <= now_s)
            points = self._records.points(private, day)
            if not closed or not points:
                self._batches.untouch(private, closed)
                return []
            live = self._batches.live(private, day)
            held = holders(live)
            ready: list[Section] = []
            overdue = {
                hour for hour in closed if flush or now_s - hour_start(hour + 1) >= self._policy.patience_s
            }
            early = [hour for hour in closed if hour not in overdue]
            incomplete = self._records.lacking(points, early)
            worth = [hour for hour in closed if hour not in incomplete]
            new = [hour for hour in worth if hour not in held]
            if new and not (flush or self._due(new, held, day, now_s)):
                worth = [hour for hour in worth if hour in held]
            for hour, found in self._records.hours(points, worth).items():
                section = (
                    private_section(hour, points, found, minimum) if private else open_section(hour, found)
                )
                if section.complete or hour in overdue:
                    ready.append(section)
            fresh, corrections, settled = self._sorted(private, ready, held, points, minimum, tainted)
            corrections = [
                draft for draft in corrections if flush or self._correction_due(draft, touched, now_s)
            ]
            drafts = list(corrections)
            if fresh and (flush or self._due([section.hour for section in fresh], held, day, now_s)):
                drafts += self._split(fresh, len(points))
            sequence = max([chain_sequence, *(batch.sequence for batch in live)])
            rows: list[int] = []
            for draft in drafts:
                sequence += 1
                if sequence > MAX_GATEWAY_SEQUENCE and sequence > last_sequence():
                    if rows:
                        break
                    raise SequencesUsedUp(
                        f"{format_day(day)} has had {sequence - 1} batches, all that the gateway can sign; "
                        "changes need an adjustment"
                    )
                rows.append(self._sign(private, day, sequence, draft, now_s))
                settled += [section.hour for section in draft.sections]
            self._batches.untouch(private, settled)
            return rows

    def _sorted(
        self,
        private: bool,
        ready: list[Section],
        held: dict[int, StoredBatch],
        points: list[Point],
        minimum: int,
        tainted: frozenset[int],
    ) -> tuple[list[Section], list[Draft], list[int]]:
        """New hours, corrections by the batch that they replace, and hours with nothing to say."""
        fresh: list[Section] = []
        settled: list[int] = []
        corrected: dict[int, list[Section]] = {}
        fewest: dict[int, int] = {}
        for section in ready:
            hour = section.hour
            holder = held.get(hour)
            if holder is None:
                if section.empty:
                    settled.append(hour)
                else:
                    fresh.append(section)
                continue
            renew = hour % HOURS_PER_DAY in tainted
            if private:
                changed = changed_members(section, self._batches.leaves(holder.id, hour), points)
                if renew:
                    changed = {point.kind: len(section.leaves) for point in points}
                if not changed:
                    settled.append(hour)
                    continue
                if section.empty or min(changed.values()) < minimum:
                    continue  # waits: the difference would be that of fewer members than the minimum
                fewest[holder.sequence] = min(fewest.get(holder.sequence, 65_535), *changed.values())
            elif holder.sections()[hour] == section.packed and not renew:
                settled.append(hour)
                continue
            corrected.setdefault(holder.sequence, []).append(section)
        drafts = [
            Draft(sequence, sections, fewest.get(sequence, 0)) for sequence, sections in corrected.items()
        ]
        return fresh, drafts, settled

    def _due(self, fresh: list[int], held: dict[int, StoredBatch], day: int, now_s: int) -> bool:
        """Whether new hours, ascending, are enough or old enough for a batch."""
        first = first_hour(day)
        known = {*fresh, *held}
        whole_day = all(hour in known for hour in range(first, first + HOURS_PER_DAY))
        oldest_s = now_s - hour_start(fresh[0] + 1)
        return whole_day or len(fresh) >= self._policy.batch_hours or oldest_s >= self._policy.max_age_s

    def _correction_due(self, draft: Draft, touched: dict[int, int], now_s: int) -> bool:
        if all(section.complete for section in draft.sections):
            return True
        changed_s = min(touched[section.hour] for section in draft.sections)
        return not 0 <= now_s - changed_s < self._policy.patience_s

    def _split(self, fresh: list[Section], points: int) -> list[Draft]:
        """Batches of at most `max_records` records, so that a block can hold each."""
        hours = max(1, self._policy.max_records // points)
        return [Draft(0, fresh[place : place + hours]) for place in range(0, len(fresh), hours)]

    def _sign(self, private: bool, day: int, sequence: int, draft: Draft, now_s: int) -> int:
        payload = b"".join(section.packed for section in draft.sections)
        batch = self._signer.batch(private, day, sequence, draft.replaces, draft.changed_members, payload)
        row = self._batches.add(
            private,
            day,
            sequence,
            draft.replaces,
            [section.hour for section in draft.sections],
            payload,
            draft.changed_members,
            self._signer.sign(batch),
            self._signer.address,
            now_s,
        )
        self._batches.add_leaves(
            row, [(section.hour, *leaf) for section in draft.sections for leaf in section.leaves]
        )
        return row


def final_from_s(day: int, finality_s: int) -> int:
    """Unix time from which a day is final."""
    return day_start(day + 1) + finality_s
