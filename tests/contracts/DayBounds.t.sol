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

    function _truth(uint256 seed) private pure returns (World memory w) {
        w.linked = _random(seed, "linked", 0, 2) == 0;
        w.efficiencyPermille = 500 + _random(seed, "efficiency", 0, 501);
        w.forgedHour = 24;
        for (uint256 h = 0; h < 24; ++h) {
            w.supply[1][h] = _random(seed, "production", h, 2_000);
            w.draw[2][h] = _random(seed, "consumption", h, 2_000);
            if (_random(seed, "charging", h, 2) == 0) w.draw[3][h] = _random(seed, "charge", h, 500);
            else w.supply[3][h] = _random(seed, "discharge", h, 500);
            // Many vehicles are charged elsewhere: over the day they may bring in more than they take.
            if (_random(seed, "parked", h, 4) <= _random(seed, "mostly parked", 0, 4)) {
                w.draw[5][h] = _random(seed, "vehicle charge", h, 600);
            } else {
                w.supply[5][h] = _random(seed, "vehicle discharge", h, 400);
            }
            w.supply[6][h] = _random(seed, "fuel", h, 500);
            // Conservation gives the grid exchange; within the hour it can go both ways.
            uint256 inside = w.supply[1][h] + w.supply[3][h] + w.supply[5][h] + w.supply[6][h];
            uint256 needed = w.draw[2][h] + w.draw[3][h] + w.draw[5][h];
            uint256 both = _random(seed, "both ways", h, 200);
            w.supply[0][h] = both + (needed > inside ? needed - inside : 0);
            w.draw[0][h] = both + (inside > needed ? inside - needed : 0);
            w.supply[4][h] = _random(seed, "bought", h, 1_000) + (w.linked ? w.supply[6][h] * 5 / 2 : 0);
            w.draw[4][h] = _random(seed, "delivered", h, 1_000);
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

    function _write(World memory w, uint8[24][7] memory status, DayBalance.Day memory day) private pure {
        day.vehicles = 0;
        for (uint256 h = 0; h < 24; ++h) {
            uint256 word = w.supply[0][h] | (w.draw[0][h] << 32) | ((w.supply[1][h] + w.supply[6][h]) << 64)
                | (w.draw[2][h] << 96) | ((w.draw[3][h] + w.draw[5][h]) << 128)
                | ((w.supply[3][h] + w.supply[5][h]) << 160) | (uint256(1) << 240);
            uint256 extra = w.linked ? 0 : w.supply[6][h] << 152;
            for (uint256 p = 0; p < POINTS; ++p) {
                if (status[p][h] == 0) word += 1 << 192;
                else extra += _exception(p, status[p][h], w.linked);
            }
            day.hourWords[h] = word;
            day.extras[h] = extra;
            day.carriers[2 * h] = w.supply[4][h] | (w.draw[4][h] << 32);
            if (h == w.forgedHour) {
                day.vehicles += w.forgedDischarge + ((w.forgedCharge * w.efficiencyPermille) << 64);
            } else if (status[5][h] != 1) {
                day.vehicles += w.supply[5][h] + ((w.draw[5][h] * w.efficiencyPermille) << 64);
            }
        }
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
        for (uint256 h = 0; h < 24; ++h) {
            if (traded) {
                day.claims[h] = (_random(seed, "attributes out", h, 2_000) << 64)
                    | (_random(seed, "attributes in", h, 2_000) << 96);
            }
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
