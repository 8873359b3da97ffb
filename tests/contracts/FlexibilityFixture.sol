// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IClaims } from "contracts/interfaces/IClaims.sol";
import { IFlexibility } from "contracts/interfaces/IFlexibility.sol";
import { ISettlement } from "contracts/interfaces/ISettlement.sol";
import { Kind } from "contracts/types/Kind.sol";
import { BaselineMethod, Enrolment, EventStatus, EventTerms, ResponseEvent } from "contracts/types/Response.sol";
import { MarketFixture } from "testing/MarketFixture.sol";

/// @notice Demand response on top of the market: a grid operator with money, and two districts of one grid point each, whose hours lie in
/// the ledger for weeks. The hours are written to the ledger's storage: fifty days of signed batches would take each test seconds.
abstract contract FlexibilityFixture is MarketFixture {
    /// @dev Slot of Ledger's hours (contracts/abi/Ledger.json, storage_layout); setUp looks whether it is.
    uint256 private constant HOURS_SLOT = 2;
    bytes32 internal constant GRID = "grid";
    /// @dev A Monday; the event was opened on the Saturday before.
    uint32 internal constant EVENT_DAY = DAY + 51;
    uint32 internal constant START_HOUR = EVENT_DAY * 24 + 17;
    uint256 internal constant OPENED = (uint256(EVENT_DAY) - 2) * 1 days + 12 hours;
    uint256 internal constant ENROL_UNTIL = (uint256(EVENT_DAY) - 1) * 1 days;
    uint256 internal constant FINAL = (uint256(EVENT_DAY) + 1) * 1 days + FINALITY;
    uint32 internal constant PRICE = 200_000;
    uint32 internal constant PENALTY = 300_000;
    int256 internal constant LOAD_WH = 5_000;

    address internal immutable gridOperator = _account("grid operator");

    ISettlement internal settlement;
    IFlexibility internal flexibility;

    function setUp() public virtual override {
        super.setUp();
        vm.startPrank(administrator);
        registry.enrol(gridOperator, GRID, registry.GRID_OPERATOR());
        vm.stopPrank();
        fund(gridOperator, GRID, WEALTH);
        publish(DAY, changes(change(PLANT, points(point("HARBOUR-GRID", Kind.GRID, 1_000_000_000)))));
        publishHill(DAY, changes(change(HILL_GATEWAY, points(point("HILL-GRID", Kind.GRID, 1_000_000_000)))));
        setDays(HARBOUR, DAY, EVENT_DAY, LOAD_WH);
        setDays(HILL, DAY, EVENT_DAY, LOAD_WH);
        assertEq(lane(hourWord(DAY, 12), 0), uint256(LOAD_WH), "slot of the hours");
        warpTo(OPENED);
    }

    function _deployClaims() internal virtual override returns (IClaims created) {
        created = super._deployClaims();
        settlement = ISettlement(deploy("Settlement", abi.encode(registry, ledger, rules, escrow, claims, market)));
        flexibility =
            IFlexibility(deploy("Flexibility", abi.encode(registry, ledger, rules, escrow, claims, settlement)));
    }

    // --- hours -------------------------------------------------------------------------------------------------------

    /// @notice The same net import from 12:00 to 20:00 of the days [from, to).
    function setDays(bytes32 districtId, uint32 from, uint32 to, int256 netImportWh) internal {
        for (uint32 day = from; day < to; ++day) {
            for (uint32 clock = 12; clock < 20; ++clock) {
                setHour(districtId, day * 24 + clock, netImportWh);
            }
        }
    }

    /// @notice The hour as a complete record of the one grid point makes it.
    function setHour(bytes32 districtId, uint32 hour, int256 netImportWh) internal {
        uint256 word = netImportWh < 0 ? uint256(-netImportWh) << 32 : uint256(netImportWh);
        _setWord(districtId, hour, word | (1 << 192));
    }

    function hideHour(bytes32 districtId, uint32 hour) internal {
        _setWord(districtId, hour, 0);
    }

    function _setWord(bytes32 districtId, uint32 hour, uint256 word) internal {
        bytes32 outer = keccak256(abi.encode(districtId, HOURS_SLOT));
        vm.store(address(ledger), keccak256(abi.encode(uint256(hour), outer)), bytes32(word));
    }

    // --- events ------------------------------------------------------------------------------------------------------

    /// @notice Two hours, 10 kWh each.
    function eventTerms() internal pure returns (EventTerms memory) {
        return EventTerms({
            zone: ZONE,
            increase: false,
            method: BaselineMethod.TenOfTen,
            startHour: START_HOUR,
            hourCount: 2,
            requestedWh: 10_000,
            priceMicroEurPerKwh: PRICE,
            penaltyMicroEurPerKwh: PENALTY,
            enrolUntil: uint40(ENROL_UNTIL),
            noticeSeconds: 1 days
        });
    }

    function open(EventTerms memory t) internal returns (uint256 eventId) {
        vm.prank(gridOperator);
        return flexibility.openEvent(t);
    }

    function enrolHarbour(uint256 eventId, uint32 capacityWh) internal {
        vm.prank(harbourOwner);
        flexibility.enrol(eventId, HARBOUR, capacityWh);
    }

    function enrolHill(uint256 eventId, uint32 capacityWh) internal {
        vm.prank(hillOwner);
        flexibility.enrol(eventId, HILL, capacityWh);
    }

    /// @notice Opens the event of `t`, enrols both districts, sets what they did and waits until it is final.
    function bothEnrolled(EventTerms memory t, uint32 harbourWh, uint32 hillWh) internal returns (uint256 eventId) {
        eventId = open(t);
        enrolHarbour(eventId, harbourWh);
        enrolHill(eventId, hillWh);
    }

    function setEvent(bytes32 districtId, int256 first, int256 second) internal {
        setHour(districtId, START_HOUR, first);
        setHour(districtId, START_HOUR + 1, second);
    }

    function measureAndPayBoth(uint256 eventId) internal {
        flexibility.measure(eventId, HARBOUR);
        flexibility.measure(eventId, HILL);
        flexibility.pay(eventId, HARBOUR);
        flexibility.pay(eventId, HILL);
    }

    // --- money -------------------------------------------------------------------------------------------------------

    function responseHeldOf(bytes32 organisationId) internal view returns (uint256) {
        return escrow.held(organisationId, true);
    }

    /// @notice Everything of the three organisations is still in the escrow, and nothing of it is held.
    function requireReconciled() internal view {
        assertEq(responseHeldOf(GRID) + responseHeldOf(HARBOUR_OWNERS) + responseHeldOf(HILL_OWNERS), 0, "held");
        uint256 free = escrow.free(GRID) + escrow.free(HARBOUR_OWNERS) + escrow.free(HILL_OWNERS);
        assertEq(free, 3 * WEALTH, "sum of all");
    }
}
