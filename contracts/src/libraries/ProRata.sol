// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Cut } from "../types/Trade.sol";

/// @title Shares by the largest remainder (domain.md §6)
/// @notice A total `rest` is shared over quantities whose sum is `sum`: each gets floor(quantity * rest / sum); what is left goes, one unit
/// each, to the largest fractions, equal ones by the lowest identity. Who these are is shown as a Cut, which is right exactly if
/// it chooses as many as units are left: fractions and identities are in one strict order, so a cut chooses its best ones.
library ProRata {
    /// @notice `fraction` of a cut that chooses nobody; its `id` is 0. No fraction reaches it.
    uint128 internal constant NOBODY = type(uint128).max;

    /// @notice The share rounded down, and the numerator of what was cut off (over `sum`).
    /// @dev Cannot overflow: quantities are below 2**32 and sums below 2**96 in Wh, fractions below `sum`.
    /// @param sum not 0
    function share(uint256 quantity, uint256 rest, uint256 sum)
        internal
        pure
        returns (uint256 floor, uint256 fraction)
    {
        unchecked {
            uint256 product = quantity * rest;
            floor = product / sum;
            fraction = product % sum;
        }
    }

    /// @notice Whether the one with that fraction and identity gets one unit more.
    function isChosen(Cut memory cut, uint256 fraction, bytes32 id) internal pure returns (bool) {
        return fraction > cut.fraction || (fraction == cut.fraction && id <= cut.id);
    }

    /// @notice Whether it is the last one chosen: a cut must name one, so that there is one right cut only.
    function isLast(Cut memory cut, uint256 fraction, bytes32 id) internal pure returns (bool) {
        return fraction == cut.fraction && id == cut.id;
    }

    /// @notice Whether the cut is right.
    /// @param chosen how many it chooses
    /// @param named whether it names the last one chosen
    /// @param left units that the floors leave
    function isRight(Cut memory cut, uint256 chosen, bool named, uint256 left) internal pure returns (bool) {
        if (chosen != left) return false;
        return named || (left == 0 && cut.fraction == NOBODY && cut.id == 0);
    }
}
