// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IMarketRules, Terms } from "contracts/interfaces/IMarketRules.sol";
import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { Calendar } from "contracts/libraries/Calendar.sol";
import { MarketFixture } from "testing/MarketFixture.sol";

contract MarketRulesTest is MarketFixture {
    uint32 private constant FIRST_HOUR = DAY * 24;

    function _prices(uint256 count, uint32 price) private pure returns (uint32[] memory list) {
        list = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = price;
        }
    }

    function _days(uint32 day) private pure returns (uint32[] memory list) {
        list = new uint32[](1);
        list[0] = day;
    }

    function _refused(Terms memory wrong, string memory name, uint256 value, uint256 least, uint256 greatest) private {
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.TermOutOfRange.selector, name, value, least, greatest));
        this.deployRules(wrong);
    }

    function deployRules(Terms memory terms_) external returns (address) {
        return deploy("MarketRules", abi.encode(registry, ledger, terms_));
    }

    // --- terms -------------------------------------------------------------------------------------------------------

    function test_terms_are_what_was_deployed() public view {
        assertEq(abi.encode(rules.terms()), abi.encode(terms()));
    }

    function test_refuses_terms_out_of_range() public {
        Terms memory wrong = terms();
        wrong.gateClosureSeconds = 0;
        _refused(wrong, "gateClosureSeconds", 0, 1, 30 days);
        wrong.gateClosureSeconds = 30 days + 1;
        _refused(wrong, "gateClosureSeconds", 30 days + 1, 1, 30 days);
        wrong = terms();
        wrong.clearingSeconds = 0;
        _refused(wrong, "clearingSeconds", 0, 1, 1 hours);
        // An outcome would stand only after delivery began.
        wrong.clearingSeconds = 1 hours + 1;
        _refused(wrong, "clearingSeconds", 1 hours + 1, 1, 1 hours);
        wrong = terms();
        wrong.imbalanceSeconds = uint32(FINALITY + 1);
        _refused(wrong, "imbalanceSeconds", FINALITY + 1, 1, FINALITY);
        wrong.imbalanceSeconds = 0;
        _refused(wrong, "imbalanceSeconds", 0, 1, FINALITY);
        wrong = terms();
        wrong.bondMicroEurPerKwh = 0;
        _refused(wrong, "bondMicroEurPerKwh", 0, 1, type(uint32).max / 10);
        wrong.bondMicroEurPerKwh = type(uint32).max / 10 + 1;
        _refused(wrong, "bondMicroEurPerKwh", type(uint32).max / 10 + 1, 1, type(uint32).max / 10);
        wrong = terms();
        wrong.toleranceBp = 10_001;
        _refused(wrong, "toleranceBp", 10_001, 0, 10_000);
        wrong = terms();
        wrong.publisherOrg = "nobody";
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownOrganisation.selector, bytes32("nobody")));
        this.deployRules(wrong);
    }

    function test_gate_and_clearing_times() public view {
        assertEq(rules.closesAt(FIRST_HOUR), uint256(DAY) * 1 days - 1 hours);
        assertEq(rules.clearedBy(FIRST_HOUR), uint256(DAY) * 1 days);
        assertEq(rules.closesAt(type(uint32).max), uint256(type(uint32).max) * 1 hours - 1 hours);
        assertEq(rules.closesAt(0), 0);
        assertEq(rules.closesAt(1), 0);
        assertEq(rules.clearedBy(1), 1 hours);
    }

    // --- imbalance prices --------------------------------------------------------------------------------------------

    function test_publishes_a_day() public {
        warpTo(_closeOf(DAY, 23));
        uint32[] memory prices = _prices(24, 0);
        for (uint32 i = 0; i < 24; ++i) {
            prices[i] = i * 10_000;
        }
        prices[23] = type(uint32).max - 1;
        vm.expectEmit(address(rules));
        emit IMarketRules.ImbalancePublished(FIRST_HOUR, prices);
        vm.prank(publisher);
        rules.publishImbalance(FIRST_HOUR, prices);
        for (uint32 i = 0; i < 24; ++i) {
            (bool known, uint32 price) = rules.imbalancePrice(FIRST_HOUR + i);
            assertTrue(known);
            assertEq(uint256(price), prices[i]);
        }
        (bool otherKnown,) = rules.imbalancePrice(FIRST_HOUR + 24);
        assertFalse(otherKnown);
        (otherKnown,) = rules.imbalancePrice(FIRST_HOUR - 1);
        assertFalse(otherKnown);
    }

    function test_the_bond_rate_is_the_price_when_none_came() public {
        uint256 deadline = uint256(DAY + 1) * 1 days + 5 days;
        warpTo(deadline);
        (bool known, uint32 price) = rules.imbalancePrice(FIRST_HOUR);
        assertFalse(known);
        assertEq(uint256(price), 0);
        warpTo(deadline + 1);
        (known, price) = rules.imbalancePrice(FIRST_HOUR);
        assertTrue(known);
        assertEq(uint256(price), BOND);
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.ImbalanceTooLate.selector, FIRST_HOUR, deadline));
        rules.publishImbalance(FIRST_HOUR, _prices(1, 7));
    }

    function test_a_price_known_is_never_another() public {
        warpTo(uint256(DAY + 1) * 1 days + 5 days);
        vm.startPrank(publisher);
        rules.publishImbalance(FIRST_HOUR + 3, _prices(2, 7));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.ImbalancePublishedBefore.selector, FIRST_HOUR + 3));
        rules.publishImbalance(FIRST_HOUR + 2, _prices(2, 8));
        vm.stopPrank();
        (bool known,) = rules.imbalancePrice(FIRST_HOUR + 2);
        assertFalse(known);
        warpTo(time + 30 days);
        (, uint32 price) = rules.imbalancePrice(FIRST_HOUR + 4);
        assertEq(uint256(price), 7);
    }

    function test_refuses_imbalance_prices() public {
        warpTo(_closeOf(DAY, 3));
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IMarketRules.NotPublisher.selector, stranger, bytes32(0), bytes32("grid"))
        );
        rules.publishImbalance(FIRST_HOUR, _prices(1, 7));
        // An account of the organisation, but not with the role; one with the role, of another organisation.
        vm.startPrank(administrator);
        registry.enrol(_account("auditor of the grid"), "grid", registry.AUDITOR());
        registry.enrol(hillOwner, HILL_OWNERS, registry.FACTOR_PUBLISHER());
        vm.stopPrank();
        vm.prank(_account("auditor of the grid"));
        vm.expectPartialRevert(IMarketRules.NotPublisher.selector);
        rules.publishImbalance(FIRST_HOUR, _prices(1, 7));
        vm.prank(hillOwner);
        vm.expectRevert(
            abi.encodeWithSelector(IMarketRules.NotPublisher.selector, hillOwner, HILL_OWNERS, bytes32("grid"))
        );
        rules.publishImbalance(FIRST_HOUR, _prices(1, 7));

        vm.startPrank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.HourNotOver.selector, FIRST_HOUR + 4, _closeOf(DAY, 4)));
        rules.publishImbalance(FIRST_HOUR, _prices(5, 7));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.HoursOfSeveralDays.selector, FIRST_HOUR, 0));
        rules.publishImbalance(FIRST_HOUR, _prices(0, 7));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.HoursOfSeveralDays.selector, FIRST_HOUR - 1, 2));
        rules.publishImbalance(FIRST_HOUR - 1, _prices(2, 7));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.PriceTooGreat.selector, type(uint32).max));
        rules.publishImbalance(FIRST_HOUR, _prices(1, type(uint32).max));
        vm.expectPartialRevert(IMarketRules.HourNotOver.selector);
        rules.publishImbalance(type(uint32).max, _prices(1, 7));
        vm.stopPrank();
    }

    // --- holidays ----------------------------------------------------------------------------------------------------

    /// START is 2024-10-04 (day 20,000).
    function test_holidays_are_fixed_before_the_year() public {
        uint256 first = 20_089;
        assertEq(Calendar.firstDay(2025), first);
        uint32[] memory list = new uint32[](3);
        (list[0], list[1], list[2]) = (uint32(first), uint32(first + 364), uint32(first + 5));
        vm.startPrank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.NotInYear.selector, uint32(first), 2026));
        rules.publishHolidays(2026, list);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.NotInYear.selector, uint32(first - 1), 2025));
        rules.publishHolidays(2025, _days(uint32(first - 1)));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.NotInYear.selector, uint32(first + 365), 2025));
        rules.publishHolidays(2025, _days(uint32(first + 365)));
        warpTo(first * 1 days - 1);
        vm.expectEmit(address(rules));
        emit IMarketRules.HolidaysPublished(2025, list);
        rules.publishHolidays(2025, list);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.HolidaysPublishedBefore.selector, 2025));
        rules.publishHolidays(2025, list);
        vm.stopPrank();
        // 2025-01-01 is a Wednesday, 2025-12-31 as well, the 6th a Monday.
        assertTrue(rules.isRestDay(uint32(first)));
        assertTrue(rules.isRestDay(uint32(first + 364)));
        assertTrue(rules.isRestDay(uint32(first + 5)));
        assertFalse(rules.isRestDay(uint32(first + 1)));
        assertTrue(rules.isRestDay(uint32(first + 3)));
        assertTrue(rules.isRestDay(uint32(first + 4)));
    }

    function test_refuses_holidays() public {
        vm.prank(stranger);
        vm.expectPartialRevert(IMarketRules.NotPublisher.selector);
        rules.publishHolidays(2026, _days(20_454));
        vm.startPrank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.YearBegun.selector, 2024, 19_723 * 1 days));
        rules.publishHolidays(2024, _days(20_000));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.YearBegun.selector, 0, 0));
        rules.publishHolidays(0, _days(0));
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.YearBegun.selector, 1970, 0));
        rules.publishHolidays(1970, _days(0));
        warpTo(20_089 * 1 days);
        vm.expectRevert(abi.encodeWithSelector(IMarketRules.YearBegun.selector, 2025, 20_089 * 1 days));
        rules.publishHolidays(2025, _days(20_103));
        rules.publishHolidays(type(uint16).max, new uint32[](0));
        vm.stopPrank();
        assertFalse(rules.isRestDay(20_103));
    }

    function test_weekends(uint32 day) public view {
        // Day 2 was Saturday, 3 January 1970.
        assertEq(rules.isRestDay(day), day % 7 == 2 || day % 7 == 3);
    }
}
