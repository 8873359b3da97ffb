// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import { Adjustment, ILedger, OpenBatch, PrivateBatch } from "./interfaces/ILedger.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { Code } from "./libraries/Code.sol";
import { HourSums, Lane } from "./libraries/HourSums.sol";
import { OpenSection } from "./libraries/OpenSection.sol";
import { PrivateSection } from "./libraries/PrivateSection.sol";
import { StreamWord } from "./libraries/StreamWord.sol";
import { Compromise, District } from "./types/Boundary.sol";

/// @title Ledger of metered hours, see ILedger
contract Ledger is ILedger, EIP712 {
    /// @notice Clock skew granted to a gateway, seconds (domain.md §2).
    uint256 public constant CLOCK_SKEW_SECONDS = 120;
    /// @notice Last sequence of a day that a gateway's key can sign. The rest is kept, so that a stolen key cannot use up a day.
    uint8 public constant LAST_GATEWAY_SEQUENCE = 200;
    /// @notice The same for a gateway that was ever compromised, to sign again what its former key signed; the rest is for `adjust`.
    uint8 public constant LAST_RESIGNING_SEQUENCE = 250;

    bytes32 private constant OPEN_BATCH_TYPEHASH =
        keccak256("OpenBatch(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,bytes payload)");
    bytes32 private constant PRIVATE_BATCH_TYPEHASH = keccak256(
        "PrivateBatch(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,uint16 changedMembers,bytes payload)"
    );
    bytes32 private constant ADJUSTMENT_TYPEHASH = keccak256(
        "Adjustment(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,bool isPrivate,bytes32 reasonHash,uint16 changedMembers,bytes payload)"
    );

    IRegistry public immutable registry;
    /// @inheritdoc ILedger
    uint256 public immutable finalitySeconds;
    bytes32 private immutable METER_OPERATOR;
    bytes32 private immutable AUDITOR;

    mapping(bytes32 districtId => mapping(uint256 hour => uint256)) private hours_;
    mapping(bytes32 districtId => mapping(uint256 hour => uint256)) private extras_;
    /// @dev Key hour * 2 + half.
    mapping(bytes32 districtId => mapping(uint256 hourHalf => uint256)) private carriers_;
    mapping(bytes32 districtId => mapping(uint256 day => uint256)) private vehicles_;
    /// @dev Key day * 2 + (private ? 1 : 0).
    mapping(bytes32 gatewayId => mapping(uint256 streamDay => uint256)) private streams_;
    /// @dev Key streamDay * 256 + sequence.
    mapping(bytes32 gatewayId => mapping(uint256 key => bytes32)) private batchHashes_;
    mapping(bytes32 districtId => uint32[]) private adjustedDays_;
    mapping(bytes32 districtId => Scan) private scans_;

    /// @dev `scanned` compromises are done; of the next one, the days before `nextDay` (0: none yet).
    struct Scan {
        uint32 scanned;
        uint32 nextDay;
    }

    /// @dev A batch with what the Registry says of its gateway on its day.
    struct Source {
        bytes32 gatewayId;
        bytes32 districtId;
        address key;
        uint256 day;
        bool isPrivate;
        /// Manifest of open points, or group of private kinds.
        bytes points;
        uint8 minimumMembers;
        bool everCompromised;
    }

    constructor(IRegistry registry_, uint256 finalitySeconds_) EIP712("PED Ledger", "1") {
        registry = registry_;
        finalitySeconds = finalitySeconds_;
        METER_OPERATOR = registry_.METER_OPERATOR();
        AUDITOR = registry_.AUDITOR();
    }

    // --- batches signed by a gateway ---------------------------------------------------------------------------------

    /// @inheritdoc ILedger
    function recordOpen(OpenBatch calldata batch, bytes calldata signature) external {
        if (batch.replaces != 0) revert ReplacesMismatch(batch.replaces);
        _acceptOpen(batch, signature, signature[:0]);
    }

    /// @inheritdoc ILedger
    function correctOpen(OpenBatch calldata batch, bytes calldata signature, bytes calldata oldPayload) external {
        if (batch.replaces == 0) revert ReplacesMismatch(0);
        _acceptOpen(batch, signature, oldPayload);
    }

    /// @inheritdoc ILedger
    function recordPrivate(PrivateBatch calldata batch, bytes calldata signature) external {
        if (batch.replaces != 0) revert ReplacesMismatch(batch.replaces);
        _acceptPrivate(batch, signature, signature[:0]);
    }

    /// @inheritdoc ILedger
    function correctPrivate(PrivateBatch calldata batch, bytes calldata signature, bytes calldata oldPayload) external {
        if (batch.replaces == 0) revert ReplacesMismatch(0);
        _acceptPrivate(batch, signature, oldPayload);
    }

    /// @inheritdoc ILedger
    /// @dev A call of this contract to itself: who calls does not matter, signatures do. A failing batch leaves nothing behind.
    function recordMany(bytes[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes4 selector = bytes4(calls[i]);
            if (
                selector != this.recordOpen.selector && selector != this.correctOpen.selector
                    && selector != this.recordPrivate.selector && selector != this.correctPrivate.selector
            ) {
                emit BatchSkipped(i, abi.encodeWithSelector(UnknownCall.selector, selector));
                continue;
            }
            (bool accepted, bytes memory reason) = address(this).call(calls[i]);
            if (!accepted) emit BatchSkipped(i, reason);
        }
    }

    function _acceptOpen(OpenBatch calldata batch, bytes calldata signature, bytes calldata oldPayload) private {
        Source memory source = _openSource(batch.gatewayId, batch.day);
        _requireSignable(source, batch.sequence);
        bytes32 payloadHash = keccak256(batch.payload);
        bytes32 structHash = keccak256(
            abi.encode(OPEN_BATCH_TYPEHASH, batch.gatewayId, batch.day, batch.sequence, batch.replaces, payloadHash)
        );
        _requireSigner(structHash, signature, source.key);
        _apply(source, batch.sequence, batch.replaces, batch.payload, payloadHash, oldPayload, block.timestamp);
        emit OpenBatchRecorded(
            batch.gatewayId,
            source.districtId,
            batch.day,
            batch.sequence,
            batch.replaces,
            source.key,
            batch.payload,
            signature
        );
    }

    function _acceptPrivate(PrivateBatch calldata batch, bytes calldata signature, bytes calldata oldPayload) private {
        Source memory source = _privateSource(batch.gatewayId, batch.day);
        _requireSignable(source, batch.sequence);
        _requireChangedMembers(batch.replaces, batch.changedMembers, source.minimumMembers);
        bytes32 payloadHash = keccak256(batch.payload);
        bytes32 structHash = keccak256(
            abi.encode(
                PRIVATE_BATCH_TYPEHASH,
                batch.gatewayId,
                batch.day,
                batch.sequence,
                batch.replaces,
                batch.changedMembers,
                payloadHash
            )
        );
        _requireSigner(structHash, signature, source.key);
        _apply(source, batch.sequence, batch.replaces, batch.payload, payloadHash, oldPayload, block.timestamp);
        emit PrivateBatchRecorded(
            batch.gatewayId,
            source.districtId,
            batch.day,
            batch.sequence,
            batch.replaces,
            source.key,
            batch.changedMembers,
            batch.payload,
            signature
        );
    }

    // --- after finality ----------------------------------------------------------------------------------------------

    /// @inheritdoc ILedger
    function adjust(
        Adjustment calldata a,
        bytes calldata oldPayload,
        bytes calldata operatorSignature,
        bytes calldata auditorSignature
    ) external {
        uint256 finalFrom = _finalFrom(a.day);
        if (block.timestamp < finalFrom) revert DayNotFinal(a.day, finalFrom);
        Source memory source = a.isPrivate ? _privateSource(a.gatewayId, a.day) : _openSource(a.gatewayId, a.day);
        bytes32 payloadHash = keccak256(a.payload);
        bytes32 digest = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    ADJUSTMENT_TYPEHASH,
                    a.gatewayId,
                    a.day,
                    a.sequence,
                    a.replaces,
                    a.isPrivate,
                    a.reasonHash,
                    a.changedMembers,
                    payloadHash
                )
            )
        );
        if (a.isPrivate) _requireChangedMembers(a.replaces, a.changedMembers, source.minimumMembers);
        address operator = _recover(digest, operatorSignature);
        address auditor = _recover(digest, auditorSignature);
        _requireAdjusters(source.districtId, operator, auditor);
        // The stream's time of acceptance stays: it tells what a compromised gateway key can have signed.
        _apply(source, a.sequence, a.replaces, a.payload, payloadHash, oldPayload, 0);
        adjustedDays_[source.districtId].push(a.day);
        emit AdjustmentBooked(
            a.gatewayId,
            source.districtId,
            a.day,
            a.sequence,
            a.replaces,
            a.isPrivate,
            a.reasonHash,
            a.changedMembers,
            operator,
            auditor,
            a.payload,
            operatorSignature,
            auditorSignature
        );
    }

    // --- compromised keys --------------------------------------------------------------------------------------------

    /// @inheritdoc ILedger
    function scanCompromise(bytes32 districtId, uint256 maxDays) external returns (bool done) {
        Scan memory scan = scans_[districtId];
        if (scan.scanned == registry.compromiseCount(districtId)) return true;
        Compromise memory compromise = registry.compromise(districtId, scan.scanned);

        // The oldest day that could still be written at `since`, unless an adjustment wrote it, which needs no gateway key.
        uint256 reach = finalitySeconds / 1 days + 1;
        uint256 sinceDay = compromise.since / 1 days;
        uint256 day = scan.nextDay != 0 ? scan.nextDay : (sinceDay > reach ? sinceDay - reach : 1);
        uint256 lastDay = compromise.revokedAt / 1 days;
        for (; day <= lastDay && maxDays > 0; --maxDays) {
            _taint(compromise, districtId, uint32(day), false);
            _taint(compromise, districtId, uint32(day), true);
            ++day;
        }
        done = day > lastDay;
        if (done) {
            emit CompromiseScanned(districtId, scan.scanned);
            scans_[districtId] = Scan(scan.scanned + 1, 0);
        } else {
            scans_[districtId].nextDay = uint32(day);
        }
    }

    function _taint(Compromise memory compromise, bytes32 districtId, uint32 day, bool isPrivate) private {
        mapping(uint256 => uint256) storage streams = streams_[compromise.gatewayId];
        uint256 streamDay = StreamWord.key(day, isPrivate);
        uint256 word = streams[streamDay];
        if (word == 0 || StreamWord.lastAcceptedAt(word) < compromise.since) return;
        uint256 hourBits = 0;
        for (uint256 hourOfDay = 0; hourOfDay < 24; ++hourOfDay) {
            if (StreamWord.holder(word, hourOfDay) == 0 || StreamWord.isTainted(word, hourOfDay)) continue;
            hourBits |= 1 << hourOfDay;
            uint256 hour = uint256(day) * 24 + hourOfDay;
            extras_[districtId][hour] += 1 << Lane.TAINTED;
            hours_[districtId][hour] += 1 << Lane.EXTRAS;
        }
        if (hourBits == 0) return;
        streams[streamDay] = StreamWord.withTaint(word, hourBits);
        if (block.timestamp >= _finalFrom(day)) adjustedDays_[districtId].push(day);
        emit HoursTainted(compromise.gatewayId, districtId, day, isPrivate, uint24(hourBits));
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc ILedger
    function hourWords(bytes32 districtId, uint32 day) external view returns (uint256[24] memory words) {
        mapping(uint256 => uint256) storage districtHours = hours_[districtId];
        uint256 first = uint256(day) * 24;
        for (uint256 i = 0; i < 24; ++i) {
            words[i] = districtHours[first + i];
        }
    }

    /// @inheritdoc ILedger
    function wordsOf(bytes32 districtId, uint32[] calldata hourNumbers)
        external
        view
        returns (uint256[] memory words, uint256[] memory extras)
    {
        mapping(uint256 => uint256) storage districtHours = hours_[districtId];
        words = new uint256[](hourNumbers.length);
        extras = new uint256[](hourNumbers.length);
        for (uint256 i = 0; i < hourNumbers.length; ++i) {
            uint256 word = districtHours[hourNumbers[i]];
            words[i] = word;
            if ((word >> Lane.EXTRAS) & 0xffff != 0) extras[i] = extras_[districtId][hourNumbers[i]];
        }
    }

    /// @inheritdoc ILedger
    function detailWords(bytes32 districtId, uint32 day)
        external
        view
        returns (uint256[24] memory extras, uint256[48] memory carriers, uint256 vehicles)
    {
        uint256 first = uint256(day) * 24;
        for (uint256 i = 0; i < 24; ++i) {
            uint256 word = hours_[districtId][first + i];
            if ((word >> Lane.EXTRAS) & 0xffff != 0) extras[i] = extras_[districtId][first + i];
            if (word >> Lane.CARRIERS != 0) {
                carriers[2 * i] = carriers_[districtId][2 * (first + i)];
                carriers[2 * i + 1] = carriers_[districtId][2 * (first + i) + 1];
            }
        }
        vehicles = vehicles_[districtId][day];
    }

    /// @inheritdoc ILedger
    function streamWords(bytes32[] calldata gatewayIds, uint32 day)
        external
        view
        returns (uint256[] memory open, uint256[] memory closed)
    {
        open = new uint256[](gatewayIds.length);
        closed = new uint256[](gatewayIds.length);
        for (uint256 i = 0; i < gatewayIds.length; ++i) {
            open[i] = streams_[gatewayIds[i]][StreamWord.key(day, false)];
            closed[i] = streams_[gatewayIds[i]][StreamWord.key(day, true)];
        }
    }

    /// @inheritdoc ILedger
    function streamWord(bytes32 gatewayId, uint32 day, bool isPrivate) external view returns (uint256) {
        return streams_[gatewayId][StreamWord.key(day, isPrivate)];
    }

    /// @inheritdoc ILedger
    function batchHash(bytes32 gatewayId, uint32 day, bool isPrivate, uint8 sequence) external view returns (bytes32) {
        return batchHashes_[gatewayId][StreamWord.key(day, isPrivate) * 256 + sequence];
    }

    /// @inheritdoc ILedger
    function adjustmentCount(bytes32 districtId) external view returns (uint256) {
        return adjustedDays_[districtId].length;
    }

    /// @inheritdoc ILedger
    function adjustmentDay(bytes32 districtId, uint256 index) external view returns (uint32) {
        return adjustedDays_[districtId][index];
    }

    /// @inheritdoc ILedger
    function compromisesScanned(bytes32 districtId) external view returns (uint256) {
        return scans_[districtId].scanned;
    }

    // --- checks ------------------------------------------------------------------------------------------------------

    function _openSource(bytes32 gatewayId, uint32 day) private view returns (Source memory source) {
        (address key, bytes32 districtId, address manifest, bool everCompromised) = registry.openContext(gatewayId, day);
        if (manifest == address(0)) revert NoPoints(gatewayId, day);
        if (everCompromised) _requireScanned(gatewayId, districtId);
        return Source(gatewayId, districtId, key, day, false, Code.read(manifest), 0, everCompromised);
    }

    function _privateSource(bytes32 gatewayId, uint32 day) private view returns (Source memory source) {
        (address key, bytes32 districtId, address group, uint8 minimumMembers, bool everCompromised) =
            registry.privateContext(gatewayId, day);
        if (group == address(0)) revert NoPoints(gatewayId, day);
        if (everCompromised) _requireScanned(gatewayId, districtId);
        return Source(gatewayId, districtId, key, day, true, Code.read(group), minimumMembers, everCompromised);
    }

    /// @dev Else what the scan has yet to taint could be signed over, or tainted although signed with the new key.
    function _requireScanned(bytes32 gatewayId, bytes32 districtId) private view {
        uint256 scanned = scans_[districtId].scanned;
        uint256 compromises = registry.compromiseCount(districtId);
        if (scanned < compromises) revert CompromiseUnscanned(gatewayId, scanned, compromises);
    }

    function _requireSignable(Source memory source, uint8 sequence) private view {
        uint256 finalFrom = _finalFrom(source.day);
        if (block.timestamp >= finalFrom) revert DayIsFinal(uint32(source.day), finalFrom);
        if (source.key == address(0)) revert KeyRevoked(source.gatewayId);
        uint8 last = source.everCompromised ? LAST_RESIGNING_SEQUENCE : LAST_GATEWAY_SEQUENCE;
        if (sequence > last) revert SequenceReserved(source.gatewayId, uint32(source.day), sequence, last);
    }

    /// @dev A correction of fewer members would tell what one household did (domain.md §8).
    function _requireChangedMembers(uint8 replaces, uint16 changedMembers, uint8 minimumMembers) private pure {
        if (replaces != 0 && changedMembers < minimumMembers) {
            revert TooFewChangedMembers(changedMembers, minimumMembers);
        }
    }

    function _requireSigner(bytes32 structHash, bytes calldata signature, address expected) private view {
        address recovered = _recover(_hashTypedDataV4(structHash), signature);
        if (recovered != expected) revert WrongSigner(recovered, expected);
    }

    function _requireAdjusters(bytes32 districtId, address operator, address auditor) private view {
        District memory district = registry.district(districtId);
        bytes32 operatorOrg = registry.organisationOf(operator);
        if (operatorOrg != district.operatorOrg || !registry.hasRole(METER_OPERATOR, operator)) {
            revert NotMeterOperator(operator, operatorOrg, district.operatorOrg);
        }
        bytes32 auditorOrg = registry.organisationOf(auditor);
        if (
            auditorOrg == district.operatorOrg || auditorOrg == district.ownerOrg || !registry.hasRole(AUDITOR, auditor)
        ) {
            revert NotIndependentAuditor(auditor, auditorOrg);
        }
    }

    /// @dev Zero for anything but the one accepted form of a signature.
    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address recovered) {
        if (signature.length != 65) return address(0);
        (recovered,,) =
            ECDSA.tryRecover(digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }

    function _finalFrom(uint256 day) private view returns (uint256) {
        return (day + 1) * 1 days + finalitySeconds;
    }

    // --- sums --------------------------------------------------------------------------------------------------------

    /// @param acceptedAt 0: not signed by the gateway
    function _apply(
        Source memory source,
        uint8 sequence,
        uint8 replaces,
        bytes calldata payload,
        bytes32 payloadHash,
        bytes calldata oldPayload,
        uint256 acceptedAt
    ) private {
        mapping(uint256 => uint256) storage streams = streams_[source.gatewayId];
        mapping(uint256 => bytes32) storage hashes = batchHashes_[source.gatewayId];
        uint256 streamDay = StreamWord.key(source.day, source.isPrivate);
        uint256 word = streams[streamDay];

        uint256 expected = StreamWord.lastSequence(word) + 1;
        if (sequence != expected) revert SequenceMismatch(sequence, uint16(expected));
        if (replaces != 0) {
            bytes32 stored = hashes[streamDay * 256 + replaces];
            bytes32 shown = keccak256(oldPayload);
            if (stored != shown) revert OldPayloadMismatch(stored, shown);
        }
        word = _applySections(source, sequence, replaces, payload, oldPayload, word);
        streams[streamDay] = StreamWord.withBatch(word, sequence, acceptedAt);
        hashes[streamDay * 256 + sequence] = payloadHash;
    }

    /// @return the stream word with the new holders of the batch's hours
    function _applySections(
        Source memory source,
        uint8 sequence,
        uint8 replaces,
        bytes calldata payload,
        bytes calldata oldPayload,
        uint256 word
    ) private returns (uint256) {
        uint256 unit = source.isPrivate ? PrivateSection.size(source.points) : OpenSection.size(source.points);
        if (payload.length == 0 || payload.length % unit != 0) revert PayloadLength(payload.length, unit);

        HourSums memory added;
        HourSums memory removed;
        uint256 oldOffset = 0;
        for (uint256 offset = 0; offset < payload.length; offset += unit) {
            uint8 hourOfDay = uint8(payload[offset]);
            if (offset != 0) {
                uint8 previous = uint8(payload[offset - unit]);
                if (hourOfDay <= previous) revert HoursNotAscending(hourOfDay, previous);
            }
            uint256 hour = _requireHour(source.day, hourOfDay, word, replaces);
            _sum(source, payload, offset + 1, added);
            bool wasTainted = false;
            if (replaces != 0) {
                // Batch `replaces` holds this hour, so its payload has it; both are ascending.
                while (uint8(oldPayload[oldOffset]) != hourOfDay) oldOffset += unit;
                _sum(source, oldPayload, oldOffset + 1, removed);
                wasTainted = StreamWord.isTainted(word, hourOfDay);
            }
            _store(source.districtId, hour, added, removed, wasTainted);
            word = StreamWord.withHolder(word, hourOfDay, sequence);
        }
        if (added.vehicles != removed.vehicles) {
            unchecked {
                vehicles_[source.districtId][source.day] += added.vehicles - removed.vehicles;
            }
        }
        return word;
    }

    function _requireHour(uint256 day, uint8 hourOfDay, uint256 word, uint8 replaces)
        private
        view
        returns (uint256 hour)
    {
        if (hourOfDay > 23) revert HourOutOfRange(hourOfDay);
        hour = day * 24 + hourOfDay;
        if ((hour + 1) * 1 hours > block.timestamp + CLOCK_SKEW_SECONDS) {
            revert HourNotClosed(uint32(hour), block.timestamp);
        }
        uint8 holder = uint8(StreamWord.holder(word, hourOfDay));
        if (holder != replaces) {
            if (replaces == 0) revert HourAlreadyRecorded(uint32(hour), holder);
            revert HourNotHeld(uint32(hour), holder, replaces);
        }
    }

    function _sum(Source memory source, bytes calldata payload, uint256 offset, HourSums memory sums) private pure {
        if (source.isPrivate) PrivateSection.sum(payload, offset, source.points, source.minimumMembers, sums);
        else OpenSection.sum(payload, offset, source.points, sums);
    }

    /// @dev Lanes are added and subtracted whole: none can leave its range (ILedger, assumptions), and what is removed was added.
    function _store(bytes32 districtId, uint256 hour, HourSums memory added, HourSums memory removed, bool wasTainted)
        private
    {
        unchecked {
            uint256 hourDifference = added.hour - removed.hour;
            uint256 extraDifference = added.extra - removed.extra;
            if (wasTainted) {
                hourDifference -= 1 << Lane.EXTRAS;
                extraDifference -= 1 << Lane.TAINTED;
            }
            hours_[districtId][hour] += hourDifference;
            if (extraDifference != 0) extras_[districtId][hour] += extraDifference;
            if (added.firstCarriers != removed.firstCarriers) {
                carriers_[districtId][hour * 2] += added.firstCarriers - removed.firstCarriers;
            }
            if (added.lastCarriers != removed.lastCarriers) {
                carriers_[districtId][hour * 2 + 1] += added.lastCarriers - removed.lastCarriers;
            }
        }
    }
}
