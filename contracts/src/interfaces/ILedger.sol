// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Readings of one gateway for hours of one UTC day, one record per open point and hour.
/// @dev `payload` = sections `[hourOfDay u8][record x openPoints]`, hourOfDay strictly ascending, records in the order of the
/// gateway's manifest. A record is 8 bytes, big endian: `[statusHigh:1][supply_wh:31][statusLow:1][draw_wh:31]`;
/// status = 2*high + low: 0 measured, 1 estimated, 2 partial, 3 missing (both energies 0).
struct OpenBatch {
    bytes32 gatewayId;
    uint32 day;
    /// Per gateway, day and stream (open or private): 1, 2, 3 ... 255 without a gap. A gateway signs up to 200, one that was ever
    /// compromised up to 250; the rest is for adjustments.
    uint8 sequence;
    /// 0: first record of these hours; n: correction of hours that batch n of this day holds.
    uint8 replaces;
    bytes payload;
}

/// @notice Sums of one gateway's private members (households) for hours of one UTC day.
/// @dev `payload` = sections `[hourOfDay u8][root 32][kinds u8]{kind u8, members u16, supply_wh u32, draw_wh u32} x kinds`, exactly the
/// registered kinds, ascending. `members` = private points of this kind measured in that hour; `root` = SaltedMerkle root of them.
struct PrivateBatch {
    bytes32 gatewayId;
    uint32 day;
    uint8 sequence;
    uint8 replaces;
    /// In a correction: how many members' values changed (the signer's statement); at least the minimum of members.
    uint16 changedMembers;
    bytes payload;
}

/// @notice What comes after finality: signed by a meter operator of the district and an auditor of another organisation.
struct Adjustment {
    bytes32 gatewayId;
    uint32 day;
    uint8 sequence;
    uint8 replaces;
    bool isPrivate;
    bytes32 reasonHash;
    /// In a private correction, as in PrivateBatch; else 0.
    uint16 changedMembers;
    bytes payload;
}

/// @title Ledger of metered hours
/// @notice Accepts signed batches, sums them per district and hour, counts their coverage, and keeps one hash per batch
/// (domain.md §2, §4, §8). Energies are Wh, hours are `unix time // 3600`, days `unix time // 86400`.
/// @dev Anyone may carry a batch: the signature is the authority. Batches are EIP-712 messages, domain "PED Ledger", version "1".
/// Assumptions: the Registry bounds the total cap of a district per lane by 2^32 - 1 Wh and its points and members by 65,535,
/// so that no lane can reach its neighbour; manifests and boundaries of a day never change once the day has begun.
///
/// Hour word (from bit 0): import, export, production, consumption, charge, discharge (u32 each, Wh), measured u16 at 192 (open records
/// with status measured), members u16 at 208, extras u16 at 224 (batch-hours that wrote the extra word, plus tainted batch-hours),
/// carriers u16 at 240 (batch-hours that wrote carriers).
///
/// Extra word: estimated u16 at 0 (grid and carrier records estimated), tainted u16 at 16 (batch-hours under a compromised key),
/// shortGridCap u40 at 32, shortCarrierCap u40 at 72, shortForeignCap u40 at 112 (caps in Wh of the points partial or missing; vehicles and
/// unlinked fuel generators also when estimated), foreignWh u32 at 152 (supply of unlinked fuel generators, measured or partial).
///
/// Carrier words, two per hour: carrier c (zero based) has bought u32 at bit 64*(c%4) and delivered u32 at bit 64*(c%4)+32 of word c/4.
/// Vehicle word, one per day: discharge_wh u64 at 0, charge_wh * efficiency_permille u96 at 64 (records measured or partial).
/// Stream word, per gateway, stream and day: byte h (bits 8h..8h+7) = sequence of the batch that holds hour h, 0 none;
/// lastSequence u8 at 192; lastAcceptedAt u32 at 200 (unix time of the last batch signed by the gateway); tainted hours 24 bits at 232.
interface ILedger {
    /// @notice An open batch was accepted. Payload and signature are here, so that logs alone rebuild everything.
    event OpenBatchRecorded(
        bytes32 indexed gatewayId,
        bytes32 indexed districtId,
        uint32 indexed day,
        uint8 sequence,
        uint8 replaces,
        address key,
        bytes payload,
        bytes signature
    );

    /// @notice A private batch was accepted.
    event PrivateBatchRecorded(
        bytes32 indexed gatewayId,
        bytes32 indexed districtId,
        uint32 indexed day,
        uint8 sequence,
        uint8 replaces,
        address key,
        uint16 changedMembers,
        bytes payload,
        bytes signature
    );

    /// @notice A final day was adjusted by a meter operator and an auditor.
    event AdjustmentBooked(
        bytes32 indexed gatewayId,
        bytes32 indexed districtId,
        uint32 indexed day,
        uint8 sequence,
        uint8 replaces,
        bool isPrivate,
        bytes32 reasonHash,
        uint16 changedMembers,
        address operator,
        address auditor,
        bytes payload,
        bytes operatorSignature,
        bytes auditorSignature
    );

    /// @notice These hours (bit h = hour h of the day) were accepted under a key since found compromised: not complete until signed again.
    event HoursTainted(
        bytes32 indexed gatewayId, bytes32 indexed districtId, uint32 indexed day, bool isPrivate, uint24 hourBits
    );

    /// @notice All days of compromise number `index` of the district have been looked through.
    event CompromiseScanned(bytes32 indexed districtId, uint256 index);

    /// @notice Call `index` of a `recordMany` failed with `reason` and was skipped; an empty reason means that its arguments cannot be
    /// decoded or that it ran out of gas.
    event BatchSkipped(uint256 indexed index, bytes reason);

    /// @notice The gateway has no manifest for that day, or is not known at all.
    error NoPoints(bytes32 gatewayId, uint32 day);
    /// @notice The gateway's key is revoked and not replaced.
    error KeyRevoked(bytes32 gatewayId);
    /// @notice `scanCompromise` has to finish before this gateway's batches count again.
    error CompromiseUnscanned(bytes32 gatewayId, uint256 scanned, uint256 compromises);
    /// @notice `recovered` is 0 when the signature is malformed (not 65 bytes, v not 27 or 28, s in the upper half).
    error WrongSigner(address recovered, address expected);
    /// @notice The signer of an adjustment is not a meter operator of the district's operator organisation.
    error NotMeterOperator(address signer, bytes32 organisationId, bytes32 expectedOrganisationId);
    /// @notice The signer of an adjustment is not an auditor of another organisation than the meter operator's.
    error NotIndependentAuditor(address signer, bytes32 organisationId);
    /// @notice The next batch must carry `expected`; 256 means that the day's sequences are used up.
    error SequenceMismatch(uint8 sequence, uint16 expected);
    /// @notice A gateway's key signs up to sequence `last` of a day; what changes after that needs an adjustment.
    error SequenceReserved(bytes32 gatewayId, uint32 day, uint8 sequence, uint8 last);
    /// @notice The payload is empty or no whole number of sections of `unit` bytes.
    error PayloadLength(uint256 length, uint256 unit);
    error HoursNotAscending(uint8 hourOfDay, uint8 previous);
    error HourOutOfRange(uint8 hourOfDay);
    /// @notice The hour has not ended yet (120 s of clock skew are granted).
    error HourNotClosed(uint32 hour, uint256 timestamp);
    error HourAlreadyRecorded(uint32 hour, uint8 sequence);
    /// @notice A correction names a batch that does not hold the hour now.
    error HourNotHeld(uint32 hour, uint8 holder, uint8 replaces);
    error OldPayloadMismatch(bytes32 stored, bytes32 shown);
    /// @notice A first record replaces nothing, a correction something: use the other function.
    error ReplacesMismatch(uint8 replaces);
    error DayIsFinal(uint32 day, uint256 finalSince);
    error DayNotFinal(uint32 day, uint256 finalFrom);
    error EnergyAboveCap(uint256 pointIndex, uint256 energyWh, uint256 capWh);
    error MissingWithEnergy(uint256 pointIndex, uint256 supplyWh, uint256 drawWh);
    /// @notice A load supplies nothing. Open batches: index of the point; private batches: index of the kind in the group.
    error LoadSupply(uint256 pointIndex, uint256 supplyWh);
    /// @notice The kinds of a private section are not those registered for the group.
    error KindsMismatch(uint8 kind, uint8 expected);
    error KindCountMismatch(uint256 kinds, uint256 expected);
    error TooFewMembers(uint8 kind, uint16 members, uint8 minimum);
    error TooManyMembers(uint8 kind, uint16 members, uint16 registered);
    error SumAboveCap(uint8 kind, uint256 energyWh, uint256 capWh);
    error TooFewChangedMembers(uint16 changedMembers, uint8 minimum);
    /// @notice `recordMany` carries only calls of the four record and correct functions: the reason why another one is skipped.
    error UnknownCall(bytes4 selector);

    /// @notice First record of the batch's hours. Reverts with the error that names what is wrong.
    function recordOpen(OpenBatch calldata batch, bytes calldata signature) external;

    /// @notice Replaces hours held by batch `batch.replaces`, whose whole payload is shown, before the day is final.
    function correctOpen(OpenBatch calldata batch, bytes calldata signature, bytes calldata oldPayload) external;

    /// @notice First record of a private batch's hours.
    function recordPrivate(PrivateBatch calldata batch, bytes calldata signature) external;

    /// @notice Replaces hours held by private batch `batch.replaces`; at least the minimum of members must have changed.
    function correctPrivate(PrivateBatch calldata batch, bytes calldata signature, bytes calldata oldPayload) external;

    /// @notice Carries several encoded calls of the four functions above; a failing or malformed one is skipped with
    /// `BatchSkipped` and does not revert the others (domain.md §2).
    function recordMany(bytes[] calldata calls) external;

    /// @notice Books a late first record (`replaces` = 0) or a correction of a final day (domain.md §4 "Finality").
    /// @param oldPayload whole payload of batch `replaces`, empty when 0.
    function adjust(
        Adjustment calldata adjustment,
        bytes calldata oldPayload,
        bytes calldata operatorSignature,
        bytes calldata auditorSignature
    ) external;

    /// @notice Walks at most `maxDays` days of the district's next unscanned compromise and taints what was accepted since then.
    /// @return done whether that compromise (or, without one, everything) is scanned.
    function scanCompromise(bytes32 districtId, uint256 maxDays) external returns (bool done);

    /// @notice Seconds after the end of a day from which it is final.
    function finalitySeconds() external view returns (uint256);

    /// @notice The 24 hour words of a day.
    function hourWords(bytes32 districtId, uint32 day) external view returns (uint256[24] memory words);

    /// @notice Hour words of any hours (unix time / 3600), and their extra words; one that its hour does not flag is 0 and not read.
    function wordsOf(bytes32 districtId, uint32[] calldata hourNumbers)
        external
        view
        returns (uint256[] memory words, uint256[] memory extras);

    /// @notice Extra words, carrier words (two per hour) and the vehicle word of a day; slots that the hours do not flag are not read.
    function detailWords(bytes32 districtId, uint32 day)
        external
        view
        returns (uint256[24] memory extras, uint256[48] memory carriers, uint256 vehicles);

    /// @notice Open and private stream words of several gateways for a day.
    function streamWords(bytes32[] calldata gatewayIds, uint32 day)
        external
        view
        returns (uint256[] memory open, uint256[] memory closed);

    /// @notice Stream word of one gateway, stream and day.
    function streamWord(bytes32 gatewayId, uint32 day, bool isPrivate) external view returns (uint256);

    /// @notice keccak256 of the payload of a batch, 0 when there is none.
    function batchHash(bytes32 gatewayId, uint32 day, bool isPrivate, uint8 sequence) external view returns (bytes32);

    /// @notice Length of the district's list of adjusted days; a day may be listed more than once.
    function adjustmentCount(bytes32 districtId) external view returns (uint256);

    /// @notice Entry `index` of that list.
    function adjustmentDay(bytes32 districtId, uint256 index) external view returns (uint32);

    /// @notice How many of the district's compromises are scanned completely.
    function compromisesScanned(bytes32 districtId) external view returns (uint256);
}
