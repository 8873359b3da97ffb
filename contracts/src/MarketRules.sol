// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger } from "./interfaces/ILedger.sol";
import { IMarketRules, Terms } from "./interfaces/IMarketRules.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { Calendar } from "./libraries/Calendar.sol";

/// @title Rules of the market, see IMarketRules
contract MarketRules is IMarketRules {
    uint256 private constant LONGEST_GATE_CLOSURE = 30 days;
    uint256 private constant HOURS_OF_DAY = 24;
    /// @dev Prices of a word: eight lanes of 32 bits, each a price and one, 0 for none.
    uint256 private constant LANES = 8;

    IRegistry public immutable registry;
    bytes32 private immutable PUBLISHER_ORG;
    uint32 private immutable GATE_CLOSURE_SECONDS;
    uint32 private immutable CLEARING_SECONDS;
    uint32 private immutable IMBALANCE_SECONDS;
    uint32 private immutable BOND_MICRO_EUR_PER_KWH;
    uint32 private immutable SENSITIVITY_WH;
    uint16 private immutable TOLERANCE_BP;
    uint32 private immutable TOLERANCE_WH;

    mapping(uint256 group => uint256) private prices_;
    mapping(uint16 year => bool) private hasHolidays_;
    /// @dev Bit day % 256 of word day / 256.
    mapping(uint256 group => uint256) private holidays_;

    constructor(IRegistry registry_, ILedger ledger, Terms memory terms_) {
        if (bytes(registry_.organisationName(terms_.publisherOrg)).length == 0) {
            revert IRegistry.UnknownOrganisation(terms_.publisherOrg);
        }
        _requireWithin("gateClosureSeconds", terms_.gateClosureSeconds, 1, LONGEST_GATE_CLOSURE);
        _requireWithin("clearingSeconds", terms_.clearingSeconds, 1, terms_.gateClosureSeconds);
        _requireWithin("imbalanceSeconds", terms_.imbalanceSeconds, 1, ledger.finalitySeconds());
        // Ten times the bond rate, the greatest price of an order, is a price as well.
        _requireWithin("bondMicroEurPerKwh", terms_.bondMicroEurPerKwh, 1, type(uint32).max / 10);
        _requireWithin("toleranceBp", terms_.toleranceBp, 0, 10_000);
        registry = registry_;
        PUBLISHER_ORG = terms_.publisherOrg;
        GATE_CLOSURE_SECONDS = terms_.gateClosureSeconds;
        CLEARING_SECONDS = terms_.clearingSeconds;
        IMBALANCE_SECONDS = terms_.imbalanceSeconds;
        BOND_MICRO_EUR_PER_KWH = terms_.bondMicroEurPerKwh;
        SENSITIVITY_WH = terms_.sensitivityWh;
        TOLERANCE_BP = terms_.toleranceBp;
        TOLERANCE_WH = terms_.toleranceWh;
    }

    /// @inheritdoc IMarketRules
    function publishImbalance(uint32 firstHour, uint32[] calldata pricesMicroEurPerKwh) external {
        _requirePublisher();
        uint256 count = pricesMicroEurPerKwh.length;
        if (count == 0 || firstHour % HOURS_OF_DAY + count > HOURS_OF_DAY) revert HoursOfSeveralDays(firstHour, count);
        // They are over, so that none is beyond its type.
        uint256 endsAt = (uint256(firstHour) + count) * 1 hours;
        if (block.timestamp < endsAt) revert HourNotOver(uint32(firstHour + count - 1), endsAt);
        uint256 last = _imbalanceDeadline(firstHour);
        if (block.timestamp > last) revert ImbalanceTooLate(firstHour, last);
        for (uint256 i = 0; i < count; ++i) {
            uint256 hour = firstHour + i;
            if (_lane(hour) != 0) revert ImbalancePublishedBefore(uint32(hour));
            if (pricesMicroEurPerKwh[i] == type(uint32).max) revert PriceTooGreat(pricesMicroEurPerKwh[i]);
            prices_[hour / LANES] |= (uint256(pricesMicroEurPerKwh[i]) + 1) << ((hour % LANES) * 32);
        }
        emit ImbalancePublished(firstHour, pricesMicroEurPerKwh);
    }

    /// @inheritdoc IMarketRules
    function publishHolidays(uint16 year, uint32[] calldata holidays) external {
        _requirePublisher();
        uint256 first = year < 1970 ? 0 : Calendar.firstDay(year);
        if (block.timestamp >= first * 1 days) revert YearBegun(year, first * 1 days);
        if (hasHolidays_[year]) revert HolidaysPublishedBefore(year);
        hasHolidays_[year] = true;
        uint256 afterLast = Calendar.firstDay(uint256(year) + 1);
        for (uint256 i = 0; i < holidays.length; ++i) {
            uint256 day = holidays[i];
            if (day < first || day >= afterLast) revert NotInYear(uint32(day), year);
            holidays_[day / 256] |= 1 << (day % 256);
        }
        emit HolidaysPublished(year, holidays);
    }

    /// @inheritdoc IMarketRules
    function terms() external view returns (Terms memory) {
        return Terms({
            publisherOrg: PUBLISHER_ORG,
            gateClosureSeconds: GATE_CLOSURE_SECONDS,
            clearingSeconds: CLEARING_SECONDS,
            imbalanceSeconds: IMBALANCE_SECONDS,
            bondMicroEurPerKwh: BOND_MICRO_EUR_PER_KWH,
            sensitivityWh: SENSITIVITY_WH,
            toleranceBp: TOLERANCE_BP,
            toleranceWh: TOLERANCE_WH
        });
    }

    /// @inheritdoc IMarketRules
    function imbalancePrice(uint32 hour) external view returns (bool known, uint32 priceMicroEurPerKwh) {
        uint256 lane = _lane(hour);
        if (lane != 0) return (true, uint32(lane - 1));
        if (block.timestamp <= _imbalanceDeadline(hour)) return (false, 0);
        return (true, BOND_MICRO_EUR_PER_KWH);
    }

    /// @inheritdoc IMarketRules
    function isRestDay(uint32 day) external view returns (bool) {
        // Day 0 was a Thursday.
        uint256 weekday = (uint256(day) + 3) % 7;
        return weekday >= 5 || (holidays_[day / 256] >> (day % 256)) & 1 == 1;
    }

    /// @inheritdoc IMarketRules
    function clearedBy(uint32 hour) external view returns (uint256) {
        return closesAt(hour) + CLEARING_SECONDS;
    }

    /// @inheritdoc IMarketRules
    function closesAt(uint32 hour) public view returns (uint256) {
        uint256 beginsAt = uint256(hour) * 1 hours;
        return beginsAt > GATE_CLOSURE_SECONDS ? beginsAt - GATE_CLOSURE_SECONDS : 0;
    }

    function _requirePublisher() private view {
        bytes32 organisationId = registry.organisationOf(msg.sender);
        if (organisationId != PUBLISHER_ORG || !registry.hasRole(registry.FACTOR_PUBLISHER(), msg.sender)) {
            revert NotPublisher(msg.sender, organisationId, PUBLISHER_ORG);
        }
    }

    function _imbalanceDeadline(uint256 hour) private view returns (uint256) {
        return (hour / HOURS_OF_DAY + 1) * 1 days + IMBALANCE_SECONDS;
    }

    function _lane(uint256 hour) private view returns (uint256) {
        return (prices_[hour / LANES] >> ((hour % LANES) * 32)) & type(uint32).max;
    }

    function _requireWithin(string memory name, uint256 value, uint256 least, uint256 greatest) private pure {
        if (value < least || value > greatest) revert TermOutOfRange(name, value, least, greatest);
    }
}
