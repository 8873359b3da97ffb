// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { BaselineMethod, EventStatus, EventTerms, ResponseEvent } from "contracts/types/Response.sol";
import { FlexibilityFixture } from "testing/FlexibilityFixture.sol";

/// @notice Opens, withdraws, enrols, measures and pays at random, at any time, as far as it is allowed; nothing reverts by mistake.
contract FlexibilityHandler is FlexibilityFixture {
    function start() external {
        setUp();
    }

    function openEvent(uint256 seed) external {
        if (flexibility.eventCount() >= 6 || time >= ENROL_UNTIL) return;
        EventTerms memory t = eventTerms();
        t.startHour = START_HOUR - 3 + uint32(seed % 4);
        t.hourCount = uint8(1 + (seed >> 8) % 3);
        t.requestedWh = uint32(1 + (seed >> 16) % 20_000);
        t.priceMicroEurPerKwh = uint32((seed >> 64) % 1_000_000);
        t.penaltyMicroEurPerKwh = t.priceMicroEurPerKwh + uint32((seed >> 96) % 1_000_000);
        t.increase = (seed >> 128) % 4 == 0;
        t.method = BaselineMethod((seed >> 136) % 2);
        open(t);
    }

    function withdraw(uint256 seed) external {
        uint256 eventId = _some(seed);
        if (seed % 4 != 0 || !_is(eventId, EventStatus.Open)) return;
        vm.prank(gridOperator);
        flexibility.withdrawEvent(eventId);
    }

    /// Refused where the hours are taken.
    function enrol(uint256 seed) external {
        uint256 eventId = _some(seed);
        if (!_is(eventId, EventStatus.Open)) return;
        bool isHill = (seed >> 8) % 2 == 0;
        uint32 capacityWh = uint32(1 + (seed >> 16) % flexibility.responseEvent(eventId).terms.requestedWh);
        vm.prank(isHill ? hillOwner : harbourOwner);
        try flexibility.enrol(eventId, isHill ? HILL : HARBOUR, capacityWh) { } catch { }
    }

    function respond(uint256 seed) external {
        uint32 hour = START_HOUR - 3 + uint32(seed % 6);
        if (time >= FINAL) return;
        setHour((seed >> 8) % 2 == 0 ? HILL : HARBOUR, hour, int256((seed >> 16) % 20_000) - 5_000);
    }

    function measure(uint256 seed) external {
        uint256 eventId = _some(seed);
        bytes32 districtId = (seed >> 8) % 2 == 0 ? HILL : HARBOUR;
        if (eventId == 0 || time < FINAL || _is(eventId, EventStatus.Withdrawn)) return;
        if (flexibility.enrolment(eventId, districtId).capacityWh == 0) return;
        if (flexibility.enrolment(eventId, districtId).isMeasured) return;
        flexibility.measure(eventId, districtId);
    }

    function pay(uint256 seed) external {
        uint256 eventId = _some(seed);
        bytes32 districtId = (seed >> 8) % 2 == 0 ? HILL : HARBOUR;
        if (!_is(eventId, EventStatus.Measured) && !_is(eventId, EventStatus.Withdrawn)) return;
        if (flexibility.enrolment(eventId, districtId).capacityWh == 0) return;
        if (flexibility.enrolment(eventId, districtId).isPaid) return;
        flexibility.pay(eventId, districtId);
    }

    function returnBudget(uint256 seed) external {
        uint256 eventId = _some(seed);
        if (!_is(eventId, EventStatus.Committed) || flexibility.responseEvent(eventId).enrolled != 0) return;
        flexibility.returnBudget(eventId);
    }

    function pass(uint256 seed) external {
        if (seed % 3 == 0) warpTo(time < ENROL_UNTIL ? ENROL_UNTIL + seed % 2 : FINAL);
    }

    function _some(uint256 seed) private view returns (uint256) {
        uint256 count = flexibility.eventCount();
        return count == 0 ? 0 : 1 + (seed >> 200) % count;
    }

    function _is(uint256 eventId, EventStatus status) private view returns (bool) {
        return eventId != 0 && flexibility.responseEvent(eventId).status == status;
    }

    /// @return held what events hold by their own records
    /// @return booked what the escrow says
    function grid() external view returns (uint256 held, uint256 booked) {
        for (uint256 eventId = 1; eventId <= flexibility.eventCount(); ++eventId) {
            ResponseEvent memory e = flexibility.responseEvent(eventId);
            require(e.spent <= e.budget && e.measured <= e.enrolled && e.paid <= e.enrolled, "counts");
            if (e.status != EventStatus.Settled && e.status != EventStatus.Withdrawn) held += e.budget - e.spent;
        }
        booked = responseHeldOf(GRID);
    }

    function district(bytes32 districtId, bytes32 organisationId) external view returns (uint256 held, uint256 booked) {
        for (uint256 eventId = 1; eventId <= flexibility.eventCount(); ++eventId) {
            if (!flexibility.enrolment(eventId, districtId).isPaid) {
                held += flexibility.enrolment(eventId, districtId).deposit;
            }
        }
        booked = responseHeldOf(organisationId);
    }

    function total() external view returns (uint256 sum, uint256 booked) {
        sum = escrow.free(GRID) + escrow.free(HARBOUR_OWNERS) + escrow.free(HILL_OWNERS);
        sum += responseHeldOf(GRID) + responseHeldOf(HARBOUR_OWNERS) + responseHeldOf(HILL_OWNERS);
        return (sum, 3 * WEALTH);
    }
}

/// @notice After any history the escrow holds exactly what open events and unpaid districts put up, and nobody's money is lost.
/// forge-config: default.invariant.runs = 16
/// forge-config: ci.invariant.runs = 32
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract FlexibilityInvariantTest is FlexibilityFixture {
    FlexibilityHandler private handler;

    function setUp() public override {
        handler = new FlexibilityHandler();
        handler.start();
        bytes4[] memory selectors = new bytes4[](10);
        selectors[0] = handler.openEvent.selector;
        selectors[1] = handler.withdraw.selector;
        selectors[2] = handler.enrol.selector;
        selectors[3] = handler.enrol.selector;
        selectors[4] = handler.respond.selector;
        selectors[5] = handler.measure.selector;
        selectors[6] = handler.measure.selector;
        selectors[7] = handler.pay.selector;
        selectors[8] = handler.pass.selector;
        selectors[9] = handler.returnBudget.selector;
        targetContract(address(handler));
        targetSelector(address(handler), selectors);
    }

    function invariant_the_escrow_holds_what_is_promised() public view {
        (uint256 held, uint256 booked) = handler.grid();
        assertEq(held, booked, "budgets");
        (held, booked) = handler.district(HARBOUR, HARBOUR_OWNERS);
        assertEq(held, booked, "deposits of harbour");
        (held, booked) = handler.district(HILL, HILL_OWNERS);
        assertEq(held, booked, "deposits of hill");
        (held, booked) = handler.total();
        assertEq(held, booked, "sum of all");
    }
}
