// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "../interfaces/IAssessments.sol";

/// @notice Totals in two slots. `balances`: balance, lower, upper (int80 at bits 0, 80, 160), bit 240: the last day has an estimated hour.
/// `emissions`: ghg, ghgUpper (int80 at bits 0, 80), completeHours (int32 at bit 160), boundary version of the last day (u16 at bit 192).
struct PackedTotals {
    uint256 balances;
    uint256 emissions;
}

/// @title Sums of days: arithmetic and packing
/// @dev A day stays below 2^57 (24 hours of 2^32 Wh by 2^16, over at most a dozen lanes), 2^14 days below 2^71.
library DayTotals {
    uint256 private constant EDGE_ESTIMATED = 1 << 240;

    function pack(Totals memory t, bool edgeEstimated, uint16 version) internal pure returns (PackedTotals memory p) {
        p.balances = uint256(uint80(int80(t.balance))) | (uint256(uint80(int80(t.lower))) << 80)
            | (uint256(uint80(int80(t.upper))) << 160) | (edgeEstimated ? EDGE_ESTIMATED : 0);
        p.emissions = uint256(uint80(int80(t.ghg))) | (uint256(uint80(int80(t.ghgUpper))) << 80)
            | (uint256(uint32(int32(t.completeHours))) << 160) | (uint256(version) << 192);
    }

    function unpack(PackedTotals memory p) internal pure returns (Totals memory t) {
        t.balance = int80(uint80(p.balances));
        t.lower = int80(uint80(p.balances >> 80));
        t.upper = int80(uint80(p.balances >> 160));
        t.ghg = int80(uint80(p.emissions));
        t.ghgUpper = int80(uint80(p.emissions >> 80));
        t.completeHours = completeHours(p.emissions);
    }

    function completeHours(uint256 emissions) internal pure returns (int256) {
        return int32(uint32(emissions >> 160));
    }

    function boundaryVersion(uint256 emissions) internal pure returns (uint16) {
        return uint16(emissions >> 192);
    }

    function isEdgeEstimated(uint256 balances) internal pure returns (bool) {
        return balances & EDGE_ESTIMATED != 0;
    }

    function withEdge(uint256 balances, bool edgeEstimated) internal pure returns (uint256) {
        return edgeEstimated ? balances | EDGE_ESTIMATED : balances & ~EDGE_ESTIMATED;
    }

    /// @notice a += b
    function add(Totals memory a, Totals memory b) internal pure {
        a.balance += b.balance;
        a.lower += b.lower;
        a.upper += b.upper;
        a.ghg += b.ghg;
        a.ghgUpper += b.ghgUpper;
        a.completeHours += b.completeHours;
    }

    /// @notice a -= b
    function subtract(Totals memory a, Totals memory b) internal pure {
        a.balance -= b.balance;
        a.lower -= b.lower;
        a.upper -= b.upper;
        a.ghg -= b.ghg;
        a.ghgUpper -= b.ghgUpper;
        a.completeHours -= b.completeHours;
    }

    function isZero(Totals memory t) internal pure returns (bool) {
        return t.balance | t.lower | t.upper | t.ghg | t.ghgUpper | t.completeHours == 0;
    }
}
