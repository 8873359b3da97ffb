"""What a gateway counts, for Prometheus."""

from collections import Counter as Counts
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from gateway.intake import Receipt


class Metrics:
    """Counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "ped_gateway_messages", "Messages taken in, by outcome", ["status"], registry=self.registry
        )
        self.readings = Counter(
            "ped_gateway_readings", "Readings taken in, by outcome", ["outcome"], registry=self.registry
        )
        self.commit_seconds = Histogram(
            "ped_gateway_commit_seconds",
            "Time to write a group of messages",
            registry=self.registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
        )
        self.failed_commits = Counter(
            "ped_gateway_failed_commits", "Groups that could not be written", registry=self.registry
        )
        self.connected = Gauge(
            "ped_gateway_broker_connected", "1 while connected to the broker", registry=self.registry
        )
        self.batches = Counter(
            "ped_gateway_batches", "Batches that reached a state", ["state"], registry=self.registry
        )
        self.relay_failures = Counter(
            "ped_gateway_relay_failures", "Attempts to reach the chain that failed", registry=self.registry
        )

    def count(self, receipts: Sequence["Receipt"]) -> None:
        """Count messages and their readings."""
        for status, messages in Counts(receipt.status for receipt in receipts).items():
            self.messages.labels(status).inc(messages)
        self.readings.labels("accepted").inc(sum(receipt.accepted for receipt in receipts))
        self.readings.labels("duplicate").inc(sum(receipt.duplicates for receipt in receipts))
        self.readings.labels("refused").inc(sum(len(receipt.refused) for receipt in receipts))
