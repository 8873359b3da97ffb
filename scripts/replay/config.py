"""The TOML file that describes a replay: districts, gateways, points with their CSV series, factors, scheme.

`scripts/replay/README.md` documents the format for people; this module is its definition.
"""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from contracts.hour import day_start, parse_day
from contracts.point import Kind, PointDeclaration, PointInvalid
from optimiser.table import Table, explained, read_toml
from scripts.replay.series import Column

Slug = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
Permille = Annotated[Decimal, Field(ge=0, le=Decimal("65.535"), max_digits=8)]
GramsPerKwh = Annotated[Decimal, Field(ge=0, le=65_535)]


class ConfigError(ValueError):
    """A TOML file that cannot be used; the message names the file, the place, the value and what to do."""


class ColumnTable(Table):
    """A CSV column where its name alone does not say enough."""

    column: str
    csv: str | None = None
    unit: str | None = None
    times: Decimal = Field(default=Decimal(1), gt=0)
    register_values: bool = Field(default=False, alias="register")

    @property
    def is_register(self) -> bool:
        """Whether the column holds a cumulative register; a name with `register` in it says so too."""
        return self.register_values or "register" in self.column.lower()

    def as_column(self) -> Column:
        """The column as the series reader takes it."""
        return Column(self.column, self.unit, self.times)


class PointTable(Table):
    """One metering point. `series = "difference"` (grid only): the grid takes what the other points leave."""

    serial: str
    kind: str
    nameplate_w: int
    efficiency: Decimal = Field(default=Decimal(0), ge=0, le=1)
    capacity_kwh: Decimal = Field(default=Decimal(0), ge=0)
    register_digits: int = 0
    renewable: bool = False
    csv: str | None = None
    supply: ColumnTable | None = None
    draw: ColumnTable | None = None
    series: Literal["columns", "difference"] = "columns"

    @field_validator("supply", "draw", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        known = [kind.name.lower().replace("_", "-") for kind in Kind]
        if value not in known:
            raise ValueError(f"unknown kind {value!r}; use one of {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            declaration = self.declaration()
        except PointInvalid as error:
            raise ValueError(str(error)) from None
        if self.series == "difference":
            if declaration.kind is not Kind.GRID or self.supply or self.draw:
                raise ValueError('series = "difference" is for a grid point without supply and draw columns')
        elif self.supply is None and self.draw is None:
            raise ValueError("name the CSV column of supply, of draw, or of both")
        elif declaration.kind is Kind.LOAD and self.supply is not None:
            raise ValueError("a load has no supply; name its consumption as draw (domain.md §2)")
        columns = [column for column in (self.supply, self.draw) if column]
        if len({column.is_register for column in columns}) > 1:
            raise ValueError("supply and draw must both be registers or both be interval values")
        if any(column.csv is None and self.csv is None for column in columns):
            raise ValueError('no CSV file: set csv = "..." for the point')
        return self

    @property
    def is_register(self) -> bool:
        """Whether the point's meter reports cumulative registers."""
        return any(column.is_register for column in (self.supply, self.draw) if column)

    def declaration(self) -> PointDeclaration:
        """The point as a boundary declares it. Raises PointInvalid."""
        return PointDeclaration(
            serial=self.serial,
            kind=Kind[self.kind.upper().replace("-", "_")],
            nameplate_w=self.nameplate_w,
            efficiency_permille=int(self.efficiency * 1000),
            register_digits=self.register_digits,
            renewable=self.renewable,
            capacity_wh=round(self.capacity_kwh * 1000),
        )


class GatewayTable(Table):
    """One gateway: `point` are district assets (open), `member` the households' points (private batches)."""

    id: Slug
    point: list[PointTable] = Field(default_factory=list)
    member: list[PointTable] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.point and not self.member:
            raise ValueError(f"gateway {self.id!r} has neither a point nor a member")
        for member in self.member:
            if not member.declaration().kind.may_be_private:
                raise ValueError(f"member {member.serial!r}: a household's point cannot be {member.kind!r}")
        return self


class DistrictTable(Table):
    """One district."""

    id: Slug
    name: str
    minimum_members: int = Field(default=5, ge=5, le=255)
    owner: Slug = "municipality"
    """Organisation that owns it."""
    gateway: list[GatewayTable] = Field(min_length=1, max_length=64)

    @property
    def points(self) -> list[PointTable]:
        """All points and members."""
        return [point for gateway in self.gateway for point in (*gateway.point, *gateway.member)]


class SchemeTable(Table):
    """The certification scheme (domain.md §3, §4). PEF in kWh primary energy per kWh."""

    id: Slug = "total-dynamic"
    primary_energy: Literal["total", "non-renewable"] = "total"
    factors: Literal["dynamic", "static"] = "dynamic"
    pef_min: Permille = Decimal("0")
    pef_max: Permille = Decimal("4")
    ghg_max_g_per_kwh: GramsPerKwh = Decimal(1500)
    tolerance_percent: Decimal = Field(default=Decimal(2), ge=0, le=100)
    tolerance_wh: int = Field(default=50, ge=0)
    minimum_members: int = Field(default=5, ge=5, le=255)
    quorum: int = Field(default=1, ge=1, le=255)
    challenge_days: int = Field(default=14, ge=1)
    decision_days: int = Field(default=30, ge=1)
    validity_days: int = Field(default=365, ge=1)


class ElectricityTable(Table):
    """Static factors of electricity."""

    import_pef: Permille
    import_non_renewable_pef: Permille
    import_ghg_g_per_kwh: GramsPerKwh
    export_pef: Permille
    export_non_renewable_pef: Permille
    export_ghg_g_per_kwh: GramsPerKwh


class CarrierTable(Table):
    """Factors of another carrier; what is delivered out counts only if the scheme says so (domain.md §4)."""

    carrier: Literal["gas", "heat", "cooling", "biomass", "oil", "hydrogen", "waste", "other"]
    bought_pef: Permille
    bought_non_renewable_pef: Permille
    bought_ghg_g_per_kwh: GramsPerKwh
    export_pef: Permille = Decimal(0)
    export_non_renewable_pef: Permille = Decimal(0)
    export_ghg_g_per_kwh: GramsPerKwh = Decimal(0)


class TechnologyTable(Table):
    """One technology of the zone's generation mix and its CSV column (any power or energy unit)."""

    column: str
    pef: Permille
    non_renewable_pef: Permille
    ghg_g_per_kwh: GramsPerKwh


class MixTable(Table):
    """The zone's generation mix: `technology` in merit order, cheapest first (domain.md §3).

    With `entsoe_area` the file is one of the ENTSO-E transparency platform, and `column` a production type.
    """

    csv: str
    entsoe_area: str | None = None
    published_decimals: int | None = Field(default=None, ge=3, le=12)
    technology: list[TechnologyTable] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.entsoe_area is not None and self.published_decimals is not None:
            raise ValueError(
                "published_decimals is for a file with a column per technology, not for ENTSO-E's"
            )
        return self


class FactorsTable(Table):
    """The vintage: static factors, carriers, and the generation mix that gives the hourly factors."""

    vintage: Slug = "first"
    electricity: ElectricityTable | None = None
    carrier: list[CarrierTable] = Field(default_factory=list)
    mix: MixTable | None = None


class ReplayConfig(Table):
    """A whole replay."""

    title: str
    zone: Slug
    first_day: date
    last_day: date
    interval_s: Literal[900, 3600] = 3600
    gaps: Literal["refused", "allowed"] = "refused"
    scheme: SchemeTable = SchemeTable()
    factors: FactorsTable
    district: list[DistrictTable] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        self._unique("district", [district.id for district in self.district])
        self._unique("gateway", [gateway.id for district in self.district for gateway in district.gateway])
        self._unique("serial", [point.serial for district in self.district for point in district.points])
        if self.scheme.factors == "dynamic" and self.factors.mix is None:
            raise ValueError("a dynamic scheme needs [factors.mix] with the zone's generation mix")
        if self.scheme.factors == "static" and self.factors.electricity is None:
            raise ValueError("a static scheme needs [factors.electricity]")
        declared = {carrier.carrier for carrier in self.factors.carrier}
        for district in self.district:
            for point in district.points:
                if point.declaration().kind.is_carrier and point.kind not in declared:
                    raise ValueError(
                        f"point {point.serial!r}: carrier {point.kind!r} has no [[factors.carrier]] factors"
                    )
            differences = [point.serial for point in district.points if point.series == "difference"]
            if len(differences) > 1:
                raise ValueError(
                    f"district {district.id!r}: only one point can be the difference: {differences}"
                )
            registers = [point.serial for point in district.points if point.is_register]
            if differences and registers:
                raise ValueError(
                    f"district {district.id!r}: {differences[0]!r} cannot be the difference of registers "
                    f"({registers[0]!r}); give the grid point columns of its own"
                )
        return self

    @staticmethod
    def _unique(what: str, names: list[str]) -> None:
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"{what} {doubled[0]!r} is there twice; a name belongs to one of them")

    @property
    def first_day_number(self) -> int:
        """Days since 1970-01-01 of the first replayed day."""
        return parse_day(self.first_day.isoformat())

    @property
    def day_count(self) -> int:
        """Number of replayed days."""
        return (self.last_day - self.first_day).days + 1

    @property
    def start_s(self) -> int:
        """Unix time, s, at which the first replayed day starts."""
        return day_start(self.first_day_number)

    @property
    def gaps_allowed(self) -> bool:
        """Whether a missing value is simply not sent."""
        return self.gaps == "allowed"

    def shortened(self, days: int) -> "ReplayConfig":
        """The same replay, at most `days` long."""
        last_day = min(self.last_day, self.first_day + timedelta(days=days - 1))
        return self.model_copy(update={"last_day": last_day})


def load_config(path: Path) -> ReplayConfig:
    """Read and check a replay's TOML file. Raises ConfigError naming the place and the value."""
    document = read_toml(path, ConfigError)
    try:
        return ReplayConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(explained(str(path), error)) from None
