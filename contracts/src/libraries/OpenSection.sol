// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger } from "../interfaces/ILedger.sol";
import { Kind } from "../types/Kind.sol";
import { HourSums, Lane } from "./HourSums.sol";
import { Word } from "./Word.sol";

/// @title Sums of an open batch's section: one hour of all open points of a gateway
/// @notice Records (8 bytes, see ILedger.OpenBatch) lie against manifest entries (8 bytes: kind u8, renewable u8, efficiency_permille
/// u16, cap_wh u32; see IRegistry.openContext), four of each in a word. Words whose records are all measured, within their caps
/// and of the common kinds are added up as they are while their four kinds stay the same; any other word goes record by record.
library OpenSection {
    uint256 internal constant RECORD_BYTES = 8;

    uint256 private constant ENERGY = 0x7fffffff;
    /// @dev In each of the four lanes of 64 bits: the two status bits; the cap.
    uint256 private constant STATUS_BITS = 0x8000000080000000800000008000000080000000800000008000000080000000;
    uint256 private constant CAPS = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    /// @dev In each of the four lanes of 64 bits of a manifest: the kind.
    uint256 private constant KINDS = 0xff00000000000000ff00000000000000ff00000000000000ff00000000000000;
    /// @dev Bit k: kind k needs more than two additions to the hour word.
    uint256 private constant UNCOMMON_KINDS = ~uint256(0x57);

    /// @notice Bytes of a section, its hour included.
    function size(bytes memory manifest) internal pure returns (uint256) {
        return 1 + manifest.length;
    }

    /// @param offset of the section's first record in `payload`, which holds one for each manifest entry
    /// @param sums overwritten, except for `vehicles`, to which is added
    function sum(bytes calldata payload, uint256 offset, bytes memory manifest, HourSums memory sums) internal pure {
        sums.extra = 0;
        sums.firstCarriers = 0;
        sums.lastCarriers = 0;
        unchecked {
            uint256 points = manifest.length / RECORD_BYTES;
            uint256 lanes;
            uint256 measured = points;
            // The common words since the four kinds last changed. A kind's caps in a district stay below 2^32 (ILedger,
            // assumptions), and so do the two energies of each lane: none reaches its neighbour.
            uint256 together;
            uint256 kinds;
            for (uint256 i = 0; i < points; i += 4) {
                uint256 records = Word.inCalldata(payload, offset + i * RECORD_BYTES);
                uint256 entries = Word.inMemory(manifest, i * RECORD_BYTES);
                if (points - i < 4) {
                    uint256 unused = 64 * (4 - (points - i));
                    records = (records >> unused) << unused;
                    entries = (entries >> unused) << unused;
                }
                bool measuredWithinCaps = _areMeasuredWithinCaps(records, entries);
                if (measuredWithinCaps && entries & KINDS == kinds) {
                    together += records;
                } else if (measuredWithinCaps && _areCommon(entries)) {
                    lanes += _fourSums(together, kinds);
                    together = records;
                    kinds = entries & KINDS;
                } else {
                    (uint256 hour, uint256 exceptions) = _oneByOne(records, entries, i, sums);
                    lanes += hour;
                    measured -= exceptions;
                }
            }
            lanes += _fourSums(together, kinds);
            // A load's supply would stand above the six lanes: name it.
            if (lanes >> Lane.MEASURED != 0) _refuseLoadSupply(payload, offset, manifest);
            if (sums.extra != 0) lanes += 1 << Lane.EXTRAS;
            if (sums.firstCarriers | sums.lastCarriers != 0) lanes += 1 << Lane.CARRIERS;
            sums.hour = lanes + (measured << Lane.MEASURED);
        }
    }

    /// @dev Whether all four records are measured (no status bit) and at most their caps. A cap and an energy have 31 bits:
    /// cap + 2^31 - energy keeps bit 31 exactly if energy <= cap, and no lane borrows from the next.
    function _areMeasuredWithinCaps(uint256 records, uint256 entries) private pure returns (bool) {
        unchecked {
            uint256 caps = entries & CAPS;
            caps |= caps << 32;
            return ((caps | STATUS_BITS) - records) & ~records & STATUS_BITS == STATUS_BITS;
        }
    }

    /// @dev Whether all four kinds are common.
    function _areCommon(uint256 entries) private pure returns (bool) {
        uint256 uncommon = (UNCOMMON_KINDS >> (entries >> 248)) | (UNCOMMON_KINDS >> ((entries >> 184) & 0xff))
            | (UNCOMMON_KINDS >> ((entries >> 120) & 0xff)) | (UNCOMMON_KINDS >> ((entries >> 56) & 0xff));
        return uncommon & 1 == 0;
    }

    /// @param together sums of records: supply and draw of 32 bits each in every lane
    function _fourSums(uint256 together, uint256 kinds) private pure returns (uint256 lanes) {
        if (together == 0) return 0;
        unchecked {
            uint256 kind = (kinds >> 245) & 0x7f8;
            lanes = (together >> 224) << Lane.supplyOf(kind);
            lanes += ((together >> 192) & 0xffffffff) << Lane.drawOf(kind);
            kind = (kinds >> 181) & 0x7f8;
            lanes += ((together >> 160) & 0xffffffff) << Lane.supplyOf(kind);
            lanes += ((together >> 128) & 0xffffffff) << Lane.drawOf(kind);
            kind = (kinds >> 117) & 0x7f8;
            lanes += ((together >> 96) & 0xffffffff) << Lane.supplyOf(kind);
            lanes += ((together >> 64) & 0xffffffff) << Lane.drawOf(kind);
            kind = (kinds >> 53) & 0x7f8;
            lanes += ((together >> 32) & 0xffffffff) << Lane.supplyOf(kind);
            lanes += (together & 0xffffffff) << Lane.drawOf(kind);
        }
    }

    /// @param index of the first of the four points
    /// @return lanes what they add to the hour word's energies
    /// @return exceptions how many are not measured
    function _oneByOne(uint256 records, uint256 entries, uint256 index, HourSums memory sums)
        private
        pure
        returns (uint256 lanes, uint256 exceptions)
    {
        unchecked {
            for (uint256 end = index + 4; index < end; ++index) {
                uint256 entry = entries >> 192;
                uint256 kind = entry >> 56;
                if (kind == 0) return (lanes, exceptions); // end of the manifest
                uint256 capWh = entry & 0xffffffff;
                uint256 status = ((records >> 255) << 1) | ((records >> 223) & 1);
                uint256 supplyWh = (records >> 224) & ENERGY;
                uint256 drawWh = (records >> 192) & ENERGY;
                if (supplyWh > capWh) revert ILedger.EnergyAboveCap(index, supplyWh, capWh);
                if (drawWh > capWh) revert ILedger.EnergyAboveCap(index, drawWh, capWh);
                if (kind == Kind.LOAD && supplyWh != 0) revert ILedger.LoadSupply(index, supplyWh);
                if (status != 0) {
                    if (status == 3 && supplyWh | drawWh != 0) {
                        revert ILedger.MissingWithEnergy(index, supplyWh, drawWh);
                    }
                    ++exceptions;
                    _addException(sums, kind, status, capWh);
                }
                if (kind >= Kind.FIRST_CARRIER) {
                    addCarrier(sums, kind, supplyWh, drawWh);
                } else {
                    lanes += (supplyWh << Lane.supplyOf(kind * 8)) + (drawWh << Lane.drawOf(kind * 8));
                    if (kind == Kind.FUEL_GENERATION) sums.extra += supplyWh << Lane.FOREIGN;
                    // An estimated charge must not offset a real discharge: the cap covers estimated vehicles.
                    if (kind == Kind.VEHICLE && status != 1) {
                        sums.vehicles += supplyWh + ((drawWh * ((entry >> 32) & 0xffff)) << 64);
                    }
                }
                records <<= 64;
                entries <<= 64;
            }
        }
    }

    function addCarrier(HourSums memory sums, uint256 kind, uint256 boughtWh, uint256 deliveredWh) internal pure {
        unchecked {
            uint256 carrier = kind - Kind.FIRST_CARRIER;
            uint256 lanes = (boughtWh + (deliveredWh << 32)) << (64 * (carrier & 3));
            if (carrier < 4) sums.firstCarriers += lanes;
            else sums.lastCarriers += lanes;
        }
    }

    function _addException(HourSums memory sums, uint256 kind, uint256 status, uint256 capWh) private pure {
        unchecked {
            if (kind == Kind.GRID || kind >= Kind.FIRST_CARRIER) {
                if (status == 1) sums.extra += 1;
                else sums.extra += capWh << (kind == Kind.GRID ? Lane.SHORT_GRID : Lane.SHORT_CARRIER);
            } else if (kind == Kind.VEHICLE || kind == Kind.FUEL_GENERATION) {
                sums.extra += capWh << Lane.SHORT_FOREIGN;
            }
        }
    }

    function _refuseLoadSupply(bytes calldata payload, uint256 offset, bytes memory manifest) private pure {
        unchecked {
            for (uint256 i = 0; i < manifest.length / RECORD_BYTES; ++i) {
                uint256 supplyWh = (Word.inCalldata(payload, offset + i * RECORD_BYTES) >> 224) & ENERGY;
                bool isLoad = Word.inMemory(manifest, i * RECORD_BYTES) >> 248 == Kind.LOAD;
                if (isLoad && supplyWh != 0) revert ILedger.LoadSupply(i, supplyWh);
            }
        }
    }
}
