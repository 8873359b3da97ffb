"""How tables are written down: kinds of columns, and facts keyed by their place in the chain."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()


def key(name: str, kind: Any = Text) -> Column[Any]:
    """Part of the primary key."""
    return Column(name, kind, primary_key=True, autoincrement=False)


def text(name: str, nullable: bool = False) -> Column[Any]:
    """Text: an identifier, an address or a hash in hexadecimal."""
    return Column(name, Text, nullable=nullable)


def integer(name: str, nullable: bool = False) -> Column[Any]:
    """A whole number of up to 63 bits."""
    return Column(name, BigInteger, nullable=nullable)


def flag(name: str) -> Column[Any]:
    """Yes or no."""
    return Column(name, Boolean, nullable=False)


def binary(name: str, nullable: bool = False) -> Column[Any]:
    """Bytes."""
    return Column(name, LargeBinary, nullable=nullable)


def fact(name: str, *columns: Column[Any] | Index) -> Table:
    """A table of facts: one row per log, keyed by where the log stands in the chain."""
    return Table(name, metadata, key("block_number", BigInteger), key("log_index", Integer), *columns)


def fact_parts(name: str, *columns: Column[Any] | Index) -> Table:
    """A table of facts of which one log can bring several, numbered by `position`."""
    place = (key("block_number", BigInteger), key("log_index", Integer), key("position", Integer))
    return Table(name, metadata, *place, *columns)
