// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "contracts/interfaces/IAssessments.sol";
import { DayBalance } from "contracts/libraries/DayBalance.sol";
import { ForgeTest } from "testing/ForgeTest.sol";

/// @notice lower <= truth <= upper (domain.md §4): days that obey physics, of which a part is hidden.
/// Points: 0 grid, 1 generation, 2 load, 3 storage, 4 gas, 5 vehicle, 6 fuel generator (linked: it burns the gas that point 4 meters,
/// and is declared as generation; else its production is foreign); each is hidden, in its own way, over its own run of hours.
contract DayBoundsTest is ForgeTest {
    uint256 private constant CAP = 5_000;
    uint256 private constant POINTS = 7;

    struct World {
        /// supply and draw of each point and hour
        uint256[24][7] supply;
        uint256[24][7] draw;
        bool linked;
        /// Without gas nobody writes of a carrier, and its point is missing for nothing.
        bool gas;
        uint256 efficiencyPermille;
        /// A forged hour, 24 for none, and what the vehicle is said to have done in it.
        uint256 forgedHour;
        uint256 forgedDischarge;
        uint256 forgedCharge;
    }

    /// @dev Hashed in the scratch space: most of the test's time would go into copying names.
    function _random(uint256 seed, bytes32 what, uint256 i, uint256 below) private pure returns (uint256 random) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(32, xor(what, i))
            random := mod(keccak256(0, 64), below)
        }
    }

    /// @dev One of thirteen independent numbers of a hash.
    function _slice(uint256 hash, uint256 i, uint256 below) private pure returns (uint256) {
        unchecked {
            return ((hash >> (19 * i)) & 0x7ffff) % below;
        }
    }

    function _truth(uint256 seed) private pure returns (World memory w) {
        w.linked = _random(seed, "linked", 0, 2) == 0;
        w.efficiencyPermille = 500 + _random(seed, "efficiency", 0, 501);
        w.gas = w.linked || _random(seed, "gas", 0, 2) == 0;
        w.forgedHour = 24;
        uint256 parked = _random(seed, "mostly parked", 0, 4);
        uint256 fuel = w.gas || _random(seed, "fuel", 0, 2) == 0 ? 500 : 1;
        unchecked {
            for (uint256 h = 0; h < 24; ++h) {
                uint256 r = _random(seed, "hour", h, type(uint256).max);
                (uint256 supplied, uint256 drawn) = (_slice(r, 0, 2_000), _slice(r, 1, 2_000));
                (w.supply[1][h], w.draw[2][h]) = (supplied, drawn);
                (uint256 inside, uint256 needed) = (supplied, drawn);
                if (_slice(r, 2, 2) == 0) {
                    drawn = _slice(r, 3, 500);
                    w.draw[3][h] = drawn;
                    needed += drawn;
                } else {
                    supplied = _slice(r, 3, 500);
                    w.supply[3][h] = supplied;
                    inside += supplied;
                }
                // Many vehicles are charged elsewhere: over the day they may bring in more than they take.
                if (_slice(r, 4, 4) <= parked) {
                    drawn = _slice(r, 5, 600);
                    w.draw[5][h] = drawn;
                    needed += drawn;
                } else {
                    supplied = _slice(r, 5, 400);
                    w.supply[5][h] = supplied;
                    inside += supplied;
                }
                supplied = _slice(r, 6, fuel);
                w.supply[6][h] = supplied;
                inside += supplied;
                // Conservation gives the grid exchange; within the hour it can go both ways.
                uint256 both = _slice(r, 7, 200);
                w.supply[0][h] = both + (needed > inside ? needed - inside : 0);
                w.draw[0][h] = both + (inside > needed ? inside - needed : 0);
                if (!w.gas) continue;
                w.supply[4][h] = _slice(r, 8, 1_000) + (w.linked ? supplied * 5 / 2 : 0);
                w.draw[4][h] = _slice(r, 9, 1_000);
            }
        }
    }

    /// @dev Point by point: over the hours [from, to) nothing, a part, or the known total spread evenly.
    function _hide(uint256 seed, World memory w, uint8[24][7] memory status) private pure {
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
            unchecked {
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
    }

    function _write(World memory w, uint8[24][7] memory status, DayBalance.Day memory day) private pure {
        uint256 vehicles = 0;
        (bool linked, bool gas) = (w.linked, w.gas);
        unchecked {
            for (uint256 h = 0; h < 24; ++h) {
                (uint256 fuel, uint256 discharge, uint256 charge) = (w.supply[6][h], w.supply[5][h], w.draw[5][h]);
                uint256 word = w.supply[0][h] | (w.draw[0][h] << 32) | ((w.supply[1][h] + fuel) << 64)
                    | (w.draw[2][h] << 96) | ((w.draw[3][h] + charge) << 128) | ((w.supply[3][h] + discharge) << 160)
                    | (gas ? uint256(1) << 240 : 0);
                uint256 extra = linked ? 0 : fuel << 152;
                uint256 measuredCount = 0;
                for (uint256 p = 0; p < POINTS; ++p) {
                    uint8 one = status[p][h];
                    if (one == 0 || (p == 4 && !gas)) ++measuredCount;
                    else extra += _exception(p, one, linked);
                }
                day.hourWords[h] = word | (measuredCount << 192);
                day.extras[h] = extra;
                if (gas) day.carriers[2 * h] = w.supply[4][h] | (w.draw[4][h] << 32);
                if (h == w.forgedHour) {
                    vehicles += w.forgedDischarge + ((w.forgedCharge * w.efficiencyPermille) << 64);
                } else if (status[5][h] != 1) {
                    vehicles += discharge + ((charge * w.efficiencyPermille) << 64);
                }
            }
        }
        day.vehicles = vehicles;
    }

    /// @dev What the ledger counts of a record that is not measured: an estimate, or the cap of the point.
    function _exception(uint256 p, uint8 status, bool linked) private pure returns (uint256) {
        if (p == 5 || (p == 6 && !linked)) return CAP << 112;
        if (p == 0) return status == 1 ? 1 : CAP << 32;
        if (p == 4) return status == 1 ? 1 : CAP << 72;
        return 0;
    }

    function _day(uint256 seed, bool loadMetered) private pure returns (DayBalance.Day memory day) {
        day.rule.coverage = POINTS;
        day.rule.loadMetered = loadMetered;
        (day.rule.gridCapWh, day.rule.carrierCapWh) = (int256(CAP), int256(CAP));
        day.rule.foreignCapWh = int256(2 * CAP);
        (day.rule.toleranceWh, day.rule.toleranceBp) = (50, 200);
        (day.primary, day.ghg) = (DayBalance.Range(300, 3_000), DayBalance.Range(0, 900));
        day.primaryCarriers = 1_190 | (uint256(500) << 16);
        day.ghgCarriers = 252 | (uint256(100) << 16);
        bool traded = _random(seed, "traded", 0, 2) == 0;
        // Twelve bytes an hour, each put as a whole word.
        bytes memory published = new bytes(24 * 12 + 20);
        unchecked {
            for (uint256 h = 0; h < 24; ++h) {
                uint256 r = _random(seed, "factors", h, type(uint256).max);
                if (traded) day.claims[h] = (_slice(r, 0, 2_000) << 64) | (_slice(r, 1, 2_000) << 96);
                uint256 word = ((300 + _slice(r, 2, 2_701)) << 240) | ((300 + _slice(r, 3, 2_701)) << 224)
                    | (_slice(r, 4, 901) << 176) | (_slice(r, 5, 901) << 160);
                assembly ("memory-safe") {
                    mstore(add(add(published, 32), mul(h, 12)), word)
                }
            }
        }
        assembly ("memory-safe") {
            mstore(published, 288)
        }
        day.published = published;
    }

    function testFuzz_bounds_hold_whatever_is_hidden(uint256 seed, bool loadMetered) public pure {
        World memory w = _truth(seed);
        uint8[24][7] memory status;
        DayBalance.Day memory day = _day(seed, loadMetered);
        _write(w, status, day);
        (Totals memory truth,) = DayBalance.assess(day);
        assertEq(truth.completeHours, 24);
        assertEq(truth.lower, truth.balance);
        assertEq(truth.upper, truth.balance);
        assertEq(truth.ghgUpper, truth.ghg);

        _hide(seed, w, status);
        if (_random(seed, "forged", 0, 3) == 0) w.forgedHour = _random(seed, "forged hour", 0, 24);
        w.forgedDischarge = _random(seed, "forged discharge", 0, CAP);
        w.forgedCharge = _random(seed, "forged charge", 0, CAP);
        _write(w, status, day);
        if (w.forgedHour < 24) _forge(seed, w.forgedHour, day);
        if (_random(seed, "unpublished", 0, 5) == 0) _lack(day);
        (Totals memory known,) = DayBalance.assess(day);
        assertLe(known.lower, truth.balance);
        assertLe(truth.balance, known.upper);
        assertLe(truth.ghg, known.ghgUpper);
        assertLe(known.lower, known.balance);
        assertLe(known.balance, known.upper);
        assertLe(known.ghg, known.ghgUpper);
    }

    /// @dev An hour of it was forged as well: anything within the caps stands there.
    function _forge(uint256 seed, uint256 h, DayBalance.Day memory day) private pure {
        day.hourWords[h] = (day.hourWords[h] & (type(uint256).max << 192)) | _random(seed, "forged import", 0, CAP)
            | (_random(seed, "forged export", 0, CAP) << 32);
        day.extras[h] += 1 << 16;
    }

    /// @dev Its factors were never published: the least favourable of the scheme.
    function _lack(DayBalance.Day memory day) private pure {
        day.published = "";
        (day.samePrimary.lacking, day.sameGhg.lacking) = (true, true);
        (day.samePrimary.average, day.samePrimary.marginalImport) = (day.primary.max, day.primary.max);
        (day.sameGhg.average, day.sameGhg.marginalImport) = (day.ghg.max, day.ghg.max);
        (day.samePrimary.marginalExport, day.sameGhg.marginalExport) = (day.primary.min, day.ghg.min);
    }

    /// The test is worth something only if the day's vehicle rule takes part.
    function test_vehicles_bring_energy_in_on_some_days_and_on_others_not() public pure {
        uint256 excess = 0;
        uint256 linked = 0;
        for (uint256 seed = 0; seed < 40; ++seed) {
            World memory w = _truth(seed);
            uint8[24][7] memory status;
            DayBalance.Day memory day = _day(seed, true);
            _write(w, status, day);
            if (uint64(day.vehicles) * 1_000 > uint96(day.vehicles >> 64)) ++excess;
            if (w.linked) ++linked;
        }
        assertTrue(excess > 5 && excess < 35 && linked > 5 && linked < 35);
    }
}
