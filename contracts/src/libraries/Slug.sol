// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Readable identifiers as bytes32: ASCII, left-aligned, zero padded, 1 to 32 characters.
library Slug {
    /// @dev Bit c is set when ASCII character c is allowed.
    uint256 private constant DIGITS = uint256(0x3ff) << 48;
    uint256 private constant LOWER = uint256(0x3ffffff) << 97;
    uint256 private constant UPPER = uint256(0x3ffffff) << 65;
    uint256 private constant SLUG = DIGITS | LOWER | (1 << 45);
    uint256 private constant SERIAL = SLUG | UPPER | (1 << 46) | (1 << 95);

    /// @notice `[a-z0-9-]{1,32}`
    function isSlug(bytes32 id) internal pure returns (bool) {
        return _consistsOf(id, SLUG);
    }

    /// @notice `[A-Za-z0-9._-]{1,32}`
    function isSerial(bytes32 id) internal pure returns (bool) {
        return _consistsOf(id, SERIAL);
    }

    function _consistsOf(bytes32 id, uint256 allowed) private pure returns (bool) {
        uint256 rest = uint256(id);
        if (rest == 0) return false;
        while (rest != 0) {
            if ((allowed >> (rest >> 248)) & 1 == 0) return false;
            rest <<= 8;
        }
        return true;
    }
}
