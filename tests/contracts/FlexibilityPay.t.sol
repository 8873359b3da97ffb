// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { EventTerms, ResponseEvent } from "contracts/types/Response.sol";
import { FlexibilityFixture } from "testing/FlexibilityFixture.sol";

/// @notice What is paid, against the formulas of domain.md §7 written out, for any responses of two districts.
contract FlexibilityPayTest is FlexibilityFixture {
    /// @dev A baseline from which every capacity can be delivered.
    int256 private constant HIGH = 4_294_967_295;

    function setUp() public override {
        super.setUp();
        setDays(HARBOUR, EVENT_DAY - 16, EVENT_DAY, HIGH);
        setDays(HILL, EVENT_DAY - 16, EVENT_DAY, HIGH);
    }

    function _pay(EventTerms memory t, uint256 total, uint256 response) private pure returns (uint256) {
        if (total == 0) return 0;
        uint256 paid = total < t.requestedWh ? total : t.requestedWh;
        return t.priceMicroEurPerKwh * paid * response / (1_000 * total);
    }

    function _penalty(EventTerms memory t, uint256 capacity, uint256 response) private pure returns (uint256) {
        uint256 owed = capacity * 9 / 10;
        return owed > response ? t.penaltyMicroEurPerKwh * (owed - response) / 1_000 : 0;
    }

    /// @dev What counts of `drop` Wh below the baseline.
    function _counted(uint256 drop, uint256 capacity) private pure returns (uint256) {
        uint256 reached = drop < capacity ? drop : capacity;
        return reached < 100 ? 0 : reached;
    }

    function _run(EventTerms memory t, uint32[2] memory capacities, uint32[2][2] memory drops) private {
        uint256 eventId = bothEnrolled(t, capacities[0], capacities[1]);
        setEvent(HARBOUR, HIGH - int256(uint256(drops[0][0])), HIGH - int256(uint256(drops[0][1])));
        setEvent(HILL, HIGH - int256(uint256(drops[1][0])), HIGH - int256(uint256(drops[1][1])));
        uint256[3] memory before = [escrow.free(HARBOUR_OWNERS), escrow.free(HILL_OWNERS), escrow.free(GRID)];
        uint256[2] memory deposits = [responseHeldOf(HARBOUR_OWNERS), responseHeldOf(HILL_OWNERS)];
        warpTo(FINAL);
        measureAndPayBoth(eventId);
        warpTo(OPENED);

        uint256 spent = 0;
        uint256 penalties = 0;
        for (uint256 d = 0; d < 2; ++d) {
            uint256 pay = 0;
            uint256 penalty = 0;
            for (uint256 h = 0; h < 2; ++h) {
                uint256 own = _counted(drops[d][h], capacities[d]);
                uint256 total = own + _counted(drops[1 - d][h], capacities[1 - d]);
                pay += _pay(t, total, own);
                penalty += _penalty(t, capacities[d], own);
            }
            assertLe(penalty, deposits[d]);
            bytes32 organisation = d == 0 ? HARBOUR_OWNERS : HILL_OWNERS;
            assertEq(escrow.free(organisation), before[d] + deposits[d] + pay - penalty, "paid");
            spent += pay;
            penalties += penalty;
        }
        ResponseEvent memory e = flexibility.responseEvent(eventId);
        assertEq(e.spent, spent, "spent");
        assertLe(spent, e.budget);
        assertEq(escrow.free(GRID), before[2] + e.budget - spent + penalties, "returned");
        assertEq(responseHeldOf(GRID) + responseHeldOf(HARBOUR_OWNERS) + responseHeldOf(HILL_OWNERS), 0, "held");
        assertEq(escrow.total(), token.balanceOf(address(escrow)));
    }

    /// forge-config: default.fuzz.runs = 128
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_every_share_is_the_formulas(
        uint32 price,
        uint32 penalty,
        uint32 requested,
        uint32[2] memory capacities,
        uint32[2][2] memory drops
    ) public {
        EventTerms memory t = eventTerms();
        t.requestedWh = uint32(bound(requested, 1, 100_000_000));
        t.penaltyMicroEurPerKwh = uint32(bound(penalty, 0, 3_000_000));
        t.priceMicroEurPerKwh = uint32(bound(price, 0, t.penaltyMicroEurPerKwh));
        for (uint256 d = 0; d < 2; ++d) {
            capacities[d] = uint32(bound(capacities[d], 1, t.requestedWh));
            for (uint256 h = 0; h < 2; ++h) {
                drops[d][h] = uint32(bound(drops[d][h], 0, uint256(capacities[d]) * 5 / 4));
            }
        }
        _run(t, capacities, drops);
    }

    /// @dev Again, as if it were the first time.
    function _again(EventTerms memory t, uint32[2] memory capacities, uint32[2][2] memory drops) private {
        uint256 id = vm.snapshotState();
        _run(t, capacities, drops);
        assertTrue(vm.revertToState(id));
    }

    function _fundAll(uint256 amount) private {
        fund(gridOperator, GRID, amount);
        fund(harbourOwner, HARBOUR_OWNERS, amount);
        fund(hillOwner, HILL_OWNERS, amount);
    }

    function test_the_greatest_numbers() public {
        _fundAll(2 ** 80);
        EventTerms memory t = eventTerms();
        uint32 most = type(uint32).max;
        (t.requestedWh, t.priceMicroEurPerKwh, t.penaltyMicroEurPerKwh) = (most, most, most);
        _again(t, [most, most], [[most, most], [most, most]]);
        _again(t, [most, most], [[most, 0], [0, most]]);
        _again(t, [most, uint32(100)], [[most, most], [uint32(100), uint32(100)]]);
        _again(t, [most, most], [[uint32(0), 0], [uint32(0), 0]]);
    }

    function test_the_smallest_numbers() public {
        EventTerms memory t = eventTerms();
        (t.requestedWh, t.priceMicroEurPerKwh, t.penaltyMicroEurPerKwh) = (1, 0, 0);
        _again(t, [uint32(1), 1], [[uint32(1), 1], [uint32(0), 0]]);
        (t.requestedWh, t.priceMicroEurPerKwh, t.penaltyMicroEurPerKwh) = (101, 1, 1);
        _again(t, [uint32(101), 100], [[uint32(101), 100], [uint32(100), 99]]);
        (t.requestedWh, t.priceMicroEurPerKwh, t.penaltyMicroEurPerKwh) = (1_000, 999, 999);
        _again(t, [uint32(333), 667], [[uint32(333), 299], [uint32(667), 601]]);
    }

    /// More than was asked for is shared, not paid.
    function test_no_more_than_the_request_is_paid() public {
        EventTerms memory t = eventTerms();
        uint256 eventId = bothEnrolled(t, 10_000, 10_000);
        setEvent(HARBOUR, HIGH - 10_000, HIGH - 10_000);
        setEvent(HILL, HIGH - 10_000, HIGH - 5_000);
        warpTo(FINAL);
        measureAndPayBoth(eventId);
        // 2,000,000 an hour: half each, then two thirds and one third.
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH + 1_000_000 + 1_333_333);
        assertEq(escrow.free(HILL_OWNERS), WEALTH + 1_000_000 + 666_666 - 300_000 * 4);
        assertEq(flexibility.responseEvent(eventId).spent, 3_999_999);
        requireReconciled();
    }

    function test_an_event_of_a_whole_day() public {
        EventTerms memory t = eventTerms();
        (t.startHour, t.hourCount) = (EVENT_DAY * 24, 24);
        for (uint32 back = 3; back < 15; ++back) {
            for (uint32 clock = 0; clock < 24; ++clock) {
                setHour(HARBOUR, (EVENT_DAY - back) * 24 + clock, int256(uint256(1_000 + clock)));
            }
        }
        uint256 eventId = open(t);
        enrolHarbour(eventId, 1_000);
        uint256 expected = 0;
        for (uint32 clock = 0; clock < 24; ++clock) {
            setHour(HARBOUR, EVENT_DAY * 24 + clock, int256(uint256(clock * 41)));
            uint256 reached = 1_000 + clock - clock * 41;
            expected += reached < 100 ? 0 : (reached > 1_000 ? 1_000 : reached);
        }
        warpTo(FINAL);
        flexibility.measure(eventId, HARBOUR);
        uint32[] memory counted = flexibility.responseWh(eventId, HARBOUR);
        uint256 sum = 0;
        for (uint32 clock = 0; clock < 24; ++clock) {
            sum += counted[clock];
            assertEq(claims.hourClaims(HARBOUR, EVENT_DAY * 24 + clock).responseWh, counted[clock]);
        }
        assertEq(counted.length, 24);
        assertEq(sum, expected);
        flexibility.pay(eventId, HARBOUR);
        assertEq(flexibility.responseEvent(eventId).spent, expected * 200);
    }
}
