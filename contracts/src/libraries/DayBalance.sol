// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "../interfaces/IAssessments.sol";
import { HourBalance } from "./HourBalance.sol";
import { Lane } from "./HourSums.sol";
import { Word } from "./Word.sol";

/// @title The rule over the 24 hours of a UTC day (domain.md §2, §4)
library DayBalance {
    uint256 private constant FACTOR_BYTES = 12;

    /// @notice What a factor may be at least and at most, by the scheme.
    struct Range {
        int256 min;
        int256 max;
    }

    /// @notice Everything that a day's totals depend on. Words: see ILedger.
    struct Day {
        HourBalance.Day rule;
        uint256[24] hourWords;
        /// With the caps of gateways that sent no batch added to the hour's short caps.
        uint256[24] extras;
        uint256[48] carriers;
        uint256 vehicles;
        /// Words of the claims register, all zero on a day of which nothing moved with its attributes (layout: IClaims).
        uint256[24] claims;
        bool nonRenewable;
        Range primary;
        Range ghg;
        uint256 primaryCarriers;
        uint256 ghgCarriers;
        /// Published hours, or empty: then the same factors in all hours, the static ones or, where lacking, the least favourable.
        bytes published;
        HourBalance.Factors samePrimary;
        HourBalance.Factors sameGhg;
    }

    /// @return t the day's totals
    /// @return edgeEstimated a grid or carrier point is estimated in some hour
    function assess(Day memory day) internal pure returns (Totals memory t, bool edgeEstimated) {
        HourBalance.Factors memory primary = day.samePrimary;
        HourBalance.Factors memory ghg = day.sameGhg;
        (primary.min, primary.max, primary.carriers) = (day.primary.min, day.primary.max, day.primaryCarriers);
        (ghg.min, ghg.max, ghg.carriers) = (day.ghg.min, day.ghg.max, day.ghgCarriers);
        HourBalance.Day memory rule = day.rule;
        HourBalance.Detail memory detail;
        bool loadMetered = rule.loadMetered;
        bool published = day.published.length != 0;
        bool vehiclesKnown = true;
        int256 dearest = primary.marginalImport;
        int256 dirtiest = ghg.marginalImport;

        unchecked {
            for (uint256 i = 0; i < 24; ++i) {
                if (published) {
                    _factors(day.published, i, day.nonRenewable, primary, ghg);
                    if (primary.marginalImport > dearest) dearest = primary.marginalImport;
                    if (ghg.marginalImport > dirtiest) dirtiest = ghg.marginalImport;
                }
                uint256 word = day.hourWords[i];
                bool complete = !primary.lacking && HourBalance.isCovered(word, rule);
                if (loadMetered) {
                    bool violated;
                    (detail.imbalanceWh, violated) = HourBalance.conservation(word, rule);
                    if (violated) complete = false;
                }
                uint256 extra = day.extras[i];
                uint256 moved = uint128(day.claims[i]) >> 64;
                if (complete && extra | moved == 0 && word >> Lane.CARRIERS == 0) {
                    _addPlainHour(t, word, loadMetered, primary, ghg);
                    continue;
                }
                _detail(detail, extra, day.carriers[2 * i], day.carriers[2 * i + 1]);
                detail.attributesOutWh = int256(moved & 0xffffffff);
                detail.attributesInWh = int256(moved >> 32);
                if (detail.tainted > 0) complete = false;
                if (detail.estimated > 0) edgeEstimated = true;
                if (detail.tainted > 0 || detail.shortForeignWh > 0) vehiclesKnown = false;
                _addHour(t, word, detail, rule, primary, ghg, complete);
            }
            t.lower += t.balance;
            t.upper += t.balance;
            t.ghgUpper += t.ghg;
            if (day.vehicles != 0) {
                // What vehicles brought in counts at the day's greatest factors; lacking ones are known only as a range.
                int256 excessWh = HourBalance.vehicleExcess(day.vehicles);
                t.balance -= excessWh * dearest;
                t.lower -= excessWh * dearest;
                if (vehiclesKnown) t.upper -= excessWh * (primary.lacking ? primary.min : dearest);
                t.ghg += excessWh * dirtiest;
                t.ghgUpper += excessWh * dirtiest;
            }
        }
    }

    function _addPlainHour(
        Totals memory t,
        uint256 word,
        bool loadMetered,
        HourBalance.Factors memory primary,
        HourBalance.Factors memory ghg
    ) private pure {
        unchecked {
            (int256 exportWh, int256 importWh, int256 importLoadWh) = HourBalance.flows(word, loadMetered);
            t.balance += HourBalance.plain(exportWh, importWh, importLoadWh, loadMetered, primary);
            t.ghg -= HourBalance.plain(exportWh, importWh, importLoadWh, loadMetered, ghg);
            ++t.completeHours;
        }
    }

    /// @dev Bounds as distances from the balance, which `assess` adds at the end.
    function _addHour(
        Totals memory t,
        uint256 word,
        HourBalance.Detail memory detail,
        HourBalance.Day memory rule,
        HourBalance.Factors memory primary,
        HourBalance.Factors memory ghg,
        bool complete
    ) private pure {
        unchecked {
            (int256 balance, int256 lower, int256 upper) = HourBalance.weigh(word, detail, rule, primary, complete);
            t.balance += balance;
            t.lower += lower - balance;
            t.upper += upper - balance;
            (balance, lower,) = HourBalance.weigh(word, detail, rule, ghg, complete);
            t.ghg -= balance;
            t.ghgUpper += balance - lower;
            if (complete) ++t.completeHours;
        }
    }

    /// @dev 12 bytes per hour: average and marginal, each total; non-renewable; GHG (IFactors.publishDay).
    function _factors(
        bytes memory published,
        uint256 hourOfDay,
        bool nonRenewable,
        HourBalance.Factors memory primary,
        HourBalance.Factors memory ghg
    ) private pure {
        uint256 word = Word.inMemory(published, hourOfDay * FACTOR_BYTES);
        uint256 column = nonRenewable ? word << 32 : word;
        primary.average = int256(column >> 240);
        primary.marginalImport = int256((column >> 224) & 0xffff);
        primary.marginalExport = primary.marginalImport;
        ghg.average = int256((word >> 176) & 0xffff);
        ghg.marginalImport = int256((word >> 160) & 0xffff);
        ghg.marginalExport = ghg.marginalImport;
    }

    function _detail(HourBalance.Detail memory d, uint256 extra, uint256 firstCarriers, uint256 lastCarriers)
        private
        pure
    {
        d.estimated = extra & 0xffff;
        d.tainted = (extra >> Lane.TAINTED) & 0xffff;
        d.shortGridWh = int256((extra >> Lane.SHORT_GRID) & 0xffffffffff);
        d.shortCarrierWh = int256((extra >> Lane.SHORT_CARRIER) & 0xffffffffff);
        d.shortForeignWh = int256((extra >> Lane.SHORT_FOREIGN) & 0xffffffffff);
        d.foreignWh = int256((extra >> Lane.FOREIGN) & 0xffffffff);
        if (d.imbalanceWh < 0) d.imbalanceWh = -d.imbalanceWh;
        d.firstCarriers = firstCarriers;
        d.lastCarriers = lastCarriers;
    }
}
