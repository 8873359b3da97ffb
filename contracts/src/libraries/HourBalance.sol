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
        uint256 openPoints;
        uint256 members;
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
        /// Carrier words of the ledger: carriers 1-4 and 5-8.
        uint256 firstCarriers;
        uint256 lastCarriers;
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

    /// @notice An hour's netted flows. Import that is not `importLoadWh` went to storage or is unexplained; both are weighted alike.
    struct Flows {
        int256 exportWh;
        int256 importWh;
        int256 importLoadWh;
        int256 grossExportWh;
        int256 grossImportWh;
        /// Absolute value; 0 when the load is not metered.
        int256 imbalanceWh;
        bool violated;
    }

    /// @notice Nets, allocates and checks conservation of an hour word (layout: ILedger).
    function flows(uint256 word, Day memory day) internal pure returns (Flows memory f) {
        unchecked {
            int256 grossImport = int256(word & 0xffffffff);
            int256 grossExport = int256((word >> 32) & 0xffffffff);
            f.grossImportWh = grossImport;
            f.grossExportWh = grossExport;
            int256 net = grossExport - grossImport;
            int256 imported = net < 0 ? -net : int256(0);
            f.importWh = imported;
            f.exportWh = net > 0 ? net : int256(0);
            // Without a metered load there is nothing to allocate, and conservation cannot be checked.
            if (!day.loadMetered) return f;

            int256 production = int256((word >> 64) & 0xffffffff);
            int256 consumption = int256((word >> 96) & 0xffffffff);
            int256 stored = int256((word >> 128) & 0xffffffff) - int256((word >> 160) & 0xffffffff);

            int256 toStorage = stored > 0 ? stored : int256(0);
            int256 surplus = production - consumption;
            if (surplus > 0) toStorage = toStorage > surplus ? toStorage - surplus : int256(0);
            int256 rest = imported > toStorage ? imported - toStorage : int256(0);
            f.importLoadWh = rest < consumption ? rest : consumption;

            int256 imbalance = production - consumption - net - stored;
            if (imbalance == 0) return f;
            int256 larger = production + imported + (stored < 0 ? -stored : int256(0));
            if (imbalance < 0) {
                larger -= imbalance;
                imbalance = -imbalance;
            }
            f.imbalanceWh = imbalance;
            f.violated = imbalance > day.toleranceWh && imbalance * 10_000 > day.toleranceBp * larger;
        }
    }

    /// @notice Whether every open point has a measured record and every member's point is covered.
    function isCovered(uint256 word, Day memory day) internal pure returns (bool) {
        return ((word >> 192) & 0xffff) == day.openPoints && ((word >> 208) & 0xffff) == day.members;
    }

    /// @notice Balance of a complete hour without carriers and foreign generation: its bounds are the balance itself.
    function plain(Flows memory f, bool loadMetered, Factors memory k) internal pure returns (int256 balance) {
        unchecked {
            return f.exportWh * k.marginalExport - _importCost(f, loadMetered, k);
        }
    }

    /// @notice Balance and bounds of any hour; the first row of domain.md §4's table that applies.
    /// @param complete covered, conserved, not tainted, factors not lacking
    function weigh(Flows memory f, Detail memory d, Day memory day, Factors memory k, bool complete)
        internal
        pure
        returns (int256 balance, int256 lower, int256 upper)
    {
        unchecked {
            int256 cost = carrierCost(d, k.carriers);
            int256 foreignCost = d.foreignWh * k.marginalImport;
            balance = plain(f, day.loadMetered, k) - cost - foreignCost;

            if (d.tainted > 0) {
                // Twice the foreign cap: a forged vehicle charge can also have hidden another hour's discharge.
                lower = -(day.gridCapWh + day.carrierCapWh + 2 * day.foreignCapWh) * k.max;
                upper = (day.gridCapWh + day.carrierCapWh) * k.max;
                return (balance, lower, upper);
            }
            int256 shortWh = d.shortGridWh + d.shortCarrierWh;
            if (shortWh > 0 || d.estimated > 0 || k.lacking) {
                (int256 costMost, int256 costLeast) = _carrierCostRange(d, k.carriers);
                lower = f.grossExportWh * k.min - (f.grossImportWh + shortWh + d.foreignWh) * k.max - costMost;
                upper = (f.grossExportWh + shortWh) * k.max - f.grossImportWh * k.min - costLeast;
                if (d.shortForeignWh == 0) upper -= d.foreignWh * k.min;
            } else if (!complete) {
                int256 high = k.average > k.marginalImport ? k.average : k.marginalImport;
                int256 low = k.average < k.marginalImport ? k.average : k.marginalImport;
                int256 unexplained = f.imbalanceWh * (high > k.marginalExport ? high : k.marginalExport);
                int256 known = f.exportWh * k.marginalExport - cost;
                lower = known - f.importWh * high - unexplained - foreignCost;
                upper = known - f.importWh * low + unexplained;
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

    function _importCost(Flows memory f, bool loadMetered, Factors memory k) private pure returns (int256) {
        unchecked {
            if (loadMetered) {
                return f.importLoadWh * k.average + (f.importWh - f.importLoadWh) * k.marginalImport;
            }
            return f.importWh * (k.average > k.marginalImport ? k.average : k.marginalImport);
        }
    }
}
