// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "contracts/interfaces/IAssessments.sol";
import { DayBalance } from "contracts/libraries/DayBalance.sol";
import { ForgeTest } from "testing/ForgeTest.sol";

/// @notice lower <= truth <= upper (domain.md §4): days that obey physics, of which a part is hidden.
/// Points: 0 grid, 1 generation, 2 load, 3 storage, 4 gas; each is hidden, in its own way, over its own run of hours.
contract DayBoundsTest is ForgeTest {
    uint256 private constant CAP = 5_000;
    uint256 private constant POINTS = 5;

    struct World {
        /// supply and draw of each point and hour
        uint256[24][5] supply;
        uint256[24][5] draw;
    }

    function _random(uint256 seed, string memory what, uint256 i, uint256 below) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what, i))) % below;
    }

    function _truth(uint256 seed) private pure returns (World memory w) {
        for (uint256 h = 0; h < 24; ++h) {
            w.supply[1][h] = _random(seed, "production", h, 2_000);
            w.draw[2][h] = _random(seed, "consumption", h, 2_000);
            if (_random(seed, "charging", h, 2) == 0) w.draw[3][h] = _random(seed, "charge", h, 500);
            else w.supply[3][h] = _random(seed, "discharge", h, 500);
            // Conservation gives the grid exchange; within the hour it can go both ways.
            uint256 inside = w.supply[1][h] + w.supply[3][h];
            uint256 needed = w.draw[2][h] + w.draw[3][h];
            uint256 both = _random(seed, "both ways", h, 200);
            w.supply[0][h] = both + (needed > inside ? needed - inside : 0);
            w.draw[0][h] = both + (inside > needed ? inside - needed : 0);
            w.supply[4][h] = _random(seed, "bought", h, 1_000);
            w.draw[4][h] = _random(seed, "delivered", h, 1_000);
        }
    }

    /// @dev Point by point: over the hours [from, to) nothing, a part, or the known total spread evenly.
    function _hide(uint256 seed, World memory w, uint8[24][5] memory status) private pure {
        for (uint256 p = 0; p < POINTS; ++p) {
            uint256 way = _random(seed, "way", p, 4);
            if (way == 0) continue;
            uint256 from = _random(seed, "from", p, 24);
            uint256 n = 1 + _random(seed, "hours", p, 24 - from);
            (uint256 supplied, uint256 drawn) = (0, 0);
            for (uint256 h = from; h < from + n; ++h) {
                supplied += w.supply[p][h];
                drawn += w.draw[p][h];
            }
            for (uint256 k = 0; k < n; ++k) {
                uint256 h = from + k;
                status[p][h] = uint8(way);
                if (way == 1) {
                    w.supply[p][h] = supplied * (k + 1) / n - supplied * k / n;
                    w.draw[p][h] = drawn * (k + 1) / n - drawn * k / n;
                } else {
                    uint256 part = way == 2 ? _random(seed, "part", h, 101) : 0;
                    w.supply[p][h] = w.supply[p][h] * part / 100;
                    w.draw[p][h] = w.draw[p][h] * part / 100;
                }
            }
        }
    }

    function _write(World memory w, uint8[24][5] memory status, DayBalance.Day memory day) private pure {
        for (uint256 h = 0; h < 24; ++h) {
            uint256 word = w.supply[0][h] | (w.draw[0][h] << 32) | (w.supply[1][h] << 64) | (w.draw[2][h] << 96)
                | (w.draw[3][h] << 128) | (w.supply[3][h] << 160) | (uint256(1) << 240);
            uint256 extra = 0;
            for (uint256 p = 0; p < POINTS; ++p) {
                if (status[p][h] == 0) word += 1 << 192;
                else if (p == 0 || p == 4) extra += status[p][h] == 1 ? 1 : CAP << (p == 0 ? 32 : 72);
            }
            day.hourWords[h] = word;
            day.extras[h] = extra;
            day.carriers[2 * h] = w.supply[4][h] | (w.draw[4][h] << 32);
        }
    }

    function _day(uint256 seed, bool loadMetered) private pure returns (DayBalance.Day memory day) {
        day.rule.coverage = POINTS;
        day.rule.loadMetered = loadMetered;
        (day.rule.gridCapWh, day.rule.carrierCapWh) = (int256(CAP), int256(CAP));
        (day.rule.toleranceWh, day.rule.toleranceBp) = (50, 200);
        (day.primary, day.ghg) = (DayBalance.Range(300, 3_000), DayBalance.Range(0, 900));
        day.primaryCarriers = 1_190 | (uint256(500) << 16);
        day.ghgCarriers = 252 | (uint256(100) << 16);
        for (uint256 h = 0; h < 24; ++h) {
            day.published = abi.encodePacked(
                day.published,
                uint16(300 + _random(seed, "average", h, 2_701)),
                uint16(300 + _random(seed, "marginal", h, 2_701)),
                uint32(0),
                uint16(_random(seed, "average ghg", h, 901)),
                uint16(_random(seed, "marginal ghg", h, 901))
            );
        }
    }

    function testFuzz_bounds_hold_whatever_is_hidden(uint256 seed, bool loadMetered) public pure {
        World memory w = _truth(seed);
        uint8[24][5] memory status;
        DayBalance.Day memory day = _day(seed, loadMetered);
        _write(w, status, day);
        (Totals memory truth,) = DayBalance.assess(day);
        assertEq(truth.completeHours, 24);
        assertEq(truth.lower, truth.balance);
        assertEq(truth.upper, truth.balance);
        assertEq(truth.ghgUpper, truth.ghg);

        _hide(seed, w, status);
        _write(w, status, day);
        _taintOrLack(seed, day);
        (Totals memory known,) = DayBalance.assess(day);
        assertLe(known.lower, truth.balance);
        assertLe(truth.balance, known.upper);
        assertLe(truth.ghg, known.ghgUpper);
        assertLe(known.lower, known.balance);
        assertLe(known.balance, known.upper);
        assertLe(known.ghg, known.ghgUpper);
    }

    /// @dev Sometimes an hour of it was forged as well: anything within the caps stands there.
    function _taintOrLack(uint256 seed, DayBalance.Day memory day) private pure {
        if (_random(seed, "forged", 0, 3) == 0) {
            uint256 h = _random(seed, "forged hour", 0, 24);
            day.hourWords[h] = (day.hourWords[h] & (type(uint256).max << 192)) | _random(seed, "forged import", 0, CAP)
                | (_random(seed, "forged export", 0, CAP) << 32);
            day.extras[h] += 1 << 16;
        }
    }
}
