// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Amounts of energy at a price, micro-euro (domain.md §6)
/// @dev Cannot overflow: energies are below 2**128 Wh and prices below 2**32 micro-euro per kWh.
library Money {
    uint256 private constant WH_PER_KWH = 1000;

    /// @notice Rounded down.
    function down(uint256 energyWh, uint256 priceMicroEurPerKwh) internal pure returns (uint256) {
        unchecked {
            return energyWh * priceMicroEurPerKwh / WH_PER_KWH;
        }
    }

    /// @notice Rounded up.
    function up(uint256 energyWh, uint256 priceMicroEurPerKwh) internal pure returns (uint256) {
        unchecked {
            return (energyWh * priceMicroEurPerKwh + WH_PER_KWH - 1) / WH_PER_KWH;
        }
    }
}
