// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Assessment, Verdict } from "../types/Verdict.sol";

/// @notice What a run of days adds up to. Primary energy in mWh_PE (Wh times 1/1000), greenhouse gases in mg CO2e, net (emitted minus
/// avoided); exact integers.
struct Totals {
    int256 balance;
    int256 lower;
    int256 upper;
    int256 ghg;
    int256 ghgUpper;
    int256 completeHours;
}

/// @title Assessments: rolling primary-energy balance and verdict of a district
/// @notice An assessment is (district, scheme, factor vintage); several stand side by side over the same hours (domain.md §4).
/// Days are finalised in order by anyone and kept as cumulative sums, so that a rolling-year verdict costs the same however long
/// the year; differences booked after finality lie in a Fenwick tree over days beside them.
/// @dev A day's result depends only on the stored hours, the boundary, the factors, the scheme and the attributes that moved with trades,
/// never on who calls or when: days are finalised only when they are final in the Ledger, their factors are resolved and no trade with
/// attributes of the day is open in the Claims register; anyone can settle it first.
interface IAssessments {
    event AssessmentOpened(
        bytes32 indexed id, bytes32 indexed districtId, bytes32 schemeId, bytes32 vintageId, uint32 startDay
    );

    /// @notice `day` is finalised: its own sums, not cumulative.
    event DayFinalised(
        bytes32 indexed id, uint32 indexed day, Totals totals, bool edgeEstimated, uint16 boundaryVersion
    );

    /// @notice A finalised day was computed again after an adjustment; `difference` was booked.
    event DayAdjusted(bytes32 indexed id, uint32 indexed day, Totals difference, bool edgeEstimated);

    /// @notice The account's organisation neither owns nor operates the district, nor is the account a scheme administrator.
    error NotAllowedToOpen(address account, bytes32 districtId);
    error UnknownDay(bytes32 id, uint32 day);
    error AssessmentExists(bytes32 id);
    error UnknownAssessment(bytes32 id);
    /// @notice The first day lies before the district's first boundary.
    error NoBoundary(bytes32 districtId, uint32 startDay);
    /// @notice The first day lies more than 366 days ahead.
    error StartDayTooLate(uint32 startDay, uint256 latest);
    /// @notice The vintage, or one that it falls back to, is published by the district's owner or meter operator.
    error PublisherNotIndependent(bytes32 vintageId, bytes32 publisherOrg);
    /// @notice The vintage may publish a factor outside the scheme's range, so that the bounds would not hold.
    error FactorsOutsideScheme(bytes32 vintageId, bytes32 schemeId);
    /// @notice The district lets fewer members form a private batch than the scheme demands.
    error MinimumMembersBelowScheme(uint8 minimumMembers, uint8 required);

    /// @notice Opens the assessment (district, scheme, vintage) from `startDay` on.
    /// @return id keccak256(abi.encode(districtId, schemeId, vintageId)).
    function openAssessment(bytes32 districtId, bytes32 schemeId, bytes32 vintageId, uint32 startDay)
        external
        returns (bytes32 id);

    /// @notice Finalises up to `maxDays` further days: those final in the Ledger whose factors are resolved and whose trades with
    /// attributes are settled.
    /// @return finalisedDays how many it did (none is no error).
    function finalise(bytes32 id, uint256 maxDays) external returns (uint256 finalisedDays);

    /// @notice Looks at up to `max` further entries of the Ledger's adjustment list, then of the Claims register's list of changes, and
    /// books the differences of finalised days.
    /// @return entries how many it looked at.
    function bookAdjustments(bytes32 id, uint256 max) external returns (uint256 entries);

    /// @notice Verdict over the window [S, W): `windowEnd` is the day W, S the same calendar date one year before (29 February: 1 March).
    function verdict(bytes32 id, uint32 windowEnd) external view returns (Verdict memory);

    /// @notice Verdict at the last finalised day, going back at most 7 days while the window's edge is estimated.
    function latestVerdict(bytes32 id) external view returns (Verdict memory);

    /// @notice What the assessment is of, the first day, and the first day not yet finalised.
    function assessment(bytes32 id) external view returns (Assessment memory);

    /// @notice Cumulative sums of the days before `day` as finalised, and of the differences booked for them since.
    function cumulative(bytes32 id, uint32 day) external view returns (Totals memory finalised, Totals memory adjusted);

    /// @notice How many entries of the district's adjustment list this assessment has looked at.
    function adjustmentsBooked(bytes32 id) external view returns (uint256);

    /// @notice How many entries of the district's list of changed attributes this assessment has looked at.
    function attributeChangesBooked(bytes32 id) external view returns (uint256);
}
