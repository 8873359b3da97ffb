"""The projection's tables: what the chain's logs say (facts) and what follows from it (derived).

Facts are append-only and carry the block and the log that brought them, so that "as known at time K"
(domain.md §4) is a filter and undoing a reorganisation is a deletion. Derived rows are a pure function of the
facts, so a rebuild from the first block gives the same content. SQLite by default, PostgreSQL by URL.

Energies are Wh, powers W, primary energy mWh_PE, GHG mg CO2e, times unix seconds UTC; `day` is
`unix // 86400` and `hour` is `unix // 3600`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

SCHEMA_VERSION = 1
SUPPORTED_BACKENDS = ("sqlite", "postgresql")

metadata = MetaData()


class StoreError(Exception):
    """The projection's database cannot be used; the message names it and says what to do."""


def _key(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _text(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _integer(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, BigInteger, nullable=nullable)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _bytes(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, LargeBinary, nullable=nullable)


def _fact(name: str, *columns: Column[Any] | Index) -> Table:
    """A table of facts: one row per log, keyed by where the log stands in the chain."""
    return Table(name, metadata, _key("block_number", BigInteger), _key("log_index", Integer), *columns)


head = Table(
    "head",
    metadata,
    _key("one", Integer),
    _integer("schema_version"),
    _integer("chain_id"),
    _text("ledger"),
    _integer("block_number"),
    _text("block_hash"),
    _integer("block_time"),
)
observation = Table(
    "observation",
    metadata,
    _key("one", Integer),
    _integer("chain_block_number"),
    _integer("observed_at"),
    _text("problem", nullable=True),
)
blocks = Table("blocks", metadata, _key("block_number", BigInteger), _text("hash"), _integer("time"))

# Facts: Registry
organisations = _fact("organisations", _text("organisation_id"), _text("name"))
accounts = _fact("accounts", _text("account"), _text("organisation_id"))
roles = _fact("roles", _text("account"), _text("role"), _flag("granted"))
schemes = _fact(
    "schemes",
    _text("scheme_id"),
    _flag("non_renewable"),
    _flag("is_static"),
    _integer("f_min"),
    _integer("f_max"),
    _integer("g_min"),
    _integer("g_max"),
    _integer("tolerance_bp"),
    _integer("tolerance_wh"),
    _integer("minimum_members"),
    _integer("quorum"),
    _integer("challenge_days"),
    _integer("decision_days"),
    _integer("validity_days"),
)
districts = _fact(
    "districts",
    _text("district_id"),
    _text("zone"),
    _text("owner_organisation_id"),
    _text("operator_organisation_id"),
    _integer("minimum_members"),
)
gateways = _fact("gateways", _text("gateway_id"), _text("district_id"))
compromise_scans = _fact("compromise_scans", _text("district_id"), _integer("compromise"))
gateway_keys = _fact(
    "gateway_keys",
    _text("gateway_id"),
    _text("key", nullable=True),
    _integer("compromised_since", nullable=True),
    Index("gateway_keys_by_gateway", "gateway_id"),
)
boundary_versions = _fact(
    "boundary_versions",
    _text("district_id"),
    _integer("version"),
    _integer("from_day"),
    _integer("chain_restart_day"),
)
boundary_gateways = _fact(
    "boundary_gateways",
    _text("gateway_id"),
    _text("district_id"),
    _integer("version"),
    _integer("from_day"),
)
points = Table(
    "points",
    metadata,
    _key("block_number", BigInteger),
    _key("log_index", Integer),
    _key("is_private", Boolean),
    _key("position", Integer),
    _text("gateway_id"),
    _text("district_id"),
    _integer("version"),
    _text("point_id"),
    _integer("kind"),
    _flag("renewable"),
    _integer("register_digits"),
    _integer("efficiency_permille"),
    _integer("nameplate_w"),
    Index("points_by_id", "point_id"),
)
meter_exchanges = _fact("meter_exchanges", _text("district_id"), _text("old_serial"), _text("new_serial"))

# Facts: Factors
vintages = _fact(
    "vintages",
    _text("vintage_id"),
    _text("parent", nullable=True),
    _text("organisation_id"),
    _integer("created_at"),
    _integer("f_min"),
    _integer("f_max"),
    _integer("g_max"),
    _text("static_factors"),
    _text("carrier_factors"),
)
factor_days = _fact(
    "factor_days",
    _text("vintage_id"),
    _text("zone"),
    _integer("day"),
    _bytes("factors"),
    Index("factor_days_by_day", "vintage_id", "zone", "day"),
)

# Facts: Ledger
batches = _fact(
    "batches",
    _text("gateway_id"),
    _text("district_id"),
    _integer("day"),
    _flag("is_private"),
    _integer("sequence"),
    _integer("replaces"),
    _flag("is_adjustment"),
    _text("transaction_hash"),
    _text("payload_hash"),
    _text("key", nullable=True),
    _integer("changed_members"),
    _bytes("payload"),
    _bytes("signature"),
    _text("reason_hash", nullable=True),
    _text("operator", nullable=True),
    _text("auditor", nullable=True),
    _bytes("auditor_signature", nullable=True),
    Index("batches_by_day", "district_id", "day"),
    Index("batches_by_gateway", "gateway_id", "day", "is_private", "sequence", unique=True),
)
taints = _fact(
    "taints",
    _text("gateway_id"),
    _text("district_id"),
    _integer("day"),
    _flag("is_private"),
    _integer("hours"),
    Index("taints_by_day", "district_id", "day"),
)

# Facts: Assessments, with our own figure beside the chain's
assessments = _fact(
    "assessments",
    _text("assessment_id"),
    _text("district_id"),
    _text("scheme_id"),
    _text("vintage_id"),
    _integer("start_day"),
)
FIGURES = ("balance_mwh_pe", "lower_mwh_pe", "upper_mwh_pe", "ghg_mg", "ghg_upper_mg")
finalised_days = _fact(
    "finalised_days",
    _text("assessment_id"),
    _integer("day"),
    *(_integer(name) for name in FIGURES),
    _integer("complete_hours"),
    _flag("edge_estimated"),
    _integer("boundary_version"),
    *(_integer(f"chain_{name}") for name in FIGURES),
    _integer("chain_complete_hours"),
    _flag("chain_edge_estimated"),
    _integer("chain_boundary_version"),
    Index("finalised_days_by_day", "assessment_id", "day"),
)
booked_adjustments = _fact(
    "booked_adjustments",
    _text("assessment_id"),
    _integer("day"),
    *(_integer(name) for name in FIGURES),
    _integer("complete_hours"),
    _flag("edge_estimated"),
    *(_integer(f"chain_{name}") for name in FIGURES),
    _integer("chain_complete_hours"),
    _flag("chain_edge_estimated"),
    Index("booked_adjustments_by_assessment", "assessment_id", "day"),
)
verdicts = Table(
    "verdicts",
    metadata,
    _key("block_number", BigInteger),
    _key("assessment_id"),
    _text("finding"),
    _integer("window_start_day"),
    _integer("window_end_day"),
    *(_integer(name) for name in FIGURES),
    _integer("complete_hours"),
    _integer("total_hours"),
    _integer("worst_block_hours"),
    _integer("first_version"),
    _integer("last_version"),
    Index("verdicts_by_window", "assessment_id", "window_end_day"),
)

# Facts: Certificates
certificates = _fact(
    "certificates",
    _integer("certificate_number"),
    _text("assessment_id"),
    _text("account"),
    Index("certificates_by_number", "certificate_number", unique=True),
)
certificate_events = _fact(
    "certificate_events",
    _integer("certificate_number"),
    _text("kind"),
    _text("details"),
    Index("certificate_events_by_number", "certificate_number"),
)

# Derived: the current state of every district-hour
hours = Table(
    "hours",
    metadata,
    _key("district_id"),
    _key("hour", BigInteger),
    _integer("day"),
    *(
        _integer(name)
        for name in (
            "import_wh",
            "export_wh",
            "production_wh",
            "renewable_wh",
            "consumption_wh",
            "charge_wh",
            "discharge_wh",
            "foreign_wh",
            "recorded",
            "measured",
            "open_points",
            "members",
            "registered_members",
            "estimated",
            "tainted",
            "short_grid_cap_wh",
            "short_carrier_cap_wh",
            "short_foreign_cap_wh",
            "boundary_version",
        )
    ),
    _text("carriers"),
    Index("hours_by_day", "district_id", "day"),
)
hour_balances = Table(
    "hour_balances",
    metadata,
    _key("assessment_id"),
    _key("hour", BigInteger),
    _integer("day"),
    _text("factor_source"),
    _integer("average_factor", nullable=True),
    _integer("marginal_factor", nullable=True),
    _integer("export_factor", nullable=True),
    _integer("import_load_wh"),
    _integer("import_storage_wh"),
    _integer("import_rest_wh"),
    _integer("imbalance_wh"),
    _text("bound_row"),
    _flag("complete"),
    *(_integer(name, nullable=True) for name in FIGURES),
    _integer("ghg_lower_mg", nullable=True),
    Index("hour_balances_by_day", "assessment_id", "day"),
)
day_balances = Table(
    "day_balances",
    metadata,
    _key("assessment_id"),
    _key("day", BigInteger),
    _text("factor_source"),
    *(_integer(name, nullable=True) for name in FIGURES),
    _integer("ghg_lower_mg", nullable=True),
    _integer("vehicle_excess_wh"),
    _integer("complete_hours"),
    _flag("edge_estimated"),
    _integer("boundary_version"),
)
storage_days = Table(
    "storage_days",
    metadata,
    _key("district_id"),
    _key("point_id"),
    _key("day", BigInteger),
    _integer("stored_mwh"),
    _integer("lowest_mwh"),
    _integer("highest_mwh"),
    _integer("throughput_wh"),
    _integer("nameplate_w"),
)
alarms = Table(
    "alarms",
    metadata,
    _key("kind"),
    _key("subject"),
    _integer("block_number"),
    _text("district_id", nullable=True),
    _text("assessment_id", nullable=True),
    _integer("day", nullable=True),
    _text("chain_figure"),
    _text("own_figure"),
    _text("explanation"),
)
pending_checks = Table(
    "pending_checks",
    metadata,
    _key("kind"),
    _key("subject"),
    _key("day", BigInteger),
)

VOLATILE = (observation, pending_checks)
CHAIN_POSITIONED = tuple(
    table for table in metadata.sorted_tables if "block_number" in table.primary_key.columns
)


class Store:
    """One projection database.

    >>> store = Store("sqlite:///projection.sqlite")
    >>> with store.read() as connection: ...
    >>> with store.write() as connection: ...   # one transaction: all or nothing
    """

    def __init__(self, url: str) -> None:
        """Open the database at an SQLAlchemy URL and create what is missing.

        Raises:
            StoreError: the URL is not one of SQLite or PostgreSQL, the server or directory is not there, or
                the tables were made by another version of this program.
        """
        self.url = url
        self.engine = _engine(url)
        try:
            with self.engine.begin() as connection:
                if self.engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(5064)"))
                metadata.create_all(connection)
                version = connection.execute(select(head.c.schema_version)).scalar()
        except SQLAlchemyError as error:
            self.engine.dispose()
            raise StoreError(
                f"cannot open the projection database {self.engine.url.render_as_string()}: {error}"
            ) from error
        if version is not None and version != SCHEMA_VERSION:
            self.engine.dispose()
            raise StoreError(
                f"{self.engine.url.render_as_string()} has schema version {version}, this program needs "
                f"{SCHEMA_VERSION}: rebuild it with `ped certifier rebuild`"
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state until it is closed."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, undone if it raises."""
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"{url!r} is no database URL: use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        ) from error
    backend = parsed.get_backend_name()
    if backend not in SUPPORTED_BACKENDS:
        raise StoreError(f"{backend!r} is no supported database: use sqlite:///FILE or postgresql://...")
    if backend == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StoreError(
                f"{url!r} names no file: a projection is shared by processes, use sqlite:///FILE"
            )
        if not Path(parsed.database).resolve().parent.is_dir():
            raise StoreError(f"the directory of {parsed.database!r} does not exist: create it first")
    try:
        engine = create_engine(parsed)
    except NoSuchModuleError as error:
        raise StoreError(f"no driver for {url!r}: {error}") from error
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "cache_size=-65536"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def content(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but the volatile ones, in key order: what a rebuild must reproduce."""
    present = set(inspect(connection).get_table_names())
    return {
        table.name: [
            tuple(row)
            for row in connection.execute(select(table).order_by(*table.primary_key.columns)).tuples()
        ]
        for table in metadata.sorted_tables
        if table not in VOLATILE and table.name in present
    }


def reset(url: str) -> None:
    """Drop every table of the projection at `url`, of whichever version. Raises StoreError."""
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            metadata.drop_all(connection)
    except SQLAlchemyError as error:
        raise StoreError(f"cannot empty {engine.url.render_as_string()}: {error}") from error
    finally:
        engine.dispose()


def remove_after(connection: Connection, block_number: int) -> None:
    """Delete every fact that a block above `block_number` brought."""
    for table in (*CHAIN_POSITIONED, alarms):
        connection.execute(table.delete().where(table.c.block_number > block_number))


def replace_rows(connection: Connection, table: Table, where: Any, rows: list[dict[str, Any]]) -> None:
    """Replace the rows of `table` that match `where` by `rows`."""
    connection.execute(table.delete().where(where))
    if rows:
        connection.execute(insert(table), rows)
