// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the market's participants can rely on; fixed at deployment.
/// @param publisherOrg organisation whose factor publishers publish imbalance prices and holidays
/// @param gateClosureSeconds a book closes so long before its hour begins
/// @param clearingSeconds an outcome must stand so long after gate closure, else the book is void; at most gateClosureSeconds
/// @param imbalanceSeconds the imbalance prices of a day are published at most so long after its end; at most the ledger's finality
/// @param bondMicroEurPerKwh beta: what a seller puts up per kWh, and the most that a missing kWh costs it
/// @param sensitivityWh a demand response below it counts as none
/// @param toleranceBp conservation tolerance of an hour, 1/10,000 of the larger side
/// @param toleranceWh conservation tolerance that always applies, Wh
struct Terms {
    bytes32 publisherOrg;
    uint32 gateClosureSeconds;
    uint32 clearingSeconds;
    uint32 imbalanceSeconds;
    uint32 bondMicroEurPerKwh;
    uint32 sensitivityWh;
    uint16 toleranceBp;
    uint32 toleranceWh;
}

/// @title The market's rules, and what their publisher adds: imbalance prices and holidays (domain.md §§6, 7)
interface IMarketRules {
    /// @notice Imbalance prices of consecutive hours of one UTC day, micro-euro per kWh.
    event ImbalancePublished(uint32 indexed firstHour, uint32[] pricesMicroEurPerKwh);
    /// @notice The holidays of a year (days since 1970), fixed before it begins.
    event HolidaysPublished(uint16 indexed year, uint32[] holidays);

    error TermOutOfRange(string name, uint256 value, uint256 least, uint256 greatest);
    error NotPublisher(address account, bytes32 organisationId, bytes32 expected);
    error HourNotOver(uint32 hour, uint256 endsAt);
    error ImbalanceTooLate(uint32 hour, uint256 deadline);
    error ImbalancePublishedBefore(uint32 hour);
    error HoursOfSeveralDays(uint32 firstHour, uint256 count);
    error PriceTooGreat(uint32 priceMicroEurPerKwh);
    error YearBegun(uint16 year, uint256 beganAt);
    error HolidaysPublishedBefore(uint16 year);
    error NotInYear(uint32 day, uint16 year);

    function terms() external view returns (Terms memory);

    /// @notice Unix seconds at which the books of the hour close.
    function closesAt(uint32 hour) external view returns (uint256);

    /// @notice Unix seconds from which a book of the hour without an outcome is void.
    function clearedBy(uint32 hour) external view returns (uint256);

    /// @notice Publishes the imbalance prices of up to 24 hours of one day, once, after they ended and before the deadline.
    function publishImbalance(uint32 firstHour, uint32[] calldata pricesMicroEurPerKwh) external;

    /// @return known false as long as the price can still be published
    /// @return priceMicroEurPerKwh as published, or the bond rate when none came in time
    function imbalancePrice(uint32 hour) external view returns (bool known, uint32 priceMicroEurPerKwh);

    /// @notice Fixes the holidays of a year, once, before it begins (UTC). A year without a list has none.
    function publishHolidays(uint16 year, uint32[] calldata holidays) external;

    /// @notice Saturday, Sunday or a published holiday.
    function isRestDay(uint32 day) external view returns (bool);
}
