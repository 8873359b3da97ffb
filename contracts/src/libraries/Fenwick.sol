// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "../interfaces/IAssessments.sol";
import { DayTotals, PackedTotals } from "./DayTotals.sol";

/// @title Fenwick tree of day totals
/// @notice Adding to one day and summing the days before another both take at most 15 nodes (P. Fenwick, "A new data structure for
/// cumulative frequency tables", 1994).
library Fenwick {
    /// @notice Days that a tree holds, from day 0 of its own count.
    uint256 internal constant SIZE = 1 << 14;

    /// @dev Node i (from 1) sums the days [i - lowest bit of i, i).
    struct Tree {
        mapping(uint256 node => PackedTotals) nodes;
    }

    /// @param day less than SIZE
    function add(Tree storage tree, uint256 day, Totals memory difference) internal {
        for (uint256 node = day + 1; node <= SIZE; node += node & (~node + 1)) {
            Totals memory sum = DayTotals.unpack(tree.nodes[node]);
            DayTotals.add(sum, difference);
            tree.nodes[node] = DayTotals.pack(sum, false, 0);
        }
    }

    /// @notice Sum over the days before `day`.
    function before(Tree storage tree, uint256 day) internal view returns (Totals memory sum) {
        for (uint256 node = day; node > 0; node &= node - 1) {
            DayTotals.add(sum, DayTotals.unpack(tree.nodes[node]));
        }
    }

    /// @notice Complete hours of the days before `day`, without reading the rest.
    function completeHoursBefore(Tree storage tree, uint256 day) internal view returns (int256 hoursComplete) {
        for (uint256 node = day; node > 0; node &= node - 1) {
            hoursComplete += DayTotals.completeHours(tree.nodes[node].emissions);
        }
    }
}
