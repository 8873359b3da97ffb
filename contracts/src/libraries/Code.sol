// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Bytes kept as the code of a contract: written once, never changed, read with one EXTCODECOPY.
/// The code is one STOP byte, so that nobody can run it, and then the bytes.
library Code {
    error CodeNotStored(uint256 length);

    /// @notice Stores up to 24,575 bytes.
    function store(bytes memory data) internal returns (address pointer) {
        // The first 11 bytes return what follows them: PUSH1 11, MSIZE, DUP2, CODESIZE, SUB, DUP1, SWAP3, MSIZE, CODECOPY, RETURN.
        bytes memory creation = abi.encodePacked(hex"600b5981380380925939f3", hex"00", data);
        assembly ("memory-safe") {
            pointer := create(0, add(creation, 32), mload(creation))
        }
        if (pointer == address(0)) revert CodeNotStored(data.length);
    }

    /// @notice The stored bytes, without the STOP byte. Empty for an address without code.
    function read(address pointer) internal view returns (bytes memory data) {
        uint256 size = pointer.code.length;
        if (size == 0) return data;
        data = new bytes(size - 1);
        assembly ("memory-safe") {
            extcodecopy(pointer, add(data, 32), 1, sub(size, 1))
        }
    }
}
