// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Stream word: which batches of a gateway hold which hours of a day (layout: ILedger)
library StreamWord {
    uint256 private constant LAST_SEQUENCE = 192;
    uint256 private constant LAST_ACCEPTED_AT = 200;
    uint256 private constant TAINTED = 232;

    /// @notice Key of a stream and day in the ledger's mappings.
    function key(uint256 day, bool isPrivate) internal pure returns (uint256) {
        return day * 2 + (isPrivate ? 1 : 0);
    }

    function lastSequence(uint256 word) internal pure returns (uint256) {
        return (word >> LAST_SEQUENCE) & 0xff;
    }

    function lastAcceptedAt(uint256 word) internal pure returns (uint256) {
        return (word >> LAST_ACCEPTED_AT) & 0xffffffff;
    }

    /// @notice Sequence of the batch that holds the hour, 0 for none.
    function holder(uint256 word, uint256 hourOfDay) internal pure returns (uint256) {
        return (word >> (hourOfDay * 8)) & 0xff;
    }

    function isTainted(uint256 word, uint256 hourOfDay) internal pure returns (bool) {
        return (word >> (TAINTED + hourOfDay)) & 1 == 1;
    }

    /// @notice The word when batch `sequence` takes the hour over, which clears the hour's taint.
    function withHolder(uint256 word, uint256 hourOfDay, uint256 sequence) internal pure returns (uint256) {
        uint256 cleared = word & ~((0xff << (hourOfDay * 8)) | (1 << (TAINTED + hourOfDay)));
        return cleared | (sequence << (hourOfDay * 8));
    }

    function withTaint(uint256 word, uint256 hourBits) internal pure returns (uint256) {
        return word | (hourBits << TAINTED);
    }

    /// @notice The word after a batch. `acceptedAt` 0 leaves the time of acceptance as it was.
    function withBatch(uint256 word, uint256 sequence, uint256 acceptedAt) internal pure returns (uint256) {
        word = (word & ~(uint256(0xff) << LAST_SEQUENCE)) | (sequence << LAST_SEQUENCE);
        if (acceptedAt == 0) return word;
        return (word & ~(uint256(0xffffffff) << LAST_ACCEPTED_AT)) | (uint256(uint32(acceptedAt)) << LAST_ACCEPTED_AT);
    }
}
