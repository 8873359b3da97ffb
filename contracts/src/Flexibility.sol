// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { HourClaims, IClaims } from "./interfaces/IClaims.sol";
import { IEscrow } from "./interfaces/IEscrow.sol";
import { IFlexibility } from "./interfaces/IFlexibility.sol";
import { ILedger } from "./interfaces/ILedger.sol";
import { IMarketRules, Terms } from "./interfaces/IMarketRules.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { ISettlement } from "./interfaces/ISettlement.sol";
import { Baseline } from "./libraries/Baseline.sol";
import { CertifiedHour } from "./libraries/CertifiedHour.sol";
import { HourBalance } from "./libraries/HourBalance.sol";
import { District } from "./types/Boundary.sol";
import { BaselineMethod, Enrolment, EventStatus, EventTerms, ResponseEvent } from "./types/Response.sol";

/// @title Demand response, see IFlexibility
/// @dev Energies, prices and rates are below 2^32 and an event has at most 24 hours: no product comes near 2^128. The escrow keeps the
/// promise that nobody gets more than there is: what is paid or given back was held when the event was opened or a district enrolled.
contract Flexibility is IFlexibility {
    uint256 private constant MOST_HOURS = 24;
    uint256 private constant MOST_DAYS_AHEAD = 400;
    /// @dev Wh * micro-EUR/kWh.
    uint256 private constant PER_KWH = 1000;
    /// @dev Marks an hour that is not complete, or without a baseline, in the event Measured.
    int64 private constant UNKNOWN = type(int64).min;

    IRegistry public immutable registry;
    ILedger public immutable ledger;
    IMarketRules public immutable rules;
    IEscrow public immutable escrow;
    IClaims public immutable claims;
    ISettlement public immutable settlement;
    bytes32 private immutable GRID_OPERATOR;
    bytes32 private immutable DISTRICT_OWNER;
    uint256 private immutable FINALITY_SECONDS;

    /// @param spent of the budget
    struct Record {
        EventTerms terms;
        bytes32 operatorOrg;
        uint40 openedAt;
        uint32 enrolled;
        uint32 measured;
        uint32 paid;
        bool isWithdrawn;
        bool isSettled;
        uint128 budget;
        uint128 spent;
        /// Responses of all districts, four hours a word.
        uint256[6] totals;
        mapping(bytes32 districtId => Participation) participations;
    }

    struct Participation {
        uint32 capacityWh;
        bool isMeasured;
        bool isPaid;
        /// Eight hours a word.
        uint256[3] responses;
    }

    mapping(uint256 eventId => Record) private events_;
    /// @inheritdoc IFlexibility
    uint256 public eventCount;
    /// @dev Events that a district ever enrolled in, by day; and bit day % 256 of word day / 256 for a day that has one.
    mapping(bytes32 districtId => mapping(uint256 day => uint256[])) private dayEvents_;
    mapping(bytes32 districtId => mapping(uint256 group => uint256)) private eventDays_;

    constructor(
        IRegistry registry_,
        ILedger ledger_,
        IMarketRules rules_,
        IEscrow escrow_,
        IClaims claims_,
        ISettlement settlement_
    ) {
        if (escrow_.flexibility() != address(this)) revert NotNamed(address(escrow_));
        if (claims_.flexibility() != address(this)) revert NotNamed(address(claims_));
        registry = registry_;
        ledger = ledger_;
        rules = rules_;
        escrow = escrow_;
        claims = claims_;
        settlement = settlement_;
        GRID_OPERATOR = registry_.GRID_OPERATOR();
        DISTRICT_OWNER = registry_.DISTRICT_OWNER();
        FINALITY_SECONDS = ledger_.finalitySeconds();
    }

    // --- events ------------------------------------------------------------------------------------------------------

    /// @inheritdoc IFlexibility
    function openEvent(EventTerms calldata terms) external returns (uint256 eventId) {
        if (!registry.hasRole(GRID_OPERATOR, msg.sender)) revert NotGridOperator(msg.sender);
        _requireTerms(terms);
        bytes32 operatorOrg = registry.organisationOf(msg.sender);
        uint256 perHour = uint256(terms.priceMicroEurPerKwh) * terms.requestedWh;
        uint256 budget = (perHour * terms.hourCount + PER_KWH - 1) / PER_KWH;
        eventId = ++eventCount;
        Record storage record = events_[eventId];
        record.terms = terms;
        record.operatorOrg = operatorOrg;
        record.openedAt = uint40(block.timestamp);
        record.budget = uint128(budget);
        emit EventOpened(eventId, terms.zone, operatorOrg, terms, budget);
        escrow.hold(operatorOrg, budget);
    }

    /// @inheritdoc IFlexibility
    function withdrawEvent(uint256 eventId) external {
        Record storage record = _event(eventId);
        bytes32 operatorOrg = record.operatorOrg;
        if (!registry.hasRole(GRID_OPERATOR, msg.sender) || registry.organisationOf(msg.sender) != operatorOrg) {
            revert NotEventOperator(msg.sender, operatorOrg);
        }
        _requireOpen(eventId, record);
        record.isWithdrawn = true;
        emit EventWithdrawn(eventId);
        escrow.unhold(operatorOrg, record.budget);
    }

    /// @inheritdoc IFlexibility
    function returnBudget(uint256 eventId) external {
        Record storage record = _event(eventId);
        if (record.enrolled != 0 || record.isWithdrawn || record.isSettled) revert NothingToReturn(eventId);
        uint256 closesAt = record.terms.enrolUntil;
        if (block.timestamp <= closesAt) revert EnrolmentOpen(eventId, closesAt);
        _settle(eventId, record);
    }

    // --- districts ---------------------------------------------------------------------------------------------------

    /// @inheritdoc IFlexibility
    function enrol(uint256 eventId, bytes32 districtId, uint32 capacityWh) external {
        Record storage record = _event(eventId);
        _requireOpen(eventId, record);
        EventTerms memory terms = record.terms;
        District memory district = registry.district(districtId);
        if (registry.organisationOf(msg.sender) != district.ownerOrg || !registry.hasRole(DISTRICT_OWNER, msg.sender)) {
            revert NotDistrictOwner(msg.sender, districtId);
        }
        if (district.zone != terms.zone) revert WrongZone(districtId, district.zone, terms.zone);
        if (capacityWh == 0) revert CapacityZero();
        if (capacityWh > terms.requestedWh) revert CapacityAboveRequest(capacityWh, terms.requestedWh);
        Participation storage participation = record.participations[districtId];
        if (participation.capacityWh != 0) revert AlreadyEnrolled(eventId, districtId);
        uint256 found = _similarDays(record, districtId, _source(record, districtId)).length;
        if (found < Baseline.LEAST_DAYS) revert TooFewBaselineDays(districtId, found, Baseline.LEAST_DAYS);
        _takeHours(eventId, districtId, terms);

        participation.capacityWh = capacityWh;
        ++record.enrolled;
        uint256 deposit = _deposit(terms, capacityWh);
        emit Enrolled(eventId, districtId, capacityWh, deposit, uint8(found));
        escrow.hold(district.ownerOrg, deposit);
    }

    /// @inheritdoc IFlexibility
    function measure(uint256 eventId, bytes32 districtId) external {
        Record storage record = _event(eventId);
        if (record.isWithdrawn) revert WithdrawnEvent(eventId);
        Participation storage participation = _participation(eventId, record, districtId);
        if (participation.isMeasured) revert AlreadyMeasured(eventId, districtId);
        uint32 day = record.terms.startHour / 24;
        uint256 finalFrom = (uint256(day) + 1) * 1 days + FINALITY_SECONDS;
        if (block.timestamp < finalFrom) revert DayNotFinal(day, finalFrom);
        CertifiedHour.requireScanned(registry, ledger, districtId);

        participation.isMeasured = true;
        ++record.measured;
        (int64[] memory baselineWh, int64[] memory measuredWh, uint32[] memory counted) =
            _responses(record, districtId, participation.capacityWh);
        _remember(record, participation, counted);
        emit Measured(eventId, districtId, baselineWh, measuredWh, counted);
        for (uint256 i = 0; i < counted.length; ++i) {
            if (counted[i] != 0) claims.bookResponse(districtId, record.terms.startHour + uint32(i), counted[i]);
        }
    }

    /// @inheritdoc IFlexibility
    function pay(uint256 eventId, bytes32 districtId) external {
        Record storage record = _event(eventId);
        Participation storage participation = _participation(eventId, record, districtId);
        if (participation.isPaid) revert AlreadyPaid(eventId, districtId);
        bool isWithdrawn = record.isWithdrawn;
        if (!isWithdrawn && record.measured != record.enrolled) {
            revert NotAllMeasured(eventId, record.measured, record.enrolled);
        }
        participation.isPaid = true;
        ++record.paid;
        bytes32 ownerOrg = registry.district(districtId).ownerOrg;
        uint256 deposit = _deposit(record.terms, participation.capacityWh);
        uint256 remuneration = 0;
        uint256 penalty = 0;
        if (!isWithdrawn) {
            (remuneration, penalty) = _amounts(record, participation);
            record.spent += uint128(remuneration);
        }
        emit ResponsePaid(eventId, districtId, remuneration, penalty, deposit - penalty);
        if (remuneration != 0) escrow.pay(record.operatorOrg, ownerOrg, remuneration);
        if (penalty != 0) escrow.pay(ownerOrg, record.operatorOrg, penalty);
        if (deposit != penalty) escrow.unhold(ownerOrg, deposit - penalty);
        if (!isWithdrawn && record.paid == record.enrolled) _settle(eventId, record);
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc IFlexibility
    function responseEvent(uint256 eventId) external view returns (ResponseEvent memory) {
        Record storage record = _event(eventId);
        return ResponseEvent({
            terms: record.terms,
            operatorOrg: record.operatorOrg,
            status: _status(record),
            openedAt: record.openedAt,
            enrolled: record.enrolled,
            measured: record.measured,
            paid: record.paid,
            budget: record.budget,
            spent: record.spent
        });
    }

    /// @inheritdoc IFlexibility
    function enrolment(uint256 eventId, bytes32 districtId) external view returns (Enrolment memory) {
        Record storage record = _event(eventId);
        Participation storage participation = record.participations[districtId];
        return Enrolment({
            capacityWh: participation.capacityWh,
            isMeasured: participation.isMeasured,
            isPaid: participation.isPaid,
            deposit: _deposit(record.terms, participation.capacityWh)
        });
    }

    /// @inheritdoc IFlexibility
    function responseWh(uint256 eventId, bytes32 districtId) external view returns (uint32[] memory result) {
        Record storage record = _event(eventId);
        uint256[3] memory words = _participation(eventId, record, districtId).responses;
        result = new uint32[](record.terms.hourCount);
        for (uint256 i = 0; i < result.length; ++i) {
            result[i] = uint32(_response(words, i));
        }
    }

    /// @inheritdoc IFlexibility
    function isEventDay(bytes32 districtId, uint32 day) external view returns (bool) {
        return _isEventDay(districtId, day, type(uint256).max);
    }

    /// @inheritdoc IFlexibility
    function baseline(uint256 eventId, bytes32 districtId)
        external
        view
        returns (uint32[] memory daysUsed, int64[] memory baselineWh)
    {
        Record storage record = _event(eventId);
        (uint256[] memory used, int256[] memory exact) = _baseline(record, districtId);
        daysUsed = new uint32[](used.length);
        for (uint256 i = 0; i < used.length; ++i) {
            daysUsed[i] = uint32(used[i]);
        }
        baselineWh = new int64[](exact.length);
        for (uint256 i = 0; i < exact.length; ++i) {
            baselineWh[i] = int64(exact[i]);
        }
    }

    // --- checks ------------------------------------------------------------------------------------------------------

    function _requireTerms(EventTerms calldata terms) private view {
        if (terms.zone == 0) revert TermsInvalid("zone", 0);
        if (terms.hourCount == 0 || terms.startHour % MOST_HOURS + terms.hourCount > MOST_HOURS) {
            revert TermsInvalid("hourCount", terms.hourCount);
        }
        if (terms.startHour > block.timestamp / 1 hours + MOST_DAYS_AHEAD * 24) {
            revert TermsInvalid("startHour", terms.startHour);
        }
        if (terms.requestedWh == 0) revert TermsInvalid("requestedWh", 0);
        if (terms.penaltyMicroEurPerKwh < terms.priceMicroEurPerKwh) {
            revert TermsInvalid("penaltyMicroEurPerKwh", terms.penaltyMicroEurPerKwh);
        }
        if (
            terms.enrolUntil < block.timestamp
                || uint256(terms.enrolUntil) + terms.noticeSeconds > uint256(terms.startHour) * 1 hours
        ) revert TermsInvalid("enrolUntil", terms.enrolUntil);
    }

    function _event(uint256 eventId) private view returns (Record storage record) {
        record = events_[eventId];
        if (record.openedAt == 0) revert UnknownEvent(eventId);
    }

    function _participation(uint256 eventId, Record storage record, bytes32 districtId)
        private
        view
        returns (Participation storage participation)
    {
        participation = record.participations[districtId];
        if (participation.capacityWh == 0) revert NotEnrolled(eventId, districtId);
    }

    function _requireOpen(uint256 eventId, Record storage record) private view {
        if (record.isWithdrawn) revert WithdrawnEvent(eventId);
        uint256 closedAt = record.terms.enrolUntil;
        if (block.timestamp > closedAt) revert EnrolmentClosed(eventId, closedAt);
    }

    function _status(Record storage record) private view returns (EventStatus) {
        if (record.isWithdrawn) return EventStatus.Withdrawn;
        if (record.isSettled) return EventStatus.Settled;
        if (block.timestamp <= record.terms.enrolUntil) return EventStatus.Open;
        return record.enrolled != 0 && record.measured == record.enrolled ? EventStatus.Measured : EventStatus.Committed;
    }

    /// @dev A district has one event at most in an hour, so that no Wh is paid twice. A new event takes the place of a withdrawn
    /// one, so that a day's list never has more than 24 and nobody makes reading it dear.
    function _takeHours(uint256 eventId, bytes32 districtId, EventTerms memory terms) private {
        uint256 day = terms.startHour / 24;
        uint256[] storage others = dayEvents_[districtId][day];
        uint256 place = others.length;
        for (uint256 i = 0; i < others.length; ++i) {
            Record storage other = events_[others[i]];
            if (other.isWithdrawn) {
                place = i;
                continue;
            }
            uint256 start = other.terms.startHour;
            if (start < uint256(terms.startHour) + terms.hourCount && terms.startHour < start + other.terms.hourCount) {
                revert HoursTaken(districtId, uint32(start > terms.startHour ? start : terms.startHour));
            }
        }
        if (place == others.length) others.push(eventId);
        else others[place] = eventId;
        eventDays_[districtId][day / 256] |= 1 << (day % 256);
    }

    /// @param decidedBy only events whose enrolment was closed then count: who takes part in them, and whether they were withdrawn, is
    /// not changed after it
    function _isEventDay(bytes32 districtId, uint256 day, uint256 decidedBy) private view returns (bool) {
        if ((eventDays_[districtId][day / 256] >> (day % 256)) & 1 == 0) return false;
        uint256[] storage list = dayEvents_[districtId][day];
        for (uint256 i = 0; i < list.length; ++i) {
            Record storage record = events_[list[i]];
            if (!record.isWithdrawn && record.terms.enrolUntil < decidedBy) return true;
        }
        return false;
    }

    // --- baseline and response ---------------------------------------------------------------------------------------

    function _source(Record storage record, bytes32 districtId) private view returns (Baseline.Source memory) {
        return Baseline.source(registry, ledger, rules.terms(), districtId, record.openedAt);
    }

    /// @dev The latest first. All of it was decided when the event was opened, but for holidays of a year to come.
    function _similarDays(Record storage record, bytes32 districtId, Baseline.Source memory source)
        private
        view
        returns (uint256[] memory similar)
    {
        uint256 startHour = record.terms.startHour;
        uint256 openedAt = record.openedAt;
        bool rests = rules.isRestDay(uint32(startHour / 24));
        uint256 endsAfter = (startHour % 24 + record.terms.hourCount) * 1 hours;
        similar = new uint256[](Baseline.MOST_DAYS);
        uint256 found = 0;
        for (uint256 day = openedAt / 1 days; day > source.firstDay && found < Baseline.MOST_DAYS; --day) {
            if (!Baseline.hasBoundary(source, day)) break;
            if (day * 1 days + endsAfter > openedAt || rules.isRestDay(uint32(day)) != rests) continue;
            if (!_isEventDay(districtId, day, openedAt)) similar[found++] = day;
        }
        assembly ("memory-safe") {
            mstore(similar, found)
        }
    }

    function _baseline(Record storage record, bytes32 districtId)
        private
        view
        returns (uint256[] memory daysUsed, int256[] memory baselineWh)
    {
        Baseline.Source memory source = _source(record, districtId);
        uint256[] memory similar = _similarDays(record, districtId, source);
        if (similar.length < Baseline.LEAST_DAYS) return (Baseline.reversed(similar), baselineWh);
        EventTerms memory terms = record.terms;
        Baseline.Question memory question = Baseline.Question({
            increase: terms.increase,
            highFive: terms.method == BaselineMethod.HighFiveOfTen,
            startHour: terms.startHour,
            hourCount: terms.hourCount
        });
        return Baseline.compute(question, source, similar);
    }

    function _responses(Record storage record, bytes32 districtId, uint256 capacityWh)
        private
        view
        returns (int64[] memory baselineWh, int64[] memory measuredWh, uint32[] memory counted)
    {
        uint256 count = record.terms.hourCount;
        (baselineWh, measuredWh, counted) = (new int64[](count), new int64[](count), new uint32[](count));
        (, int256[] memory exact) = _baseline(record, districtId);
        (uint256[] memory words, uint256[] memory extras, HourBalance.Day memory rule, uint256 sensitivityWh) =
            _eventHours(record, districtId);
        for (uint256 i = 0; i < count; ++i) {
            (bool complete, int256 netImportWh) = CertifiedHour.netImport(words[i], extras[i], rule);
            baselineWh[i] = exact.length == 0 ? UNKNOWN : int64(exact[i]);
            measuredWh[i] = complete ? int64(netImportWh) : UNKNOWN;
            if (exact.length == 0 || !complete) continue;
            uint256 reached =
                _reached(record.terms.increase, districtId, record.terms.startHour + uint32(i), exact[i], netImportWh);
            if (reached > capacityWh) reached = capacityWh;
            if (reached >= sensitivityWh) counted[i] = uint32(reached);
        }
    }

    function _eventHours(Record storage record, bytes32 districtId)
        private
        view
        returns (uint256[] memory words, uint256[] memory extras, HourBalance.Day memory rule, uint256 sensitivityWh)
    {
        uint32 start = record.terms.startHour;
        uint32[] memory wanted = new uint32[](record.terms.hourCount);
        for (uint32 i = 0; i < wanted.length; ++i) {
            wanted[i] = start + i;
        }
        (words, extras) = ledger.wordsOf(districtId, wanted);
        Terms memory terms = rules.terms();
        rule = CertifiedHour.rule(registry.boundary(districtId, start / 24), terms);
        sensitivityWh = terms.sensitivityWh;
    }

    /// @dev What lies between baseline and measurement in the direction asked for. To reduce, of the export only what is not certified
    /// elsewhere or sold counts: of r = B - M that is at most max(0, B) and the rest of the export.
    function _reached(bool increase, bytes32 districtId, uint32 hour, int256 baselineWh, int256 netImportWh)
        private
        view
        returns (uint256)
    {
        int256 reached = increase ? netImportWh - baselineWh : baselineWh - netImportWh;
        if (reached <= 0) return 0;
        if (!increase && netImportWh < 0) {
            if (!settlement.isSettled(districtId, hour)) revert TradesUnsettled(districtId, hour);
            HourClaims memory claimed = claims.hourClaims(districtId, hour);
            int256 most = int256(uint256(claimed.externalWh) + claimed.deliveredWh);
            most = most < -netImportWh ? -netImportWh - most : int256(0);
            if (baselineWh > 0) most += baselineWh;
            if (reached > most) reached = most;
        }
        return uint256(reached);
    }

    function _remember(Record storage record, Participation storage participation, uint32[] memory counted) private {
        uint256[3] memory words;
        uint256[6] memory added;
        for (uint256 i = 0; i < counted.length; ++i) {
            words[i / 8] |= uint256(counted[i]) << (32 * (i % 8));
            added[i / 4] |= uint256(counted[i]) << (64 * (i % 4));
        }
        for (uint256 i = 0; i < 3; ++i) {
            if (words[i] != 0) participation.responses[i] = words[i];
        }
        // 2^32 districts of 2^32 Wh fit into a lane.
        for (uint256 i = 0; i < 6; ++i) {
            if (added[i] != 0) record.totals[i] += added[i];
        }
    }

    // --- money -------------------------------------------------------------------------------------------------------

    /// @dev The greatest possible penalty.
    function _deposit(EventTerms memory terms, uint256 capacityWh) private pure returns (uint256) {
        return terms.hourCount * _penalty(terms.penaltyMicroEurPerKwh, capacityWh, 0);
    }

    function _penalty(uint256 rate, uint256 capacityWh, uint256 reached) private pure returns (uint256) {
        uint256 owed = capacityWh * 9 / 10;
        return reached < owed ? rate * (owed - reached) / PER_KWH : 0;
    }

    function _amounts(Record storage record, Participation storage participation)
        private
        view
        returns (uint256 remuneration, uint256 penalty)
    {
        EventTerms memory terms = record.terms;
        uint256[3] memory words = participation.responses;
        uint256[6] memory totals = record.totals;
        uint256 capacityWh = participation.capacityWh;
        for (uint256 i = 0; i < terms.hourCount; ++i) {
            uint256 reached = _response(words, i);
            uint256 total = uint64(totals[i / 4] >> (64 * (i % 4)));
            penalty += _penalty(terms.penaltyMicroEurPerKwh, capacityWh, reached);
            if (reached == 0) continue;
            uint256 paidWh = total < terms.requestedWh ? total : terms.requestedWh;
            remuneration += terms.priceMicroEurPerKwh * paidWh * reached / (PER_KWH * total);
        }
    }

    function _response(uint256[3] memory words, uint256 index) private pure returns (uint256) {
        return uint32(words[index / 8] >> (32 * (index % 8)));
    }

    /// @dev The rest of the budget goes back.
    function _settle(uint256 eventId, Record storage record) private {
        record.isSettled = true;
        uint256 rest = record.budget - record.spent;
        emit EventSettled(eventId, record.spent, rest);
        if (rest != 0) escrow.unhold(record.operatorOrg, rest);
    }
}
