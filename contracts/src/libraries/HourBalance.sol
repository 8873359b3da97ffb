// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The rule: from an hour's stored words to its primary-energy (or GHG) balance and bounds
/// @notice domain.md §2 (netting, allocation, conservation) and §4 (balance, completeness, bounds). Energies are Wh, factors 1/1000
/// kWh_PE per kWh (or g CO2e per kWh), balances their product. Exact integers; the Python statement is contracts/energy.py.
/// @dev Unchecked arithmetic throughout: lanes are below 2^32, caps below 2^40 and factors below 2^16, so that no sum of an
/// hour or a day comes near 2^80.
library HourBalance {
    /// @notice What holds for all hours of a day: the boundary in force and the scheme's tolerances.
    struct Day {
        /// What covers an hour: open points, and members' points 16 bits higher, as the hour word counts them.
        uint256 coverage;
        int256 gridCapWh;
        int256 carrierCapWh;
        int256 foreignCapWh;
        bool loadMetered;
        int256 toleranceWh;
        int256 toleranceBp;
    }

    /// @notice What is exceptional in an hour; all zero in most. The short caps include those of gateways that sent no batch.
    struct Detail {
        uint256 estimated;
        uint256 tainted;
        int256 shortGridWh;
        int256 shortCarrierWh;
        int256 shortForeignWh;
        int256 foreignWh;
        /// Absolute value; 0 when the load is not metered.
        int256 imbalanceWh;
        /// Carrier words of the ledger: carriers 1-4 and 5-8.
        uint256 firstCarriers;
        uint256 lastCarriers;
        /// What moved with trades (IClaims): export that others took over, import that came from others.
        int256 attributesOutWh;
        int256 attributesInWh;
    }

    /// @notice Factors of one hour. `carriers`: carrier c (zero based) has bought u16 at bit 32*c and export u16 at bit 32*c+16.
    /// Where none were published, `lacking` is set and the three factors are the least favourable ones (max, max, min).
    struct Factors {
        int256 average;
        int256 marginalImport;
        int256 marginalExport;
        int256 min;
        int256 max;
        bool lacking;
        uint256 carriers;
    }

    /// @notice Nets and allocates the flows of an hour word (layout: ILedger). Import that is not `importLoadWh` went to storage or is
    /// unexplained; both are weighted alike. Without a metered load nothing is allocated.
    function flows(uint256 word, bool loadMetered)
        internal
        pure
        returns (int256 exportWh, int256 importWh, int256 importLoadWh)
    {
        unchecked {
            int256 net = _lane(word, 1) - _lane(word, 0);
            if (net >= 0) return (net, 0, 0);
            importWh = -net;
            if (!loadMetered) return (0, importWh, 0);
            int256 consumption = _lane(word, 3);
            int256 charge = _positive(_lane(word, 4) - _lane(word, 5));
            int256 fromImport = _positive(charge - _positive(_lane(word, 2) - consumption));
            importLoadWh = _least(_positive(importWh - fromImport), consumption);
        }
    }

    /// @notice Flows without what moved with its attributes: export and import fall, of import what served load first (domain.md §6).
    function withoutMoved(int256 exportWh, int256 importWh, int256 importLoadWh, Detail memory d)
        internal
        pure
        returns (int256, int256, int256)
    {
        unchecked {
            int256 movedInWh = _least(d.attributesInWh, importWh);
            return (_positive(exportWh - d.attributesOutWh), importWh - movedInWh, _positive(importLoadWh - movedInWh));
        }
    }

    /// @notice Conservation of an hour word whose load is metered: what is supplied but not drawn, and whether that is too much.
    function conservation(uint256 word, Day memory day) internal pure returns (int256 imbalanceWh, bool violated) {
        unchecked {
            int256 net = _lane(word, 1) - _lane(word, 0);
            int256 stored = _lane(word, 4) - _lane(word, 5);
            int256 production = _lane(word, 2);
            imbalanceWh = production - _lane(word, 3) - net - stored;
            int256 size = imbalanceWh < 0 ? -imbalanceWh : imbalanceWh;
            if (size <= day.toleranceWh) return (imbalanceWh, false);
            // The larger side: what is supplied, and what is drawn beyond that.
            int256 larger = production + _positive(-net) + _positive(-stored) + _positive(-imbalanceWh);
            violated = size * 10_000 > day.toleranceBp * larger;
        }
    }

    /// @notice Whether every open point has a measured record and every member's point is covered.
    function isCovered(uint256 word, Day memory day) internal pure returns (bool) {
        return (word >> 192) & 0xffffffff == day.coverage;
    }

    /// @notice Balance of a complete hour without carriers and foreign generation: its bounds are the balance itself.
    function plain(int256 exportWh, int256 importWh, int256 importLoadWh, bool loadMetered, Factors memory k)
        internal
        pure
        returns (int256)
    {
        unchecked {
            if (importWh == 0) return exportWh * k.marginalExport;
            if (!loadMetered) return -importWh * _greatest(k.average, k.marginalImport);
            return -importLoadWh * k.average - (importWh - importLoadWh) * k.marginalImport;
        }
    }

    /// @notice Balance and bounds of any hour; the first row of domain.md §4's table that applies.
    /// @param complete covered, conserved, not tainted, factors not lacking
    function weigh(uint256 word, Detail memory d, Day memory day, Factors memory k, bool complete)
        internal
        pure
        returns (int256 balance, int256 lower, int256 upper)
    {
        unchecked {
            int256 cost = carrierCost(d, k.carriers);
            int256 foreignCost = d.foreignWh * k.marginalImport;
            (int256 exportWh, int256 importWh, int256 importLoadWh) = flows(word, day.loadMetered);
            (exportWh, importWh, importLoadWh) = withoutMoved(exportWh, importWh, importLoadWh, d);
            balance = plain(exportWh, importWh, importLoadWh, day.loadMetered, k) - cost - foreignCost;

            if (d.tainted > 0) {
                // Twice the foreign cap: a forged vehicle charge can also have hidden another hour's discharge.
                lower = -(day.gridCapWh + day.carrierCapWh + 2 * day.foreignCapWh) * k.max;
                upper = (day.gridCapWh + day.carrierCapWh) * k.max;
                return (balance, lower, upper);
            }
            int256 shortWh = d.shortGridWh + d.shortCarrierWh;
            if (shortWh > 0 || d.estimated > 0 || k.lacking) {
                (int256 costMost, int256 costLeast) = _carrierCostRange(d, k.carriers);
                lower = _lane(word, 1) * k.min - (_lane(word, 0) + shortWh + d.foreignWh) * k.max - costMost;
                upper = (_lane(word, 1) + shortWh) * k.max - _lane(word, 0) * k.min - costLeast;
                // Of energies known only as sums, what moved can have been less than it says in one hour, and so all of it counts.
                lower -= d.attributesOutWh * k.min;
                upper += d.attributesInWh * k.min;
                if (d.shortForeignWh == 0) upper -= d.foreignWh * k.min;
            } else if (!complete) {
                int256 high = _greatest(k.average, k.marginalImport);
                int256 low = _least(k.average, k.marginalImport);
                int256 unexplained = d.imbalanceWh * _greatest(high, k.marginalExport);
                int256 known = exportWh * k.marginalExport - cost;
                lower = known - importWh * high - unexplained - foreignCost;
                upper = known - importWh * low + unexplained;
                if (d.shortForeignWh == 0) upper -= foreignCost;
            } else {
                lower = balance;
                upper = balance;
            }
            lower -= d.shortForeignWh * k.max;
        }
    }

    /// @notice Weighted cost of the carriers, each netted within the hour.
    function carrierCost(Detail memory d, uint256 factors) internal pure returns (int256 cost) {
        if (d.firstCarriers | d.lastCarriers == 0) return 0;
        unchecked {
            for (uint256 c = 0; c < 8; ++c) {
                (int256 bought, int256 delivered, int256 factor, int256 exportFactor) = _carrier(d, factors, c);
                int256 net = bought - delivered;
                cost += net * (net > 0 ? factor : exportFactor);
            }
        }
    }

    /// @notice Energy that a district's vehicles brought in on a day beyond what they had charged, rounded up.
    /// @param word vehicle word (layout: ILedger)
    function vehicleExcess(uint256 word) internal pure returns (int256 excessWh) {
        unchecked {
            uint256 discharge = uint64(word);
            uint256 charged = uint96(word >> 64);
            uint256 needed = discharge * 1000;
            excessWh = needed > charged ? int256((needed - charged + 999) / 1000) : int256(0);
        }
    }

    /// @dev Most and least that the carriers can have cost when their energies are known only as sums over several hours.
    /// Linear in the energies, so that it holds for the sum over a gap. Export factors are never above bought ones.
    function _carrierCostRange(Detail memory d, uint256 factors) private pure returns (int256 most, int256 least) {
        if (d.firstCarriers | d.lastCarriers == 0) return (0, 0);
        unchecked {
            for (uint256 c = 0; c < 8; ++c) {
                (int256 bought, int256 delivered, int256 factor, int256 exportFactor) = _carrier(d, factors, c);
                most += bought * factor - delivered * exportFactor;
                least += (bought - delivered) * factor;
            }
        }
    }

    function _carrier(Detail memory d, uint256 factors, uint256 c)
        private
        pure
        returns (int256 boughtWh, int256 deliveredWh, int256 boughtFactor, int256 exportFactor)
    {
        unchecked {
            uint256 lane = (c < 4 ? d.firstCarriers : d.lastCarriers) >> (64 * (c & 3));
            boughtWh = int256(lane & 0xffffffff);
            deliveredWh = int256((lane >> 32) & 0xffffffff);
            boughtFactor = int256((factors >> (32 * c)) & 0xffff);
            exportFactor = int256((factors >> (32 * c + 16)) & 0xffff);
        }
    }

    /// @dev Lanes 0 to 5: import, export, production, consumption, charge, discharge.
    function _lane(uint256 word, uint256 index) private pure returns (int256) {
        return int256((word >> (32 * index)) & 0xffffffff);
    }

    /// @dev max(0, x) without a jump.
    function _positive(int256 x) private pure returns (int256) {
        return x & ~(x >> 255);
    }

    function _least(int256 a, int256 b) private pure returns (int256) {
        unchecked {
            return a - _positive(a - b);
        }
    }

    function _greatest(int256 a, int256 b) private pure returns (int256) {
        unchecked {
            return a + _positive(b - a);
        }
    }
}
