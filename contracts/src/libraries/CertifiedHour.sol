// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger } from "../interfaces/ILedger.sol";
import { Terms } from "../interfaces/IMarketRules.sol";
import { IRegistry } from "../interfaces/IRegistry.sol";
import { Boundary } from "../types/Boundary.sol";
import { HourBalance } from "./HourBalance.sol";

/// @title Net import of a district's hour, and whether it is certified: what trades and demand response are settled by (domain.md §§6, 7)
/// @notice An hour is complete when the boundary in force is covered by measured records, no compromised key signed a part of it, and
/// energy is conserved within the market's tolerance. Carriers, factors and schemes do not matter here.
library CertifiedHour {
    /// @notice A key of the district is compromised and the ledger has not looked for what it signed: ILedger.scanCompromise, which
    /// anyone may call.
    error CompromisePending(bytes32 districtId, uint256 scanned, uint256 compromises);

    /// @notice What hours of a day are judged by. Without a boundary no hour is complete.
    function rule(Boundary memory boundary, Terms memory terms) internal pure returns (HourBalance.Day memory day) {
        day.coverage = boundary.version == 0
            ? type(uint256).max
            : uint256(boundary.openPoints) | (uint256(boundary.members) << 16);
        day.loadMetered = boundary.loadMetered;
        day.toleranceWh = int256(uint256(terms.toleranceWh));
        day.toleranceBp = int256(uint256(terms.toleranceBp));
    }

    /// @param word the hour's word, `extra` its extra word (ILedger)
    /// @return complete as the title says
    /// @return netImportWh import less export; of an hour that is not complete whatever is known
    function netImport(uint256 word, uint256 extra, HourBalance.Day memory day)
        internal
        pure
        returns (bool complete, int256 netImportWh)
    {
        netImportWh = int256(word & 0xffffffff) - int256((word >> 32) & 0xffffffff);
        if ((extra >> 16) & 0xffff != 0 || !HourBalance.isCovered(word, day)) return (false, netImportWh);
        if (!day.loadMetered) return (true, netImportWh);
        (, bool violated) = HourBalance.conservation(word, day);
        complete = !violated;
    }

    /// @notice One hour, read from the ledger.
    function read(IRegistry registry, ILedger ledger, Terms memory terms, bytes32 districtId, uint32 hour)
        internal
        view
        returns (bool complete, int256 netImportWh)
    {
        uint32[] memory one = new uint32[](1);
        one[0] = hour;
        (uint256[] memory words, uint256[] memory extras) = ledger.wordsOf(districtId, one);
        return netImport(words[0], extras[0], rule(registry.boundary(districtId, hour / 24), terms));
    }

    /// @notice Before anything is settled by a district's hours: nothing that a compromised key signed passes for certified.
    function requireScanned(IRegistry registry, ILedger ledger, bytes32 districtId) internal view {
        uint256 compromises = registry.compromiseCount(districtId);
        if (compromises == 0) return;
        uint256 scanned = ledger.compromisesScanned(districtId);
        if (scanned < compromises) revert CompromisePending(districtId, scanned, compromises);
    }
}
