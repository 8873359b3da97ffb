"""What people and programs are shown: one definition for the API, its OpenAPI document and the pages.

Units are in the names: `_wh` Wh, `_w` W, `_mwh_pe` mWh of primary energy (Wh times a factor in 1/1000),
`_mg` mg CO2e, `_factor` a primary-energy factor in 1/1000, times ISO 8601 UTC. Null means not known, never
zero.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """Immutable answer."""

    model_config = ConfigDict(frozen=True)


class AsOf(View):
    """The block up to which the answer knows the chain."""

    block_number: int
    block_hash: str
    time_utc: datetime


class Totals(View):
    """Balance of a span of time with its bounds (domain.md §4): the balance should be positive, GHG not."""

    balance_mwh_pe: int
    lower_mwh_pe: int
    upper_mwh_pe: int
    ghg_mg: int
    ghg_upper_mg: int


class Verdict(Totals):
    """Finding over the rolling year `[window_start_day, window_end_day)`, as we compute it from the logs."""

    assessment_id: str
    finding: str
    positive: bool
    window_start_day: date
    window_end_day: date
    complete_hours: int
    total_hours: int
    worst_block_hours: int = Field(description="Complete hours in the worst of the twelve 30-day blocks")
    first_boundary_version: int
    last_boundary_version: int
    known_block_number: int = Field(description="The block from which on this verdict holds")
    known_time_utc: datetime


class Scheme(View):
    """Certification scheme: the rules of an assessment."""

    scheme_id: str
    primary_energy: Literal["total", "non_renewable"]
    factors: Literal["static", "dynamic"]
    f_min: int
    f_max: int
    g_min: int
    g_max: int
    tolerance_bp: int
    tolerance_wh: int
    minimum_members: int
    quorum: int
    challenge_days: int
    decision_days: int
    validity_days: int


class Assessment(View):
    """District, scheme and factor vintage, judged together from `start_day` on."""

    assessment_id: str
    district_id: str
    scheme_id: str
    vintage_id: str
    start_day: date
    final_until_day: date = Field(description="Days before this one are final on chain")
    latest_verdict: Verdict | None
    certificate_number: int | None


class DistrictOverview(View):
    """A district as the list shows it, with the assessment of its certificate, or else its first."""

    district_id: str
    zone: str
    owner_organisation_id: str
    owner_organisation: str
    operator_organisation_id: str
    operator_organisation: str
    assessment_id: str | None
    scheme_id: str | None
    vintage_id: str | None
    certificate_number: int | None
    certificate_status: str | None
    certificate_valid: bool | None
    latest_verdict: Verdict | None
    last_recorded_hour_utc: datetime | None
    alarm_count: int


class Point(View):
    """Metering point of a boundary version; `point_id` is a member's salted commitment when private."""

    point_id: str
    gateway_id: str
    kind: str
    private: bool
    renewable: bool
    nameplate_w: int
    cap_wh: int
    efficiency_permille: int
    register_digits: int
    capacity_wh: int
    """Usable energy of a battery; 0: not declared."""


class BoundaryVersion(View):
    """What belongs to a district from `from_day` on."""

    version: int
    from_day: date
    open_points: int
    members: int
    load_metered: bool
    restart_day: date | None = Field(description="The twelve months count from here after a removal")


class GatewayState(View):
    """Gateway with the key in force; null after a revocation until a new one is registered."""

    gateway_id: str
    key: str | None
    last_recorded_day: date | None


class District(View):
    """A district with everything that belongs to it."""

    overview: DistrictOverview
    minimum_members: int
    boundary_versions: list[BoundaryVersion]
    gateways: list[GatewayState]
    points: list[Point]
    assessments: list[Assessment]


class CarrierFlow(View):
    """One carrier other than electricity in one hour."""

    carrier: str
    bought_wh: int
    delivered_wh: int


class HourBalance(View):
    """An hour: metered flows, and one assessment's balance where its factors are known (domain.md §2-4)."""

    start_time_utc: datetime
    import_wh: int
    export_wh: int
    production_wh: int
    renewable_wh: int
    consumption_wh: int
    charge_wh: int
    discharge_wh: int
    foreign_wh: int = Field(description="Production from fuel that no carrier point meters")
    carriers: list[CarrierFlow]
    net_export_wh: int
    import_load_wh: int | None
    import_storage_wh: int | None
    import_rest_wh: int | None
    attributes_out_wh: int | None = Field(
        description="Export that buyers took over with its attributes (domain.md §6): it does not count here"
    )
    attributes_in_wh: int | None = Field(
        description="Import that came with its attributes: it is not weighted here, of load first"
    )
    imbalance_wh: int | None
    factor_source: str | None = Field(description="published, parent, static, lacking or pending")
    average_factor: int | None
    marginal_factor: int | None
    export_factor: int | None
    balance_mwh_pe: int | None
    lower_mwh_pe: int | None
    upper_mwh_pe: int | None
    ghg_mg: int | None
    ghg_lower_mg: int | None
    ghg_upper_mg: int | None
    bound_row: str | None = Field(description="Which row of the table of bounds in domain.md §4 applies")
    complete: bool
    measured_points: int
    open_points: int
    measured_members: int
    registered_members: int
    estimated_points: int
    tainted: bool = Field(description="Signed with a key that was compromised")
    short_grid_cap_wh: int
    short_carrier_cap_wh: int
    short_foreign_cap_wh: int
    boundary_version: int


class DayBalance(View):
    """A UTC day of one assessment; `cumulative` runs from the first day asked for."""

    day: date
    import_wh: int
    export_wh: int
    production_wh: int
    consumption_wh: int
    charge_wh: int
    discharge_wh: int
    balance_mwh_pe: int | None
    lower_mwh_pe: int | None
    upper_mwh_pe: int | None
    ghg_mg: int | None
    ghg_lower_mg: int | None
    ghg_upper_mg: int | None
    cumulative_balance_mwh_pe: int
    cumulative_lower_mwh_pe: int
    cumulative_upper_mwh_pe: int
    complete_hours: int
    edge_estimated: bool
    vehicle_excess_wh: int
    boundary_version: int
    factor_source: str
    final: bool
    adjusted: bool = Field(description="An adjustment was booked after the day became final")


class Coverage(View):
    """How complete a day is, and what is missing."""

    day: date
    hours_recorded: int
    complete_hours: int | None
    expected_records: int
    measured_records: int
    expected_members: int
    measured_members: int
    estimated_records: int
    tainted_hours: int
    gaps: list[str] = Field(description="Hours of the day, `HH:00Z`, without every measured record")


class ImplausibleStorage(View):
    """A stationary battery that no initial state of charge explains (domain.md §2)."""

    point_id: str
    from_day: date
    to_day: date
    swing_wh: int
    allowed_wh: int
    explanation: str


class Indicator(View):
    """One number with all that is needed to check it; `value` is null where undefined, with the reason."""

    id: str
    name: str
    formula: str
    formula_version: int
    unit: str
    resolution: str
    value: float | None
    numerator: float | None
    denominator: float | None
    reason: str | None = None


class FactorHour(View):
    """Factors of one hour: primary energy in 1/1000, GHG in g CO2e per kWh."""

    start_time_utc: datetime
    average_total: int
    marginal_total: int
    average_non_renewable: int
    marginal_non_renewable: int
    average_ghg_g_per_kwh: int
    marginal_ghg_g_per_kwh: int


class CertificateEvent(View):
    """A step in a certificate's life, as the chain recorded it."""

    kind: str
    time_utc: datetime
    block_number: int
    details: dict[str, str | int | bool | None]


class Certificate(View):
    """A certificate at time `at_time_utc`, as known at `known_time_utc` (domain.md §4)."""

    certificate_number: int
    district_id: str
    assessment_id: str
    scheme_id: str
    vintage_id: str
    at_time_utc: datetime
    known_time_utc: datetime
    status: str
    valid: bool
    reasons: list[str] = Field(description="Why it is not valid, in words; empty when it is")
    applied_time_utc: datetime
    certified_time_utc: datetime | None
    expiry_time_utc: datetime | None
    verdict: Verdict | None
    boundary_versions: list[int]


class BatchReference(View):
    """A signed batch of a gateway and where the chain holds it."""

    gateway_id: str
    district_id: str
    day: date
    sequence: int
    private: bool
    adjustment: bool
    replaces: int
    replaced: bool = Field(description="None of its hours is in force any more")
    block_number: int
    log_index: int
    transaction_hash: str
    payload_hash: str
    key: str | None


class Reading(View):
    """A point's record in one hour; for a private batch the sum over the members of one kind."""

    start_time_utc: datetime
    point_id: str | None
    kind: str
    private: bool
    status: str
    supply_wh: int
    draw_wh: int
    members: int | None = None
    in_force: bool


class Batch(BatchReference):
    """A batch with its readings."""

    block_time_utc: datetime
    signature: str
    payload: str
    readings: list[Reading]


class Alarm(View):
    """Our own computation and the chain differ, or the chain's own data contradict each other."""

    kind: str
    subject: str
    district_id: str | None
    assessment_id: str | None
    day: date | None
    chain_figure: str
    own_figure: str
    explanation: str
    block_number: int


class Status(View):
    """Where the projection stands."""

    chain_id: int | None
    ledger: str | None
    followed_block_number: int | None
    followed_block_hash: str | None
    followed_time_utc: datetime | None
    chain_block_number: int | None
    observed_time_utc: datetime | None
    lag_blocks: int | None
    pending_checks: int
    alarm_count: int
    problem: str | None
