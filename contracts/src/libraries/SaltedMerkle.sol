// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Merkle tree over members' salted readings (domain.md §8)
/// @notice What a private batch's root commits to; used by whoever checks a disclosed reading, and the twin of contracts/privacy.py.
/// Leaves are hashed twice, leaf and node domains are separated, an odd last node is promoted unchanged (never duplicated).
library SaltedMerkle {
    /// @notice What the Registry knows of a member's meter.
    function commitment(bytes32 serial, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode("PED member", serial, salt))));
    }

    /// @notice Leaf of one member's reading in one hour; energies in Wh.
    function leaf(bytes32 member, uint32 hour, uint32 supplyWh, uint32 drawWh, bytes32 salt)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(bytes.concat(hex"00", keccak256(abi.encode(member, hour, supplyWh, drawWh, salt))));
    }

    function parent(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"01", left, right));
    }

    /// @notice Whether `node` is leaf number `index` of `count` under `expectedRoot`.
    /// @param siblings from the leaf upward; a level at which the node is promoted has none
    function verify(bytes32 node, uint256 index, uint256 count, bytes32[] memory siblings, bytes32 expectedRoot)
        internal
        pure
        returns (bool)
    {
        if (index >= count) return false;
        uint256 used = 0;
        for (; count > 1; count = (count + 1) / 2) {
            if (index ^ 1 < count) {
                if (used == siblings.length) return false;
                bytes32 sibling = siblings[used++];
                node = index & 1 == 1 ? parent(sibling, node) : parent(node, sibling);
            }
            index /= 2;
        }
        return used == siblings.length && node == expectedRoot;
    }

    /// @notice Root of at least one leaf, in order of commitment. Overwrites `leaves`.
    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        uint256 count = leaves.length;
        for (; count > 1; count = (count + 1) / 2) {
            for (uint256 i = 0; i < count / 2; ++i) {
                leaves[i] = parent(leaves[2 * i], leaves[2 * i + 1]);
            }
            if (count & 1 == 1) leaves[count / 2] = leaves[count - 1];
        }
        return leaves[0];
    }
}
