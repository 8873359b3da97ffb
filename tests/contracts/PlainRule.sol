// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "contracts/interfaces/IAssessments.sol";

/// @title The rule once more, for invariant tests: domain.md §2 and §4 in checked arithmetic over plain numbers
/// @notice It shares nothing with the contracts but the text: no packed words, no caps added up beforehand, no order of cheap cases.
library PlainRule {
    /// @notice What the records that hold an hour say, of all streams together. Energies in Wh.
    struct Hour {
        int256 imported;
        int256 exported;
        int256 production;
        int256 consumption;
        int256 charge;
        int256 discharge;
        /// Production of unlinked fuel generators, which `production` contains too.
        int256 foreign;
        int256[8] bought;
        int256[8] delivered;
        /// Caps of the points whose energy is not known.
        int256 shortGrid;
        int256 shortCarrier;
        int256 shortForeign;
        uint256 estimated;
        uint256 measured;
        uint256 members;
        /// Of vehicles that were measured or partial; the charge in Wh times the efficiency in 1/1000.
        int256 vehicleDischarge;
        int256 vehicleCharge;
        uint256 extraWriters;
        uint256 carrierWriters;
        /// What moved with its attributes in trades (domain.md §6).
        int256 attributesOut;
        int256 attributesIn;
    }

    /// @notice Factors of an hour, and the scheme's range.
    struct Weights {
        int256 average;
        int256 marginalImport;
        int256 marginalExport;
        int256 least;
        int256 greatest;
        bool lacking;
        int256[8] bought;
        int256[8] delivered;
    }

    /// @notice Conservation holds if both sides are within 2 % of the larger one, or within 50 Wh.
    function isConserved(Hour memory h) internal pure returns (bool) {
        int256 gap = imbalance(h);
        int256 net = h.exported - h.imported;
        int256 stored = h.charge - h.discharge;
        int256 supplied = h.production + positive(-net) + positive(-stored);
        int256 drawn = h.consumption + positive(net) + positive(stored);
        int256 larger = supplied > drawn ? supplied : drawn;
        return gap <= 50 || gap * 100 <= 2 * larger;
    }

    function imbalance(Hour memory h) internal pure returns (int256 gap) {
        gap = h.production + h.imported + h.discharge - h.consumption - h.exported - h.charge;
        if (gap < 0) gap = -gap;
    }

    /// @return balance of the hour, with its lower and upper bound
    function weigh(Hour memory h, Weights memory k, bool complete)
        internal
        pure
        returns (int256 balance, int256 lower, int256 upper)
    {
        balance = _grid(h, k) - h.foreign * k.marginalImport;
        int256 most = 0;
        int256 least = 0;
        for (uint256 c = 0; c < 8; ++c) {
            int256 net = h.bought[c] - h.delivered[c];
            balance -= net > 0 ? net * k.bought[c] : net * k.delivered[c];
            most += h.bought[c] * k.bought[c] - h.delivered[c] * k.delivered[c];
            least += net * k.bought[c];
        }
        int256 short = h.shortGrid + h.shortCarrier;
        if (short > 0 || h.estimated > 0 || k.lacking) {
            lower = (h.exported - h.attributesOut) * k.least - (h.imported + short + h.foreign) * k.greatest - most;
            upper = (h.exported + short) * k.greatest - (h.imported - h.attributesIn) * k.least - least;
            if (h.shortForeign == 0) upper -= h.foreign * k.least;
        } else if (complete) {
            (lower, upper) = (balance, balance);
        } else {
            (lower, upper) = _unexplained(h, k, balance);
        }
        lower -= h.shortForeign * k.greatest;
    }

    /// @dev Export and import are known, but not what for.
    function _unexplained(Hour memory h, Weights memory k, int256 balance)
        private
        pure
        returns (int256 lower, int256 upper)
    {
        (int256 high, int256 low) =
            k.average > k.marginalImport ? (k.average, k.marginalImport) : (k.marginalImport, k.average);
        int256 known = balance - _grid(h, k) + positive(h.exported - h.imported - h.attributesOut) * k.marginalExport;
        int256 importWh = positive(h.imported - h.exported);
        importWh -= least2(h.attributesIn, importWh);
        int256 gap = imbalance(h) * (high > k.marginalExport ? high : k.marginalExport);
        lower = known - importWh * high - gap;
        upper = known - importWh * low + gap;
        // While a vehicle or a fuel generator is not known, its part may be less than what was metered.
        if (h.shortForeign > 0) upper += h.foreign * k.marginalImport;
    }

    /// @dev What crosses the grid connection and did not move with its attributes, of import what served load first: export at the
    /// marginal factor, import by what it was for.
    function _grid(Hour memory h, Weights memory k) private pure returns (int256) {
        int256 net = h.exported - h.imported;
        if (net >= 0) return positive(net - h.attributesOut) * k.marginalExport;
        int256 importWh = -net;
        int256 charge = positive(h.charge - h.discharge);
        int256 surplus = positive(h.production - h.consumption);
        int256 importStorage = least2(importWh, charge - least2(charge, surplus));
        int256 importLoad = least2(importWh - importStorage, h.consumption);
        int256 moved = least2(h.attributesIn, importWh);
        int256 movedLoad = least2(moved, importLoad);
        int256 other = importWh - importLoad - (moved - movedLoad);
        return -(importLoad - movedLoad) * k.average - other * k.marginalImport;
    }

    /// @notice Adds the hour to the day.
    /// @dev GHG counts as emitted minus avoided, so that its upper bound is the other way round.
    function add(Totals memory t, Hour memory h, Weights memory primary, Weights memory ghg, bool complete)
        internal
        pure
    {
        (int256 balance, int256 lower, int256 upper) = weigh(h, primary, complete);
        t.balance += balance;
        t.lower += lower;
        t.upper += upper;
        (balance, lower,) = weigh(h, ghg, complete);
        t.ghg -= balance;
        t.ghgUpper -= lower;
        if (complete) ++t.completeHours;
    }

    function positive(int256 x) internal pure returns (int256) {
        return x > 0 ? x : int256(0);
    }

    function least2(int256 a, int256 b) internal pure returns (int256) {
        return a < b ? a : b;
    }
}
