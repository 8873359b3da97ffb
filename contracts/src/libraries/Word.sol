// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title 32 bytes at any place of a byte string
/// @dev Beyond its end follows whatever lies there: callers cut off what is not theirs.
library Word {
    function inCalldata(bytes calldata data, uint256 offset) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }

    function inMemory(bytes memory data, uint256 offset) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }
}
