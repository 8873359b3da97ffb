// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What one batch adds to the words of one hour (layouts: ILedger), and to the vehicle word of its day.
/// @dev All lanes are far from their neighbours (ILedger, assumptions), so that words are added and subtracted whole.
struct HourSums {
    uint256 hour;
    uint256 extra;
    uint256 firstCarriers;
    uint256 lastCarriers;
    uint256 vehicles;
}

/// @notice Places in the words of the ledger.
library Lane {
    uint256 internal constant MEASURED = 192;
    uint256 internal constant MEMBERS = 208;
    uint256 internal constant EXTRAS = 224;
    uint256 internal constant CARRIERS = 240;

    uint256 internal constant TAINTED = 16;
    uint256 internal constant SHORT_GRID = 32;
    uint256 internal constant SHORT_CARRIER = 72;
    uint256 internal constant SHORT_FOREIGN = 112;
    uint256 internal constant FOREIGN = 152;

    /// @dev Byte k: where kind k's supply goes in the hour word. A load supplies nothing: what it claims falls outside the six
    /// lanes, at bit 192, and is refused there. Kind 0 is what fills the last word of a manifest.
    uint256 private constant SUPPLY = (0 << 8) | (64 << 16) | (64 << 24) | (160 << 32) | (160 << 40) | (192 << 48);
    /// @dev Byte k: where kind k's draw goes.
    uint256 private constant DRAW = (32 << 8) | (96 << 16) | (96 << 24) | (128 << 32) | (128 << 40) | (96 << 48);

    /// @param kindBits kind * 8
    function supplyOf(uint256 kindBits) internal pure returns (uint256) {
        return (SUPPLY >> kindBits) & 0xff;
    }

    function drawOf(uint256 kindBits) internal pure returns (uint256) {
        return (DRAW >> kindBits) & 0xff;
    }
}
