"""What the service itself keeps beside the projection: answers to repeated requests, OpenADR objects.

None of it follows from the chain, so a rebuild of the projection leaves these tables alone.
"""

from __future__ import annotations

from sqlalchemy import MetaData, Table

from certifier.schema import integer, key, text

service_metadata = MetaData()

requests = Table(
    "requests",
    service_metadata,
    key("idempotency_key"),
    text("body_hash"),
    integer("status", nullable=True),
    text("answer", nullable=True),
    integer("created_at"),
)
"""Requests with an Idempotency-Key; without an answer yet while they are worked on."""
openadr_objects = Table(
    "openadr_objects",
    service_metadata,
    key("object_type"),
    key("object_id"),
    text("client_id"),
    text("name"),
    text("body"),
    integer("created_at"),
    integer("modified_at"),
)
"""Reports, VENs, resources and subscriptions as their clients gave them."""
openadr_deliveries = Table(
    "openadr_deliveries",
    service_metadata,
    key("subscription_id"),
    integer("block_number"),
    integer("log_index"),
)
"""Up to which log of the projection a subscription was notified."""
