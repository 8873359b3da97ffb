// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What is claimed of one district-hour, Wh.
/// @param externalWh declared for external certificates before gate closure; of the metered export it comes first
/// @param deliveredWh delivered in trades
/// @param attributesOutWh of these, what moved with its attributes: the export falls by it
/// @param attributesInWh what moved in from others: the import falls by it
/// @param responseWh demand response that counted
struct HourClaims {
    uint32 externalWh;
    uint32 deliveredWh;
    uint32 attributesOutWh;
    uint32 attributesInWh;
    uint32 responseWh;
}

/// @title Claims register: each exported kWh is claimed once (domain.md §6)
/// @notice Per district-hour and with a fixed precedence, so that nothing depends on who calls first: external certificates declared
/// before gate closure, then trades, then demand response.
/// @dev One word per district-hour, five lanes of 32 bits in the order of HourClaims. Writers are fixed at deployment.
interface IClaims {
    /// @notice Replaces what was declared before.
    event ExternalDeclared(bytes32 indexed districtId, uint32 indexed hour, uint32 energyWh, bytes32 evidenceHash);
    event DeliveryBooked(bytes32 indexed districtId, uint32 indexed hour, uint32 deliveredWh);
    /// @notice The sums of the hour after a settlement or its follow-up.
    event AttributesBooked(
        bytes32 indexed districtId, uint32 indexed hour, uint32 attributesOutWh, uint32 attributesInWh
    );
    event ResponseBooked(bytes32 indexed districtId, uint32 indexed hour, uint32 responseWh);

    error NotWriter(address caller);
    error NotOwner(address caller, bytes32 districtId);
    error GateClosed(uint32 hour, uint256 closedAt);
    /// @notice What is claimed of the hour, external certificates first, would be more than its metered net export.
    error ExceedsExport(bytes32 districtId, uint32 hour, uint256 claimedWh, uint256 exportWh);

    /// @notice Declares energy of an hour to be certified elsewhere; a district owner's account, before the hour's gate closure.
    function declareExternal(bytes32 districtId, uint32 hour, uint32 energyWh, bytes32 evidenceHash) external;

    /// @notice Market: so much more may move with attributes on that day (an order or a trade was recorded). A day with something open
    /// cannot be finalised in an assessment.
    function openAttributes(bytes32 districtId, uint32 hour, uint256 quantityWh) external;

    /// @notice Market and Settlement: so much less may still move (cancelled, unfilled, released or settled).
    function closeAttributes(bytes32 districtId, uint32 hour, uint256 quantityWh) external;

    /// @notice Settlement: delivered of the hour, replacing what a former settlement booked.
    /// Reverts when that and the external certificates are more than the metered net export.
    function bookDelivery(bytes32 districtId, uint32 hour, uint32 deliveredWh) external;

    /// @notice Settlement: attributes move (or, negative, move back). A day of which nothing is open, so that
    /// an assessment may have finalised it, is listed as changed.
    function moveAttributes(bytes32 sellerId, bytes32 buyerId, uint32 hour, int64 energyWh) external;

    /// @notice Flexibility: demand response of the hour that counted, over all events.
    function bookResponse(bytes32 districtId, uint32 hour, uint32 responseWh) external;

    function hourClaims(bytes32 districtId, uint32 hour) external view returns (HourClaims memory);

    /// @notice What an assessment of a day needs.
    /// @return openWh may still move: not final
    /// @return hourBits bit h: hour h has attributes moved in or out
    function dayAttributes(bytes32 districtId, uint32 day) external view returns (uint256 openWh, uint24 hourBits);

    /// @notice The 24 words of a day.
    function hourWords(bytes32 districtId, uint32 day) external view returns (uint256[24] memory words);

    /// @notice Days whose attributes changed by a follow-up after they were settled; a day may be listed more than once.
    function changeCount(bytes32 districtId) external view returns (uint256);
    function changeDay(bytes32 districtId, uint256 index) external view returns (uint32);

    /// @notice The writers.
    function market() external view returns (address);
    function settlement() external view returns (address);
    function flexibility() external view returns (address);
}
