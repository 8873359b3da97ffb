// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Enrolment, EventTerms, ResponseEvent } from "../types/Response.sol";

/// @title Demand response, paid by what the ledger measured against a baseline that nobody declares (domain.md §7)
/// @notice Measured is the district's net import M = import - export. Baselines are computed on chain from the ledger's final hours when
/// the event is measured; only hours that ended before the event was opened count.
/// An event's hours that are not complete, and those of a district without a baseline, count 0.
/// @dev Order of calls: openEvent, enrol ..., (event's day final) measure each district, then pay each, the last one returns what is left of the
/// budget. Everyone may call measure and pay, and neither depends on another district's cooperation. An adjustment of the ledger that is
/// booked after a district was measured changes nothing.
interface IFlexibility {
    event EventOpened(
        uint256 indexed eventId, bytes32 indexed zone, bytes32 indexed operatorOrg, EventTerms terms, uint256 budget
    );
    event EventWithdrawn(uint256 indexed eventId);
    /// @param baselineDays similar days that the baseline can use, 5 to 10
    event Enrolled(
        uint256 indexed eventId, bytes32 indexed districtId, uint32 capacityWh, uint256 deposit, uint8 baselineDays
    );
    /// @notice Per event hour: baseline B and measured M (net import, Wh) and what counts of the response. type(int64).min stands for no
    /// baseline, and for an hour that is not complete.
    event Measured(
        uint256 indexed eventId, bytes32 indexed districtId, int64[] baselineWh, int64[] measuredWh, uint32[] responseWh
    );
    event ResponsePaid(
        uint256 indexed eventId,
        bytes32 indexed districtId,
        uint256 remuneration,
        uint256 penalty,
        uint256 depositReturned
    );
    event EventSettled(uint256 indexed eventId, uint256 spent, uint256 returned);

    error NotGridOperator(address caller);
    error TermsInvalid(string name, uint256 value);
    error UnknownEvent(uint256 eventId);
    error NotEventOperator(address caller, bytes32 operatorOrg);
    error WithdrawnEvent(uint256 eventId);
    error EnrolmentClosed(uint256 eventId, uint256 closedAt);
    error EnrolmentOpen(uint256 eventId, uint256 closesAt);
    error WrongZone(bytes32 districtId, bytes32 zone, bytes32 expected);
    error NotDistrictOwner(address caller, bytes32 districtId);
    error CapacityZero();
    error CapacityAboveRequest(uint32 capacityWh, uint32 requestedWh);
    error AlreadyEnrolled(uint256 eventId, bytes32 districtId);
    /// @notice Fewer than five similar days lie before the opening: there would be no baseline and no pay.
    error TooFewBaselineDays(bytes32 districtId, uint256 found, uint256 needed);
    /// @notice The district has another event in one of these hours.
    error HoursTaken(bytes32 districtId, uint32 hour);
    error NotEnrolled(uint256 eventId, bytes32 districtId);
    error DayNotFinal(uint32 day, uint256 finalFrom);
    /// @notice Trades of the hour come first: settle them.
    error TradesUnsettled(bytes32 districtId, uint32 hour);
    error AlreadyMeasured(uint256 eventId, bytes32 districtId);
    error NotAllMeasured(uint256 eventId, uint32 measured, uint32 enrolled);
    error AlreadyPaid(uint256 eventId, bytes32 districtId);
    error NothingToReturn(uint256 eventId);
    /// @notice Escrow and claims register take orders from another contract.
    error NotNamed(address other);

    /// @notice Opens an event and holds its budget. Only GRID_OPERATOR accounts; money of their organisation.
    function openEvent(EventTerms calldata terms) external returns (uint256 eventId);

    /// @notice Withdraws an event while districts can still enrol; everything held is given back (deposits when each district is paid).
    function withdrawEvent(uint256 eventId) external;

    /// @notice Enrols capacity of a district of the zone; an account of its owner with the role DISTRICT_OWNER. Holds the deposit.
    function enrol(uint256 eventId, bytes32 districtId, uint32 capacityWh) external;

    /// @notice Computes baseline and response of an enrolled district from final hours.
    function measure(uint256 eventId, bytes32 districtId) external;

    /// @notice Pays a measured district once all are measured, and takes its penalty.
    function pay(uint256 eventId, bytes32 districtId) external;

    /// @notice Gives the operator its budget back when nobody enrolled.
    function returnBudget(uint256 eventId) external;

    function eventCount() external view returns (uint256);
    function responseEvent(uint256 eventId) external view returns (ResponseEvent memory);
    function enrolment(uint256 eventId, bytes32 districtId) external view returns (Enrolment memory);
    function responseWh(uint256 eventId, bytes32 districtId) external view returns (uint32[] memory);
    /// @notice Whether the day counts as an event day of the district: one with an event that it enrolled in and that was not withdrawn.
    /// The baseline of another event does not use it if that enrolment was over when the other event was opened.
    function isEventDay(bytes32 districtId, uint32 day) external view returns (bool);
    /// @notice The baseline of an event as of now; only final hours make it final. Exact, rounded once: down to reduce, up to increase.
    /// @return daysUsed similar days used, rising; without a baseline those that there are
    /// @return baselineWh per hour; empty: fewer than 5 days, or no complete hour that could stand in for one that is not
    function baseline(uint256 eventId, bytes32 districtId)
        external
        view
        returns (uint32[] memory daysUsed, int64[] memory baselineWh);
}
