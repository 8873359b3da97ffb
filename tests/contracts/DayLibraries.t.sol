// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "contracts/interfaces/IAssessments.sol";
import { Calendar } from "contracts/libraries/Calendar.sol";
import { DayTotals, PackedTotals } from "contracts/libraries/DayTotals.sol";
import { Fenwick } from "contracts/libraries/Fenwick.sol";
import { SaltedMerkle } from "contracts/libraries/SaltedMerkle.sol";
import { StreamWord } from "contracts/libraries/StreamWord.sol";
import { ForgeTest } from "testing/ForgeTest.sol";

/// @notice The small libraries, each against a plain statement of the same.
contract DayLibrariesTest is ForgeTest {
    using Fenwick for Fenwick.Tree;

    int256 private constant GREATEST = 2 ** 79 - 1;

    Fenwick.Tree private tree;

    function _totals(int256 seed) private pure returns (Totals memory) {
        return Totals(seed, -seed * 3, seed * 5, -seed * 7, seed * 11, seed % 25);
    }

    function testFuzz_packing_loses_nothing(int80[5] calldata n, int32 hoursComplete, bool edge, uint16 version)
        public
        pure
    {
        Totals memory t = Totals(n[0], n[1], n[2], n[3], n[4], hoursComplete);
        PackedTotals memory p = DayTotals.pack(t, edge, version);
        assertEq(keccak256(abi.encode(DayTotals.unpack(p))) == keccak256(abi.encode(t)), true);
        assertEq(DayTotals.isEdgeEstimated(p.balances), edge);
        assertEq(uint256(DayTotals.boundaryVersion(p.emissions)), version);
        assertEq(DayTotals.isEdgeEstimated(DayTotals.withEdge(p.balances, !edge)), !edge);
        p.balances = DayTotals.withEdge(p.balances, !edge);
        assertEq(DayTotals.unpack(p).upper, t.upper);
    }

    function test_packing_at_the_ends() public pure {
        Totals memory t = Totals(GREATEST, -GREATEST - 1, -1, -GREATEST - 1, GREATEST, -1);
        Totals memory u = DayTotals.unpack(DayTotals.pack(t, true, type(uint16).max));
        assertEq(keccak256(abi.encode(u)) == keccak256(abi.encode(t)), true);
    }

    function testFuzz_fenwick_equals_naive(uint16[4] calldata places, int40[4] calldata values, uint16 place) public {
        int256 expected = 0;
        int256 expectedHours = 0;
        uint256 before = bound(uint256(place), 0, Fenwick.SIZE);
        for (uint256 i = 0; i < 4; ++i) {
            uint256 day = bound(uint256(places[i]), 0, Fenwick.SIZE - 1);
            tree.add(day, _totals(values[i]));
            if (day < before) {
                expected += values[i];
                expectedHours += int256(values[i]) % 25;
            }
        }
        Totals memory sum = tree.before(before);
        assertEq(sum.balance, expected);
        assertEq(sum.lower, -expected * 3);
        assertEq(sum.ghgUpper, expected * 11);
        assertEq(sum.completeHours, expectedHours);
        assertEq(tree.completeHoursBefore(before), expectedHours);
    }

    /// Any range of days sums up to what was added to them, however often, and in whatever order.
    function testFuzz_fenwick_ranges_are_plain_sums(uint256 seed) public {
        uint256 base = seed % 3 == 0 ? 0 : seed % (Fenwick.SIZE - 40);
        int256[40] memory plain;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            int256 value = int256(r % 2_000_001) - 1_000_000;
            plain[(r >> 128) % 40] += value;
            tree.add(base + (r >> 128) % 40, Totals(value, value - 1, value + 1, -value, 1 - value, value % 25));
        }
        for (uint256 i = 0; i < 3; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, "range", i)));
            uint256 to = 1 + r % 40;
            uint256 from = (r >> 128) % to;
            Totals memory sum = tree.before(base + to);
            DayTotals.subtract(sum, tree.before(base + from));
            int256 expected = 0;
            for (uint256 d = from; d < to; ++d) {
                expected += plain[d];
            }
            assertEq(sum.balance, expected);
            assertEq(sum.ghg, -expected);
            assertLe(sum.lower, sum.balance);
            assertLe(sum.balance, sum.upper);
            assertEq(sum.balance - sum.lower, sum.upper - sum.balance, "as many as there were additions");
            assertEq(sum.ghgUpper - sum.ghg, sum.upper - sum.balance);
            int256 hoursComplete = tree.completeHoursBefore(base + to) - tree.completeHoursBefore(base + from);
            assertEq(sum.completeHours, hoursComplete);
        }
        if (base > 0) assertEq(tree.before(base).balance, 0);
    }

    function test_fenwick_first_and_last_day() public {
        tree.add(0, _totals(1));
        tree.add(Fenwick.SIZE - 1, _totals(10));
        assertEq(tree.before(0).balance, 0);
        assertEq(tree.before(1).balance, 1);
        assertEq(tree.before(Fenwick.SIZE - 1).balance, 1);
        assertEq(tree.before(Fenwick.SIZE).balance, 11);
    }

    /// @dev The calendar by counting days from 1 January 1970.
    function test_a_window_is_a_calendar_year_for_130_years() public pure {
        uint256[] memory newYear = new uint256[](131);
        for (uint256 y = 1; y < 131; ++y) {
            newYear[y] = newYear[y - 1] + (Calendar.isLeap(1970 + y - 1) ? 366 : 365);
        }
        for (uint256 y = 1; y < 130; ++y) {
            bool leap = Calendar.isLeap(1970 + y);
            bool leapBefore = Calendar.isLeap(1970 + y - 1);
            for (uint256 n = 0; newYear[y] + n < newYear[y + 1]; ++n) {
                // Day n of the year is day n of the year before, but for leap days: 31 + 28 = 59 days precede them.
                uint256 same = n;
                if (leap && !leapBefore && n > 59) same = n - 1;
                if (!leap && leapBefore && n >= 59) same = n + 1;
                // 29 February (n = 59 of a leap year) becomes 1 March (n = 59 of an ordinary one).
                assertEq(Calendar.windowStart(newYear[y] + n), newYear[y - 1] + same);
            }
        }
    }

    function testFuzz_merkle_proofs(uint256 seed, uint8 size, uint8 place_) public pure {
        uint256 n = bound(size, 1, 40);
        uint256 index = bound(place_, 0, n - 1);
        bytes32[] memory leaves = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            leaves[i] = SaltedMerkle.leaf(bytes32(i), uint32(seed), uint32(i), 0, keccak256(abi.encode(seed, i)));
        }
        bytes32 leaf = leaves[index];
        // Collect the siblings level by level.
        bytes32[] memory level = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            level[i] = leaves[i];
        }
        bytes32[] memory siblings = new bytes32[](8);
        uint256 used = 0;
        uint256 place = index;
        for (uint256 width = n; width > 1; width = (width + 1) / 2) {
            if (place ^ 1 < width) siblings[used++] = level[place ^ 1];
            for (uint256 i = 0; i < width / 2; ++i) {
                level[i] = SaltedMerkle.parent(level[2 * i], level[2 * i + 1]);
            }
            if (width % 2 == 1) level[width / 2] = level[width - 1];
            place /= 2;
        }
        bytes32[] memory proof = new bytes32[](used);
        for (uint256 i = 0; i < used; ++i) {
            proof[i] = siblings[i];
        }
        bytes32 root = SaltedMerkle.root(leaves);
        assertEq(root == level[0], true);
        assertTrue(SaltedMerkle.verify(leaf, index, n, proof, root));
        assertFalse(SaltedMerkle.verify(~leaf, index, n, proof, root));
        assertFalse(SaltedMerkle.verify(leaf, n, n, proof, root));
        assertFalse(SaltedMerkle.verify(leaf, index, n, new bytes32[](used + 1), root));
        if (used > 0) {
            proof[used - 1] ^= bytes32(uint256(1));
            assertFalse(SaltedMerkle.verify(leaf, index, n, proof, root));
            assertFalse(SaltedMerkle.verify(leaf, index, n, new bytes32[](0), root));
        }
    }

    function testFuzz_stream_words(uint256 word, uint8 h, uint8 sequence, uint32 acceptedAt) public pure {
        uint256 hourOfDay = h % 24;
        uint256 held = StreamWord.withHolder(StreamWord.withTaint(word, 1 << hourOfDay), hourOfDay, sequence);
        assertEq(StreamWord.holder(held, hourOfDay), sequence);
        assertFalse(StreamWord.isTainted(held, hourOfDay));
        for (uint256 i = 0; i < 24; ++i) {
            if (i == hourOfDay) continue;
            assertEq(StreamWord.holder(held, i), StreamWord.holder(word, i));
            assertEq(StreamWord.isTainted(held, i), StreamWord.isTainted(word, i));
        }
        uint256 accepted = StreamWord.withBatch(held, sequence, acceptedAt);
        assertEq(StreamWord.lastSequence(accepted), sequence);
        uint256 expectedAt = acceptedAt == 0 ? StreamWord.lastAcceptedAt(word) : acceptedAt;
        assertEq(StreamWord.lastAcceptedAt(accepted), expectedAt);
        assertEq(accepted & (type(uint192).max), held & (type(uint192).max));
        assertEq(accepted >> 232, held >> 232);
    }
}
