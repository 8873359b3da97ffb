// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Cut } from "contracts/types/Trade.sol";

/// @notice Shares of domain.md §6, written from its text: rounded down, then one Wh more for the largest fraction, ties to the lowest
/// identity, again and again until nothing is left.
library PlainSettlement {
    function shares(uint256[] memory quantities, bytes32[] memory ids, uint256 availableWh)
        internal
        pure
        returns (uint256[] memory delivered, Cut memory cut)
    {
        uint256 count = ids.length;
        uint256 soldWh = 0;
        for (uint256 i = 0; i < count; ++i) {
            soldWh += quantities[i];
        }
        if (availableWh > soldWh) availableWh = soldWh;
        delivered = new uint256[](count);
        uint256 left = availableWh;
        for (uint256 i = 0; i < count; ++i) {
            delivered[i] = quantities[i] * availableWh / soldWh;
            left -= delivered[i];
        }
        cut.fraction = type(uint128).max;
        bool[] memory taken = new bool[](count);
        for (; left > 0; --left) {
            uint256 best = count;
            uint256 bestFraction = 0;
            for (uint256 i = 0; i < count; ++i) {
                if (taken[i]) continue;
                uint256 fraction = quantities[i] * availableWh % soldWh;
                bool better =
                    best == count || fraction > bestFraction || (fraction == bestFraction && ids[i] < ids[best]);
                if (better) (best, bestFraction) = (i, fraction);
            }
            taken[best] = true;
            ++delivered[best];
            cut = Cut(uint128(bestFraction), ids[best]);
        }
    }

    /// @notice What a trade brings the seller in the end, micro-euro; what it is short of costs clamp(imbalance - price, price / 10, bond).
    function toSeller(uint256 quantityWh, uint256 deliveredWh, uint256 price, uint256 imbalance, uint256 bond)
        internal
        pure
        returns (int256)
    {
        uint256 rate = imbalance > price ? imbalance - price : 0;
        if (rate < price / 10) rate = price / 10;
        if (rate > bond) rate = bond;
        return int256(deliveredWh * price / 1000) - int256((quantityWh - deliveredWh) * rate / 1000);
    }
}
