// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger } from "../interfaces/ILedger.sol";
import { Terms } from "../interfaces/IMarketRules.sol";
import { IRegistry } from "../interfaces/IRegistry.sol";
import { Boundary } from "../types/Boundary.sol";
import { CertifiedHour } from "./CertifiedHour.sol";
import { HourBalance } from "./HourBalance.sol";

/// @title Baseline of a demand-response event from a district's certified hours (domain.md §7)
/// @notice M is net import, import - export, of an hour that is complete (CertifiedHour). Only hours that ended when the event was opened
/// are read. The Python statement is contracts/baseline.py; both follow tests/vectors/baselines.json.
/// @dev Computed rather than proven: a proof would have to show that its days are the right ones and read the same words, which are most of
/// the cost (tests/contracts/snapshots/Flexibility.json). Unchecked arithmetic: |M| < 2^32, sums of at most 10 days of 24 hours are
/// multiplied by at most 15 * 24, hours and days are far below 2^40, and days are subtracted from later ones only.
library Baseline {
    uint256 internal constant LOOK_BACK_DAYS = 45;
    uint256 internal constant MOST_DAYS = 10;
    uint256 internal constant LEAST_DAYS = 5;

    uint256 private constant WINDOW_HOURS = 3;
    /// @dev The window ends one hour before the event.
    uint256 private constant WINDOW_LEAD_HOURS = 4;
    uint256 private constant HAS_BOUNDARY = 1 << 40;
    uint256 private constant LOAD_METERED = 1 << 32;

    /// @notice What an event asks for, as far as its baseline depends on it.
    struct Question {
        bool increase;
        bool highFive;
        uint256 startHour;
        uint256 hourCount;
    }

    /// @notice Where a district's hours are read, and what they are judged by.
    struct Source {
        ILedger ledger;
        bytes32 districtId;
        uint256 openedAt;
        /// The day before the first similar day: the window of the adjustment may begin on it.
        uint256 firstDay;
        /// Coverage and flags of the one boundary version that all days have; 0 when they differ.
        uint256 boundary;
        /// Per day from firstDay to that of the opening, where they differ: 0 without a boundary.
        uint256[] boundaries;
        /// As of `judgedBy`.
        HourBalance.Day rule;
        uint256 judgedBy;
        /// Per clock hour; empty until one is needed.
        StandIn[] standIns;
    }

    /// @dev What a clock hour had at least and at most within the days that count.
    struct StandIn {
        bool isRead;
        bool isKnown;
        int256 lowest;
        int256 highest;
    }

    /// @notice Prepares what an event opened at `openedAt` may read of a district.
    function source(IRegistry registry, ILedger ledger, Terms memory terms, bytes32 districtId, uint256 openedAt)
        internal
        view
        returns (Source memory s)
    {
        (s.ledger, s.districtId, s.openedAt) = (ledger, districtId, openedAt);
        uint256 lastDay = openedAt / 1 days;
        s.firstDay = lastDay > LOOK_BACK_DAYS + 1 ? lastDay - LOOK_BACK_DAYS - 1 : 0;
        Boundary memory oldest = registry.boundary(districtId, s.firstDay);
        Boundary memory current = registry.boundary(districtId, lastDay);
        s.rule = CertifiedHour.rule(oldest, terms);
        // Versions only rise: where the ends have the same one, so have all days between.
        if (current.version != 0 && current.version == oldest.version) {
            s.boundary = _packed(current);
            return s;
        }
        s.boundaries = new uint256[](lastDay - s.firstDay + 1);
        for (uint256 day = lastDay; current.version != 0; current = registry.boundary(districtId, day)) {
            s.boundaries[day - s.firstDay] = _packed(current);
            if (day == s.firstDay) break;
            --day;
        }
    }

    function hasBoundary(Source memory s, uint256 day) internal pure returns (bool) {
        return s.boundary != 0 || s.boundaries[day - s.firstDay] != 0;
    }

    /// @notice The baseline by `similarDays`, at least five, the latest first.
    /// @return daysUsed rising
    /// @return baselineWh per hour, rounded once: down to reduce, up to increase; empty when no complete hour can stand in for one that
    /// is not
    function compute(Question memory q, Source memory s, uint256[] memory similarDays)
        internal
        view
        returns (uint256[] memory daysUsed, int256[] memory baselineWh)
    {
        uint256 clock = q.startHour % 24;
        daysUsed = similarDays;
        (bool known, int256[] memory values) = _read(s, _hoursOf(daysUsed, clock, 0), q.hourCount, !q.increase);
        if (!known) return (reversed(daysUsed), baselineWh);
        if (q.highFive) (daysUsed, values) = _best(daysUsed, values, q.hourCount, q.increase);

        int256[] memory sums = new int256[](q.hourCount);
        int256 size = 0;
        unchecked {
            uint256 place = 0;
            for (uint256 i = 0; i < daysUsed.length; ++i) {
                for (uint256 h = 0; h < sums.length; ++h) {
                    int256 value = values[place++];
                    sums[h] += value;
                    size += value < 0 ? -value : value;
                }
            }
        }
        int256 daysCount = int256(daysUsed.length);
        int256 hoursCount = int256(q.hourCount);
        // Everything over the common denominator 15 * days * hours: the mean of three hours, and a fifth of the mean size.
        int256 adjustment = 0;
        if (s.openedAt >= (q.startHour - 1) * 1 hours) {
            int256 difference;
            (known, difference) = _difference(q, s, daysUsed);
            if (!known) return (reversed(daysUsed), baselineWh);
            adjustment = _clamp(5 * hoursCount * difference, 3 * size);
        }
        baselineWh = new int256[](q.hourCount);
        for (uint256 i = 0; i < q.hourCount; ++i) {
            int256 numerator = 15 * hoursCount * sums[i] + adjustment;
            int256 denominator = 15 * daysCount * hoursCount;
            baselineWh[i] = q.increase ? -_floor(-numerator, denominator) : _floor(numerator, denominator);
        }
        daysUsed = reversed(daysUsed);
    }

    function reversed(uint256[] memory list) internal pure returns (uint256[] memory result) {
        result = new uint256[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            result[list.length - 1 - i] = list[i];
        }
    }

    /// @dev Days times the sum of M over the window, less the days' sum over the same clock hours. What stands in for a hidden hour
    /// lowers it (increase: raises it) on either side.
    function _difference(Question memory q, Source memory s, uint256[] memory daysUsed)
        private
        view
        returns (bool known, int256 difference)
    {
        int256[] memory values;
        uint256[] memory window = new uint256[](1);
        window[0] = q.startHour - WINDOW_LEAD_HOURS;
        (known, values) = _read(s, window, WINDOW_HOURS, !q.increase);
        if (!known) return (false, 0);
        difference = int256(daysUsed.length) * _sum(values);
        (known, values) = _read(s, _hoursOf(daysUsed, q.startHour % 24, WINDOW_LEAD_HOURS), WINDOW_HOURS, q.increase);
        if (!known) return (false, 0);
        difference -= _sum(values);
    }

    /// @dev M of `count` hours from each of `first` on. One that is not complete has the lowest (else the highest) complete M of its clock
    /// hour; not known when there is none.
    function _read(Source memory s, uint256[] memory first, uint256 count, bool lowest)
        private
        view
        returns (bool known, int256[] memory values)
    {
        uint256 length = first.length * count;
        uint32[] memory wanted = new uint32[](length);
        values = new int256[](length);
        unchecked {
            uint256 place = 0;
            for (uint256 i = 0; i < first.length; ++i) {
                uint256 hour = first[i];
                for (uint256 h = 0; h < count; ++h) {
                    wanted[place++] = uint32(hour + h);
                }
            }
            (uint256[] memory words, uint256[] memory extras) = s.ledger.wordsOf(s.districtId, wanted);
            for (uint256 i = 0; i < length; ++i) {
                (bool complete, int256 value) = _judge(s, wanted[i], words[i], extras[i]);
                if (!complete) {
                    StandIn memory standIn = _standIn(s, wanted[i] % 24);
                    if (!standIn.isKnown) return (false, values);
                    value = lowest ? standIn.lowest : standIn.highest;
                }
                values[i] = value;
            }
        }
        return (true, values);
    }

    function _standIn(Source memory s, uint256 clock) private view returns (StandIn memory standIn) {
        if (s.standIns.length == 0) s.standIns = new StandIn[](24);
        standIn = s.standIns[clock];
        if (standIn.isRead) return standIn;
        standIn.isRead = true;
        unchecked {
            uint256 afterLast = s.openedAt / 1 days;
            uint256 day = afterLast > LOOK_BACK_DAYS ? afterLast - LOOK_BACK_DAYS : 0;
            // The clock hour of the day of the opening counts if it had ended.
            if ((afterLast * 24 + clock + 1) * 1 hours <= s.openedAt) ++afterLast;
            uint32[] memory wanted = new uint32[](afterLast - day);
            for (uint256 i = 0; i < wanted.length; ++i) {
                wanted[i] = uint32((day + i) * 24 + clock);
            }
            (uint256[] memory words, uint256[] memory extras) = s.ledger.wordsOf(s.districtId, wanted);
            for (uint256 i = 0; i < words.length; ++i) {
                (bool complete, int256 value) = _judge(s, wanted[i], words[i], extras[i]);
                if (!complete) continue;
                if (!standIn.isKnown) (standIn.isKnown, standIn.lowest, standIn.highest) = (true, value, value);
                else if (value < standIn.lowest) standIn.lowest = value;
                else if (value > standIn.highest) standIn.highest = value;
            }
        }
    }

    function _judge(Source memory s, uint256 hour, uint256 word, uint256 extra)
        private
        pure
        returns (bool complete, int256 netImportWh)
    {
        unchecked {
            uint256 boundary = s.boundary;
            if (boundary == 0) {
                boundary = s.boundaries[hour / 24 - s.firstDay];
                if (boundary == 0) return (false, 0);
            }
            if (s.judgedBy != boundary) {
                s.judgedBy = boundary;
                s.rule.coverage = uint32(boundary);
                s.rule.loadMetered = boundary & LOAD_METERED != 0;
            }
            return CertifiedHour.netImport(word, extra, s.rule);
        }
    }

    function _packed(Boundary memory boundary) private pure returns (uint256) {
        return HAS_BOUNDARY | (boundary.loadMetered ? LOAD_METERED : 0) | uint256(boundary.openPoints)
            | (uint256(boundary.members) << 16);
    }

    /// @dev The five days with the largest (increase: smallest) sum; of equal ones the more recent.
    function _best(uint256[] memory allDays, int256[] memory values, uint256 count, bool smallest)
        private
        pure
        returns (uint256[] memory bestDays, int256[] memory bestValues)
    {
        bestDays = new uint256[](LEAST_DAYS);
        bestValues = new int256[](LEAST_DAYS * count);
        unchecked {
            int256[] memory sums = new int256[](allDays.length);
            uint256 place = 0;
            for (uint256 i = 0; i < sums.length; ++i) {
                int256 sum = 0;
                for (uint256 h = 0; h < count; ++h) {
                    sum += values[place++];
                }
                sums[i] = smallest ? -sum : sum;
            }
            uint256 used = 0;
            for (uint256 i = 0; i < sums.length; ++i) {
                int256 own = sums[i];
                uint256 better = 0;
                for (uint256 j = 0; j < sums.length; ++j) {
                    int256 other = sums[j];
                    if (other > own || (other == own && j < i)) ++better;
                }
                if (better >= LEAST_DAYS) continue;
                bestDays[used] = allDays[i];
                for (uint256 h = 0; h < count; ++h) {
                    bestValues[used * count + h] = values[i * count + h];
                }
                ++used;
            }
        }
    }

    /// @dev The hour `lead` hours before clock hour `clock` of each day.
    function _hoursOf(uint256[] memory list, uint256 clock, uint256 lead)
        private
        pure
        returns (uint256[] memory first)
    {
        first = new uint256[](list.length);
        unchecked {
            for (uint256 i = 0; i < list.length; ++i) {
                first[i] = list[i] * 24 + clock - lead;
            }
        }
    }

    function _sum(int256[] memory values) private pure returns (int256 sum) {
        for (uint256 i = 0; i < values.length; ++i) {
            sum += values[i];
        }
    }

    function _clamp(int256 value, int256 most) private pure returns (int256) {
        if (value > most) return most;
        return value < -most ? -most : value;
    }

    function _floor(int256 numerator, int256 denominator) private pure returns (int256 quotient) {
        quotient = numerator / denominator;
        if (numerator % denominator < 0) --quotient;
    }
}
