// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Why an assessment is or is not positive for a window; the first reason that applies, in this order.
enum Finding {
    Positive,
    NotFinal,
    WindowTooShort,
    BoundaryRestarted,
    EdgeEstimated,
    AdjustmentsPending,
    CompromisePending,
    Incomplete,
    BalanceNotPositive,
    GhgPositive
}

/// @notice The PED condition over the window [windowStart, windowEnd) (domain.md §4).
/// @param finding Positive, or the reason why not
/// @param windowStart first day of the window
/// @param windowEnd day after the window's last day
/// @param balance primary-energy balance, mWh_PE
/// @param lower lower bound of the balance, mWh_PE
/// @param upper upper bound of the balance, mWh_PE
/// @param ghg net GHG, mg CO2e
/// @param ghgUpper upper bound of the net GHG, mg CO2e
/// @param completeHours complete hours of the window
/// @param totalHours hours of the window
/// @param worstBlockHours complete hours of the least complete of the twelve 30-day blocks before windowEnd
/// @param firstVersion boundary version of the window's first day
/// @param lastVersion boundary version of the window's last day
struct Verdict {
    Finding finding;
    uint32 windowStart;
    uint32 windowEnd;
    int256 balance;
    int256 lower;
    int256 upper;
    int256 ghg;
    int256 ghgUpper;
    uint32 completeHours;
    uint32 totalHours;
    uint32 worstBlockHours;
    uint16 firstVersion;
    uint16 lastVersion;
}

/// @notice One assessment: (district, scheme, factor vintage) over the district's stored hours.
/// @param districtId zero when the assessment does not exist
/// @param startDay first day that it finalises
/// @param frontier first day that is not yet finalised; startDay when none is
struct Assessment {
    bytes32 districtId;
    bytes32 schemeId;
    bytes32 vintageId;
    uint32 startDay;
    uint32 frontier;
}
