// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

enum BaselineMethod {
    TenOfTen,
    HighFiveOfTen
}

/// @notice A demand-response event (domain.md §7): what a grid operator asks districts of a zone to do.
/// @param increase false: reduce net import; true: increase it
/// @param startHour first hour, unix time / 3600
/// @param hourCount number of consecutive hours, 1 to 24, within one UTC day
/// @param requestedWh per hour, over all districts
/// @param priceMicroEurPerKwh paid per delivered kWh
/// @param penaltyMicroEurPerKwh per kWh missing to nine tenths of what was enrolled; at least the price
/// @param enrolUntil unix seconds until which districts enrol; at least noticeSeconds before the start
/// @param noticeSeconds between the end of enrolment and the start
struct EventTerms {
    bytes32 zone;
    bool increase;
    BaselineMethod method;
    uint32 startHour;
    uint8 hourCount;
    uint32 requestedWh;
    uint32 priceMicroEurPerKwh;
    uint32 penaltyMicroEurPerKwh;
    uint40 enrolUntil;
    uint32 noticeSeconds;
}

enum EventStatus {
    None,
    /// Districts can enrol; the operator can still withdraw it.
    Open,
    /// Enrolment is over.
    Committed,
    /// All enrolled districts are measured; they can be paid.
    Measured,
    /// All are paid and the rest of the budget is returned.
    Settled,
    Withdrawn
}

/// @param openedAt unix seconds of the block that opened it: only hours that ended before count for baselines
/// @param budget held: price * requested * hours / 1000, rounded up
/// @param spent of the budget so far
struct ResponseEvent {
    EventTerms terms;
    bytes32 operatorOrg;
    EventStatus status;
    uint40 openedAt;
    uint32 enrolled;
    uint32 measured;
    uint32 paid;
    uint256 budget;
    uint256 spent;
}

/// @param capacityWh per hour
/// @param deposit held of the district's owner: the greatest possible penalty
struct Enrolment {
    uint32 capacityWh;
    bool isMeasured;
    bool isPaid;
    uint256 deposit;
}
