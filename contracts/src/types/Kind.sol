// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Role and carrier of a metering point in one byte (domain.md §2). The numbers are part of the record formats.
library Kind {
    uint8 internal constant GRID = 1;
    /// @dev Fuel-free, or a fuel generator whose fuel is metered by a carrier point of the same district.
    uint8 internal constant GENERATION = 2;
    /// @dev A fuel generator without a carrier point: its production counts as import at the marginal factor.
    uint8 internal constant FUEL_GENERATION = 3;
    uint8 internal constant STORAGE = 4;
    uint8 internal constant VEHICLE = 5;
    uint8 internal constant LOAD = 6;
    uint8 internal constant FIRST_CARRIER = 17;
    uint8 internal constant LAST_CARRIER = 24;

    function isKnown(uint8 kind) internal pure returns (bool) {
        return (kind >= GRID && kind <= LOAD) || isCarrier(kind);
    }

    function isCarrier(uint8 kind) internal pure returns (bool) {
        return kind >= FIRST_CARRIER && kind <= LAST_CARRIER;
    }

    /// @notice Whether a member (a household) may have a point of this kind.
    function isPrivate(uint8 kind) internal pure returns (bool) {
        return kind == GENERATION || kind == STORAGE || kind == LOAD || isCarrier(kind);
    }
}
