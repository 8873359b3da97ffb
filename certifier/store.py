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
    Connection,
    Engine,
    Index,
    Integer,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy import text as sql_text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from certifier import market_tables as market_tables  # its tables are made with the others
from certifier.schema import binary, fact, flag, integer, key, metadata, text
from certifier.service_tables import service_metadata

SCHEMA_VERSION = 2
SUPPORTED_BACKENDS = ("sqlite", "postgresql")


class StoreError(Exception):
    """The projection's database cannot be used; the message names it and says what to do."""


head = Table(
    "head",
    metadata,
    key("one", Integer),
    integer("schema_version"),
    integer("chain_id"),
    text("ledger"),
    integer("block_number"),
    text("block_hash"),
    integer("block_time"),
)
observation = Table(
    "observation",
    metadata,
    key("one", Integer),
    integer("chain_block_number"),
    integer("observed_at"),
    text("problem", nullable=True),
)
blocks = Table("blocks", metadata, key("block_number", BigInteger), text("hash"), integer("time"))

# Facts: Registry
organisations = fact("organisations", text("organisation_id"), text("name"))
accounts = fact("accounts", text("account"), text("organisation_id"))
roles = fact("roles", text("account"), text("role"), flag("granted"))
schemes = fact(
    "schemes",
    text("scheme_id"),
    flag("non_renewable"),
    flag("is_static"),
    integer("f_min"),
    integer("f_max"),
    integer("g_min"),
    integer("g_max"),
    integer("tolerance_bp"),
    integer("tolerance_wh"),
    integer("minimum_members"),
    integer("quorum"),
    integer("challenge_days"),
    integer("decision_days"),
    integer("validity_days"),
)
districts = fact(
    "districts",
    text("district_id"),
    text("zone"),
    text("owner_organisation_id"),
    text("operator_organisation_id"),
    integer("minimum_members"),
)
gateways = fact("gateways", text("gateway_id"), text("district_id"))
compromise_scans = fact("compromise_scans", text("district_id"), integer("compromise"))
gateway_keys = fact(
    "gateway_keys",
    text("gateway_id"),
    text("key", nullable=True),
    integer("compromised_since", nullable=True),
    Index("gateway_keys_by_gateway", "gateway_id"),
)
boundary_versions = fact(
    "boundary_versions",
    text("district_id"),
    integer("version"),
    integer("from_day"),
    integer("chain_restart_day"),
)
boundary_gateways = fact(
    "boundary_gateways",
    text("gateway_id"),
    text("district_id"),
    integer("version"),
    integer("from_day"),
)
points = Table(
    "points",
    metadata,
    key("block_number", BigInteger),
    key("log_index", Integer),
    key("is_private", Boolean),
    key("position", Integer),
    text("gateway_id"),
    text("district_id"),
    integer("version"),
    text("point_id"),
    integer("kind"),
    flag("renewable"),
    integer("register_digits"),
    integer("efficiency_permille"),
    integer("nameplate_w"),
    integer("capacity_wh"),
    Index("points_by_id", "point_id"),
)
meter_exchanges = fact("meter_exchanges", text("district_id"), text("old_serial"), text("new_serial"))

# Facts: Factors
vintages = fact(
    "vintages",
    text("vintage_id"),
    text("parent", nullable=True),
    text("organisation_id"),
    integer("created_at"),
    integer("f_min"),
    integer("f_max"),
    integer("g_max"),
    text("static_factors"),
    text("carrier_factors"),
)
factor_days = fact(
    "factor_days",
    text("vintage_id"),
    text("zone"),
    integer("day"),
    binary("factors"),
    Index("factor_days_by_day", "vintage_id", "zone", "day"),
)

# Facts: Ledger
batches = fact(
    "batches",
    text("gateway_id"),
    text("district_id"),
    integer("day"),
    flag("is_private"),
    integer("sequence"),
    integer("replaces"),
    flag("is_adjustment"),
    text("transaction_hash"),
    text("payload_hash"),
    text("key", nullable=True),
    integer("changed_members"),
    binary("payload"),
    binary("signature"),
    text("reason_hash", nullable=True),
    text("operator", nullable=True),
    text("auditor", nullable=True),
    binary("auditor_signature", nullable=True),
    Index("batches_by_day", "district_id", "day"),
    Index("batches_by_gateway", "gateway_id", "day", "is_private", "sequence", unique=True),
)
taints = fact(
    "taints",
    text("gateway_id"),
    text("district_id"),
    integer("day"),
    flag("is_private"),
    integer("hours"),
    Index("taints_by_day", "district_id", "day"),
)

# Facts: Assessments, with our own figure beside the chain's
assessments = fact(
    "assessments",
    text("assessment_id"),
    text("district_id"),
    text("scheme_id"),
    text("vintage_id"),
    integer("start_day"),
)
FIGURES = ("balance_mwh_pe", "lower_mwh_pe", "upper_mwh_pe", "ghg_mg", "ghg_upper_mg")
finalised_days = fact(
    "finalised_days",
    text("assessment_id"),
    integer("day"),
    *(integer(name) for name in FIGURES),
    integer("complete_hours"),
    flag("edge_estimated"),
    integer("boundary_version"),
    *(integer(f"chain_{name}") for name in FIGURES),
    integer("chain_complete_hours"),
    flag("chain_edge_estimated"),
    integer("chain_boundary_version"),
    Index("finalised_days_by_day", "assessment_id", "day"),
)
booked_adjustments = fact(
    "booked_adjustments",
    text("assessment_id"),
    integer("day"),
    *(integer(name) for name in FIGURES),
    integer("complete_hours"),
    flag("edge_estimated"),
    *(integer(f"chain_{name}") for name in FIGURES),
    integer("chain_complete_hours"),
    flag("chain_edge_estimated"),
    Index("booked_adjustments_by_assessment", "assessment_id", "day"),
)
verdicts = Table(
    "verdicts",
    metadata,
    key("block_number", BigInteger),
    key("assessment_id"),
    text("finding"),
    integer("window_start_day"),
    integer("window_end_day"),
    *(integer(name) for name in FIGURES),
    integer("complete_hours"),
    integer("total_hours"),
    integer("worst_block_hours"),
    integer("first_version"),
    integer("last_version"),
    Index("verdicts_by_window", "assessment_id", "window_end_day"),
)

# Facts: Certificates
certificates = fact(
    "certificates",
    integer("certificate_number"),
    text("assessment_id"),
    text("account"),
    Index("certificates_by_number", "certificate_number", unique=True),
)
certificate_events = fact(
    "certificate_events",
    integer("certificate_number"),
    text("kind"),
    text("details"),
    Index("certificate_events_by_number", "certificate_number"),
)

# Derived: the current state of every district-hour
hours = Table(
    "hours",
    metadata,
    key("district_id"),
    key("hour", BigInteger),
    integer("day"),
    *(
        integer(name)
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
    text("carriers"),
    Index("hours_by_day", "district_id", "day"),
)
hour_balances = Table(
    "hour_balances",
    metadata,
    key("assessment_id"),
    key("hour", BigInteger),
    integer("day"),
    text("factor_source"),
    integer("average_factor", nullable=True),
    integer("marginal_factor", nullable=True),
    integer("export_factor", nullable=True),
    integer("import_load_wh"),
    integer("import_storage_wh"),
    integer("import_rest_wh"),
    integer("attributes_out_wh"),
    integer("attributes_in_wh"),
    integer("imbalance_wh"),
    text("bound_row"),
    flag("complete"),
    *(integer(name, nullable=True) for name in FIGURES),
    integer("ghg_lower_mg", nullable=True),
    Index("hour_balances_by_day", "assessment_id", "day"),
)
day_balances = Table(
    "day_balances",
    metadata,
    key("assessment_id"),
    key("day", BigInteger),
    text("factor_source"),
    *(integer(name, nullable=True) for name in FIGURES),
    integer("ghg_lower_mg", nullable=True),
    integer("vehicle_excess_wh"),
    integer("complete_hours"),
    flag("edge_estimated"),
    integer("boundary_version"),
)
storage_days = Table(
    "storage_days",
    metadata,
    key("district_id"),
    key("point_id"),
    key("day", BigInteger),
    integer("stored_mwh"),
    integer("lowest_mwh"),
    integer("highest_mwh"),
    integer("throughput_wh"),
    integer("capacity_wh"),
)
alarms = Table(
    "alarms",
    metadata,
    key("kind"),
    key("subject"),
    integer("block_number"),
    text("district_id", nullable=True),
    text("assessment_id", nullable=True),
    integer("day", nullable=True),
    text("chain_figure"),
    text("own_figure"),
    text("explanation"),
)
pending_checks = Table(
    "pending_checks",
    metadata,
    key("kind"),
    key("subject"),
    key("day", BigInteger),
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
                    connection.execute(sql_text("SELECT pg_advisory_xact_lock(5064)"))
                metadata.create_all(connection)
                service_metadata.create_all(connection)
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
