// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IAssessments, Totals } from "./interfaces/IAssessments.sol";
import { IClaims } from "./interfaces/IClaims.sol";
import { IFactors } from "./interfaces/IFactors.sol";
import { ILedger } from "./interfaces/ILedger.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { Calendar } from "./libraries/Calendar.sol";
import { Code } from "./libraries/Code.sol";
import { DayBalance } from "./libraries/DayBalance.sol";
import { DayTotals, PackedTotals } from "./libraries/DayTotals.sol";
import { Fenwick } from "./libraries/Fenwick.sol";
import { HourBalance } from "./libraries/HourBalance.sol";
import { Lane } from "./libraries/HourSums.sol";
import { StreamWord } from "./libraries/StreamWord.sol";
import { Boundary, District, GatewayCaps } from "./types/Boundary.sol";
import { CarrierFactor, Resolution, StaticFactors, Vintage } from "./types/Factor.sol";
import { Scheme } from "./types/Scheme.sol";
import { Assessment, Finding, Verdict } from "./types/Verdict.sol";

/// @title Assessments of districts, see IAssessments
contract Assessments is IAssessments {
    using DayTotals for Totals;
    using DayTotals for PackedTotals;
    using Fenwick for Fenwick.Tree;

    uint256 private constant BLOCK_DAYS = 30;
    uint256 private constant BLOCKS = 12;
    /// @dev A gap longer than 7 days is missing, not estimated: an edge without estimates is found within them.
    uint256 private constant EDGE_DAYS = 7;
    uint256 private constant MOST_DAYS_AHEAD = 366;

    IRegistry public immutable registry;
    IFactors public immutable factors;
    ILedger public immutable ledger;
    IClaims public immutable claims;
    uint256 private immutable FINALITY_SECONDS;

    /// @dev One slot: what changes, and what every day needs of the scheme.
    struct State {
        uint32 startDay;
        uint32 frontier;
        /// Entries of the ledger's adjustment list that were looked at.
        uint32 booked;
        /// The tree is not empty.
        bool adjusted;
        bool nonRenewable;
        bool isStatic;
        uint16 fMin;
        uint16 fMax;
        uint16 gMin;
        uint16 gMax;
        uint16 toleranceBp;
        uint32 toleranceWh;
        /// Entries of the claims register's list of changes that were looked at.
        uint24 moved;
    }

    struct Record {
        State state;
        bytes32 districtId;
        bytes32 zone;
        bytes32 vintageId;
        bytes32 schemeId;
    }

    /// @dev One day as computed now.
    struct DayResult {
        Totals totals;
        bool edgeEstimated;
        uint16 boundaryVersion;
    }

    mapping(bytes32 id => Record) private records_;
    /// @dev Sums of the days before `day`; flags and version are those of `day - 1`.
    mapping(bytes32 id => mapping(uint256 day => PackedTotals)) private cumulative_;
    /// @dev What was booked for a day after it was finalised; the tree holds the same, by day - startDay.
    mapping(bytes32 id => mapping(uint256 day => PackedTotals)) private differences_;
    mapping(bytes32 id => Fenwick.Tree) private trees_;

    constructor(IRegistry registry_, IFactors factors_, ILedger ledger_, IClaims claims_) {
        registry = registry_;
        factors = factors_;
        ledger = ledger_;
        claims = claims_;
        FINALITY_SECONDS = ledger_.finalitySeconds();
    }

    // --- opening -----------------------------------------------------------------------------------------------------

    /// @inheritdoc IAssessments
    function openAssessment(bytes32 districtId, bytes32 schemeId, bytes32 vintageId, uint32 startDay)
        external
        returns (bytes32 id)
    {
        District memory district = registry.district(districtId);
        _requireParty(districtId, district);
        id = keccak256(abi.encode(districtId, schemeId, vintageId));
        if (records_[id].districtId != 0) revert AssessmentExists(id);

        Scheme memory scheme = registry.scheme(schemeId);
        Vintage memory vintage = factors.vintage(vintageId);
        if (vintage.fMin < scheme.fMin || vintage.fMax > scheme.fMax || vintage.gMax > scheme.gMax) {
            revert FactorsOutsideScheme(vintageId, schemeId);
        }
        if (district.minimumMembers < scheme.minimumMembers) {
            revert MinimumMembersBelowScheme(district.minimumMembers, scheme.minimumMembers);
        }
        _requireIndependent(vintageId, vintage, district);
        uint256 latest = block.timestamp / 1 days + MOST_DAYS_AHEAD;
        if (startDay > latest) revert StartDayTooLate(startDay, latest);
        if (registry.boundary(districtId, startDay).version == 0) revert NoBoundary(districtId, startDay);

        State memory state = State({
            startDay: startDay,
            frontier: startDay,
            booked: 0,
            adjusted: false,
            nonRenewable: scheme.nonRenewable,
            isStatic: scheme.isStatic,
            fMin: scheme.fMin,
            fMax: scheme.fMax,
            gMin: scheme.gMin,
            gMax: scheme.gMax,
            toleranceBp: scheme.toleranceBp,
            toleranceWh: scheme.toleranceWh,
            moved: 0
        });
        records_[id] = Record(state, districtId, district.zone, vintageId, schemeId);
        emit AssessmentOpened(id, districtId, schemeId, vintageId, startDay);
    }

    function _requireParty(bytes32 districtId, District memory district) private view {
        bytes32 organisation = registry.organisationOf(msg.sender);
        bool allowed = (organisation == district.ownerOrg && registry.hasRole(registry.DISTRICT_OWNER(), msg.sender))
            || (organisation == district.operatorOrg && registry.hasRole(registry.METER_OPERATOR(), msg.sender))
            || registry.hasRole(registry.SCHEME_ADMIN(), msg.sender);
        if (!allowed) revert NotAllowedToOpen(msg.sender, districtId);
    }

    /// @dev Who gains by the balance must not choose its weights. Days that lack in a vintage come from its ancestors.
    function _requireIndependent(bytes32 vintageId, Vintage memory vintage, District memory district) private view {
        while (true) {
            bytes32 publisherOrg = vintage.publisherOrg;
            if (publisherOrg == district.ownerOrg || publisherOrg == district.operatorOrg) {
                revert PublisherNotIndependent(vintageId, publisherOrg);
            }
            vintageId = vintage.parent;
            if (vintageId == 0) return;
            vintage = factors.vintage(vintageId);
        }
    }

    // --- days --------------------------------------------------------------------------------------------------------

    /// @inheritdoc IAssessments
    function finalise(bytes32 id, uint256 maxDays) external returns (uint256 finalisedDays) {
        Record memory record = _record(id);
        mapping(uint256 => PackedTotals) storage cumulativeOf = cumulative_[id];
        uint256 day = record.state.frontier;
        uint256 end = uint256(record.state.startDay) + Fenwick.SIZE;
        Totals memory sum = cumulativeOf[day].unpack();
        for (; finalisedDays < maxDays && day < end; ++finalisedDays) {
            if (block.timestamp < (day + 1) * 1 days + FINALITY_SECONDS) break;
            (bool resolved, DayResult memory result) = _assess(record, day);
            if (!resolved) break;
            sum.add(result.totals);
            emit DayFinalised(id, uint32(day), result.totals, result.edgeEstimated, result.boundaryVersion);
            ++day;
            cumulativeOf[day] = sum.pack(result.edgeEstimated, result.boundaryVersion);
        }
        if (finalisedDays != 0) records_[id].state.frontier = uint32(day);
    }

    /// @inheritdoc IAssessments
    function bookAdjustments(bytes32 id, uint256 max) external returns (uint256 entries) {
        Record memory record = _record(id);
        State memory state = record.state;
        uint256 adjustments = ledger.adjustmentCount(record.districtId);
        uint256 changes = claims.changeCount(record.districtId);
        for (; entries < max; ++entries) {
            uint32 day;
            if (state.booked < adjustments) day = ledger.adjustmentDay(record.districtId, state.booked++);
            else if (state.moved < changes) day = claims.changeDay(record.districtId, state.moved++);
            else break;
            if (day >= state.startDay && day < state.frontier) {
                if (_bookDay(id, record, day)) state.adjusted = true;
            }
        }
        if (entries != 0) records_[id].state = state;
    }

    /// @return whether anything changed
    function _bookDay(bytes32 id, Record memory record, uint32 day) private returns (bool) {
        // A finalised day is resolved for ever.
        (, DayResult memory result) = _assess(record, day);
        PackedTotals storage next = cumulative_[id][uint256(day) + 1];
        uint256 balances = DayTotals.withEdge(next.balances, result.edgeEstimated);
        if (balances != next.balances) next.balances = balances;

        Totals memory difference = result.totals;
        Totals memory booked = differences_[id][day].unpack();
        difference.subtract(next.unpack());
        difference.add(cumulative_[id][day].unpack());
        difference.subtract(booked);
        emit DayAdjusted(id, day, difference, result.edgeEstimated);
        if (difference.isZero()) return false;
        trees_[id].add(day - record.state.startDay, difference);
        booked.add(difference);
        differences_[id][day] = booked.pack(false, 0);
        return true;
    }

    /// @return resolved whether the day's factors are known for good and all that may move with its attributes is settled
    function _assess(Record memory record, uint256 day) private view returns (bool resolved, DayResult memory result) {
        DayBalance.Day memory input;
        (uint256 openWh, uint24 hourBits) = claims.dayAttributes(record.districtId, uint32(day));
        if (openWh != 0) return (false, result);
        if (hourBits != 0) input.claims = claims.hourWords(record.districtId, uint32(day));
        if (!_readFactors(record, day, input)) return (false, result);

        Boundary memory boundary = registry.boundary(record.districtId, day);
        HourBalance.Day memory rule = input.rule;
        rule.coverage = uint256(boundary.openPoints) | (uint256(boundary.members) << 16);
        rule.gridCapWh = int256(uint256(boundary.gridCapWh));
        rule.carrierCapWh = int256(uint256(boundary.carrierCapWh));
        rule.foreignCapWh = int256(uint256(boundary.foreignCapWh));
        rule.loadMetered = boundary.loadMetered;
        rule.toleranceWh = int256(uint256(record.state.toleranceWh));
        rule.toleranceBp = int256(uint256(record.state.toleranceBp));

        input.hourWords = ledger.hourWords(record.districtId, uint32(day));
        uint256 flags = 0;
        bool covered = true;
        for (uint256 i = 0; i < 24; ++i) {
            uint256 word = input.hourWords[i];
            flags |= word;
            covered = covered && HourBalance.isCovered(word, rule);
        }
        if (flags >> Lane.EXTRAS != 0 || boundary.foreignCapWh != 0) {
            (input.extras, input.carriers, input.vehicles) = ledger.detailWords(record.districtId, uint32(day));
        }
        if (flags >> Lane.CARRIERS != 0) _readCarrierFactors(record, input);
        if (!covered) _addAbsentGateways(record.districtId, day, input.extras);

        (result.totals, result.edgeEstimated) = DayBalance.assess(input);
        result.boundaryVersion = boundary.version;
        resolved = true;
    }

    /// @return whether they are known for good
    function _readFactors(Record memory record, uint256 day, DayBalance.Day memory input) private view returns (bool) {
        State memory state = record.state;
        int256 fMin = int256(uint256(state.fMin));
        int256 fMax = int256(uint256(state.fMax));
        int256 gMin = int256(uint256(state.gMin));
        int256 gMax = int256(uint256(state.gMax));
        input.nonRenewable = state.nonRenewable;
        input.primary = DayBalance.Range(fMin, fMax);
        input.ghg = DayBalance.Range(gMin, gMax);
        if (state.isStatic) {
            StaticFactors memory s = factors.staticFactors(record.vintageId);
            bool nonRenewable = state.nonRenewable;
            _setSame(
                input.samePrimary,
                nonRenewable ? s.importNonRenewable : s.importTotal,
                nonRenewable ? s.exportNonRenewable : s.exportTotal
            );
            _setSame(input.sameGhg, s.importGhg, s.exportGhg);
            return true;
        }
        (Resolution resolution, address pointer) = factors.resolve(record.vintageId, record.zone, day);
        if (resolution == Resolution.Pending) return false;
        if (resolution == Resolution.Published) {
            input.published = Code.read(pointer);
        } else {
            _setSame(input.samePrimary, state.fMax, state.fMin);
            _setSame(input.sameGhg, state.gMax, state.gMin);
            input.samePrimary.lacking = true;
            input.sameGhg.lacking = true;
        }
        return true;
    }

    function _setSame(HourBalance.Factors memory same, uint16 imported, uint16 exported) private pure {
        same.average = int256(uint256(imported));
        same.marginalImport = same.average;
        same.marginalExport = int256(uint256(exported));
    }

    function _readCarrierFactors(Record memory record, DayBalance.Day memory input) private view {
        CarrierFactor[8] memory list = factors.carrierFactors(record.vintageId);
        bool nonRenewable = input.nonRenewable;
        for (uint256 c = 0; c < 8; ++c) {
            CarrierFactor memory k = list[c];
            uint256 bought = nonRenewable ? k.boughtNonRenewable : k.boughtTotal;
            uint256 exported = nonRenewable ? k.exportNonRenewable : k.exportTotal;
            input.primaryCarriers |= (bought | (exported << 16)) << (32 * c);
            input.ghgCarriers |= (uint256(k.boughtGhg) | (uint256(k.exportGhg) << 16)) << (32 * c);
        }
    }

    /// @dev A gateway without a batch for an hour may hide all that its points could hold.
    function _addAbsentGateways(bytes32 districtId, uint256 day, uint256[24] memory extras) private view {
        bytes32[] memory gatewayIds = registry.gateways(districtId);
        (uint256[] memory open, uint256[] memory closed) = ledger.streamWords(gatewayIds, uint32(day));
        for (uint256 g = 0; g < gatewayIds.length; ++g) {
            GatewayCaps memory caps = registry.gatewayCaps(gatewayIds[g], day);
            uint256 openShort = (uint256(caps.gridCapWh) << Lane.SHORT_GRID)
                | (uint256(caps.carrierCapWh) << Lane.SHORT_CARRIER)
                | (uint256(caps.foreignCapWh) << Lane.SHORT_FOREIGN);
            uint256 closedShort = uint256(caps.memberCarrierCapWh) << Lane.SHORT_CARRIER;
            if (openShort | closedShort == 0) continue;
            for (uint256 i = 0; i < 24; ++i) {
                if (StreamWord.holder(open[g], i) == 0) extras[i] += openShort;
                if (StreamWord.holder(closed[g], i) == 0) extras[i] += closedShort;
            }
        }
    }

    // --- verdicts ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IAssessments
    function verdict(bytes32 id, uint32 windowEnd) external view returns (Verdict memory) {
        return _verdict(id, _record(id), windowEnd);
    }

    /// @inheritdoc IAssessments
    function latestVerdict(bytes32 id) external view returns (Verdict memory v) {
        Record memory record = _record(id);
        uint32 frontier = record.state.frontier;
        for (uint32 back = 0; back <= EDGE_DAYS; ++back) {
            v = _verdict(id, record, frontier - back);
            if (v.finding != Finding.EdgeEstimated) break;
        }
    }

    function _verdict(bytes32 id, Record memory record, uint32 windowEnd) private view returns (Verdict memory v) {
        State memory state = record.state;
        uint32 start = uint32(Calendar.windowStart(windowEnd));
        v.windowStart = start;
        v.windowEnd = windowEnd;
        if (windowEnd > state.frontier) {
            v.finding = Finding.NotFinal;
            return v;
        }
        if (start < state.startDay) {
            v.finding = Finding.WindowTooShort;
            return v;
        }
        Totals memory sum = _before(id, state, windowEnd);
        sum.subtract(_before(id, state, start));
        v.balance = sum.balance;
        v.lower = sum.lower;
        v.upper = sum.upper;
        v.ghg = sum.ghg;
        v.ghgUpper = sum.ghgUpper;
        v.completeHours = uint32(uint256(sum.completeHours));
        v.totalHours = 24 * (windowEnd - start);
        v.worstBlockHours = _worstBlock(id, state, windowEnd);
        v.firstVersion = DayTotals.boundaryVersion(cumulative_[id][start + 1].emissions);
        v.lastVersion = DayTotals.boundaryVersion(cumulative_[id][windowEnd].emissions);
        v.finding = _finding(id, record, v);
    }

    function _finding(bytes32 id, Record memory record, Verdict memory v) private view returns (Finding) {
        if (registry.boundary(record.districtId, v.windowEnd - 1).restartDay > v.windowStart) {
            return Finding.BoundaryRestarted;
        }
        if (
            DayTotals.isEdgeEstimated(cumulative_[id][v.windowStart + 1].balances)
                || DayTotals.isEdgeEstimated(cumulative_[id][v.windowEnd].balances)
        ) return Finding.EdgeEstimated;
        if (
            record.state.booked < ledger.adjustmentCount(record.districtId)
                || record.state.moved < claims.changeCount(record.districtId)
        ) return Finding.AdjustmentsPending;
        if (ledger.compromisesScanned(record.districtId) < registry.compromiseCount(record.districtId)) {
            return Finding.CompromisePending;
        }
        if (
            uint256(v.completeHours) * 10 < uint256(v.totalHours) * 9
                || uint256(v.worstBlockHours) * 10 < BLOCK_DAYS * 24 * 9
        ) return Finding.Incomplete;
        if (v.lower <= 0) return Finding.BalanceNotPositive;
        if (v.ghgUpper > 0) return Finding.GhgPositive;
        return Finding.Positive;
    }

    /// @dev Complete hours of the least complete of the twelve 30-day blocks before `windowEnd`.
    function _worstBlock(bytes32 id, State memory state, uint256 windowEnd) private view returns (uint32) {
        int256 worst = type(int256).max;
        int256 later = _completeHoursBefore(id, state, windowEnd);
        for (uint256 b = 1; b <= BLOCKS; ++b) {
            int256 earlier = _completeHoursBefore(id, state, windowEnd - BLOCK_DAYS * b);
            if (later - earlier < worst) worst = later - earlier;
            later = earlier;
        }
        return uint32(uint256(worst));
    }

    function _before(bytes32 id, State memory state, uint256 day) private view returns (Totals memory sum) {
        sum = cumulative_[id][day].unpack();
        if (state.adjusted) sum.add(trees_[id].before(day - state.startDay));
    }

    function _completeHoursBefore(bytes32 id, State memory state, uint256 day) private view returns (int256 complete) {
        complete = DayTotals.completeHours(cumulative_[id][day].emissions);
        if (state.adjusted) complete += trees_[id].completeHoursBefore(day - state.startDay);
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc IAssessments
    function assessment(bytes32 id) external view returns (Assessment memory) {
        Record storage record = records_[id];
        return Assessment(
            record.districtId, record.schemeId, record.vintageId, record.state.startDay, record.state.frontier
        );
    }

    /// @inheritdoc IAssessments
    function cumulative(bytes32 id, uint32 day)
        external
        view
        returns (Totals memory finalised, Totals memory adjusted)
    {
        State memory state = _record(id).state;
        if (day < state.startDay || day > state.frontier) revert UnknownDay(id, day);
        finalised = cumulative_[id][day].unpack();
        adjusted = trees_[id].before(day - state.startDay);
    }

    /// @inheritdoc IAssessments
    function adjustmentsBooked(bytes32 id) external view returns (uint256) {
        return records_[id].state.booked;
    }

    /// @inheritdoc IAssessments
    function attributeChangesBooked(bytes32 id) external view returns (uint256) {
        return records_[id].state.moved;
    }

    function _record(bytes32 id) private view returns (Record memory record) {
        record = records_[id];
        if (record.districtId == 0) revert UnknownAssessment(id);
    }
}
