// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger } from "../interfaces/ILedger.sol";
import { Kind } from "../types/Kind.sol";
import { HourSums, Lane } from "./HourSums.sol";
import { OpenSection } from "./OpenSection.sol";
import { Word } from "./Word.sol";

/// @title Sums of a private batch's section: one hour of a gateway's members
/// @notice Section: `[hourOfDay u8][root 32][kinds u8]{kind u8, members u16, supply_wh u32, draw_wh u32} x kinds`. Group entries, one
/// per registered kind, ascending: `kind u8, 0 u8, members u16, cap_wh u32` (see IRegistry.privateContext).
library PrivateSection {
    uint256 private constant ENTRY_BYTES = 8;
    uint256 private constant SUM_BYTES = 11;
    /// @dev Root and number of kinds, after the hour.
    uint256 private constant HEADER_BYTES = 33;

    /// @notice Bytes of a section, its hour included.
    function size(bytes memory group) internal pure returns (uint256) {
        return 1 + HEADER_BYTES + (group.length / ENTRY_BYTES) * SUM_BYTES;
    }

    /// @param offset of the section's root in `payload`
    /// @param sums overwritten, except for `vehicles`
    function sum(
        bytes calldata payload,
        uint256 offset,
        bytes memory group,
        uint256 minimumMembers,
        HourSums memory sums
    ) internal pure {
        sums.hour = 0;
        sums.extra = 0;
        sums.firstCarriers = 0;
        sums.lastCarriers = 0;
        unchecked {
            uint256 kinds = group.length / ENTRY_BYTES;
            uint256 stated = uint8(payload[offset + HEADER_BYTES - 1]);
            if (stated != kinds) revert ILedger.KindCountMismatch(stated, kinds);
            offset += HEADER_BYTES;
            for (uint256 i = 0; i < kinds; ++i) {
                _addKind(payload, offset + i * SUM_BYTES, group, i, minimumMembers, sums);
            }
            if (sums.extra != 0) sums.hour += 1 << Lane.EXTRAS;
            if (sums.firstCarriers | sums.lastCarriers != 0) sums.hour += 1 << Lane.CARRIERS;
        }
    }

    function _addKind(
        bytes calldata payload,
        uint256 offset,
        bytes memory group,
        uint256 index,
        uint256 minimumMembers,
        HourSums memory sums
    ) private pure {
        unchecked {
            (uint256 kind, uint256 registered, uint256 capWh) = _entry(group, index);
            uint256 stated = uint8(payload[offset]);
            if (stated != kind) revert ILedger.KindsMismatch(uint8(stated), uint8(kind));
            uint256 members = uint16(bytes2(payload[offset + 1:]));
            uint256 supplyWh = uint32(bytes4(payload[offset + 3:]));
            uint256 drawWh = uint32(bytes4(payload[offset + 7:]));

            if (members > registered) revert ILedger.TooManyMembers(uint8(kind), uint16(members), uint16(registered));
            if (supplyWh | drawWh != 0 && members < minimumMembers) {
                revert ILedger.TooFewMembers(uint8(kind), uint16(members), uint8(minimumMembers));
            }
            if (supplyWh > capWh) revert ILedger.SumAboveCap(uint8(kind), supplyWh, capWh);
            if (drawWh > capWh) revert ILedger.SumAboveCap(uint8(kind), drawWh, capWh);
            if (kind == Kind.LOAD && supplyWh != 0) revert ILedger.LoadSupply(index, supplyWh);

            if (kind >= Kind.FIRST_CARRIER) {
                OpenSection.addCarrier(sums, kind, supplyWh, drawWh);
                // Which members are missing is unknown: all of the kind's cap may be theirs.
                if (members < registered) sums.extra += capWh << Lane.SHORT_CARRIER;
            } else {
                sums.hour += (supplyWh << Lane.supplyOf(kind * 8)) + (drawWh << Lane.drawOf(kind * 8));
            }
            sums.hour += members << Lane.MEMBERS;
        }
    }

    function _entry(bytes memory group, uint256 index)
        private
        pure
        returns (uint256 kind, uint256 members, uint256 capWh)
    {
        uint256 word = Word.inMemory(group, index * ENTRY_BYTES);
        kind = word >> 248;
        members = (word >> 224) & 0xffff;
        capWh = (word >> 192) & 0xffffffff;
    }
}
