// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { BaselineMethod, EventTerms } from "contracts/types/Response.sol";
import { FlexibilityFixture } from "testing/FlexibilityFixture.sol";
import { Kind } from "contracts/types/Kind.sol";

/// @notice The contract repeats every baseline of the Python statement (tests/vectors/baselines.json).
contract FlexibilityVectorsTest is FlexibilityFixture {
    string private json;

    /// @dev The fixture's districts without a boundary and without hours.
    function setUp() public override {
        super.setUp();
        warpTo(START);
        json = vm.readFile(string.concat(vm.projectRoot(), "/../tests/vectors/baselines.json"));
        vm.prank(administrator);
        registry.registerDistrict("case", ZONE, HARBOUR_OWNERS, "metering", 5);
        vm.prank(operator);
        registry.registerGateway("case-gateway", "case", address(0xCA5E));
    }

    function _uints(string memory name) private view returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, string.concat(".", name));
    }

    function test_every_baseline_is_that_of_python() public {
        uint256[] memory holidayCounts = _uints("holidayCount");
        uint256[] memory holidays = _uints("holiday");
        uint256[] memory dayCounts = _uints("dayCount");
        uint256[] memory daysUsed = _uints("dayUsed");
        uint256[] memory baselineCounts = _uints("baselineCount");
        int256[] memory baselines = vm.parseJsonIntArray(json, ".baselineWh");
        bytes[] memory netImports = vm.parseJsonBytesArray(json, ".netImport");
        (uint256 holiday, uint256 day, uint256 baseline) = (0, 0, 0);
        for (uint256 i = 0; i < dayCounts.length; ++i) {
            uint256 id = vm.snapshotState();
            _publishHolidays(holidays, holiday, holidayCounts[i]);
            uint256 eventId = _openCase(i, netImports[i]);
            (uint32[] memory used, int64[] memory values) = flexibility.baseline(eventId, "case");
            assertEq(used.length, dayCounts[i], "number of days");
            for (uint256 k = 0; k < used.length; ++k) {
                assertEq(used[k], daysUsed[day + k], string.concat("day of case ", vm.toString(i)));
            }
            assertEq(values.length, baselineCounts[i], "number of hours");
            for (uint256 k = 0; k < values.length; ++k) {
                assertEq(int256(values[k]), baselines[baseline + k], string.concat("case ", vm.toString(i)));
            }
            holiday += holidayCounts[i];
            day += dayCounts[i];
            baseline += baselineCounts[i];
            assertTrue(vm.revertToState(id));
        }
        assertEq(baseline, baselines.length);
    }

    /// @dev 2025-01-01 is day 20,089, 2026-01-01 day 20,454.
    function _publishHolidays(uint256[] memory all, uint256 first, uint256 count) private {
        vm.startPrank(publisher);
        for (uint256 year = 0; year < 2; ++year) {
            (uint256 begin, uint256 end) = (20_089 + 365 * year, 20_454 + 365 * year);
            uint32[] memory list = new uint32[](count);
            uint256 found = 0;
            for (uint256 i = first; i < first + count; ++i) {
                if (all[i] >= begin && all[i] < end) list[found++] = uint32(all[i]);
            }
            uint32[] memory own = new uint32[](found);
            for (uint256 i = 0; i < found; ++i) {
                own[i] = list[i];
            }
            rules.publishHolidays(uint16(2025 + year), own);
        }
        vm.stopPrank();
    }

    function _openCase(uint256 i, bytes memory packed) private returns (uint256) {
        uint256 firstDay = _uints("firstDay")[i];
        warpTo((firstDay - 1) * 1 days);
        vm.prank(operator);
        registry.publishBoundary(
            "case", uint32(firstDay), changes(change("case-gateway", points(point("CASE", Kind.GRID, 1_000))))
        );
        for (uint256 offset = 0; offset < packed.length; offset += 9) {
            uint256 word;
            assembly ("memory-safe") {
                word := mload(add(add(packed, 32), offset))
            }
            setHour("case", uint32(word >> 224), int40(uint40(word >> 184)));
        }
        uint256 openedAt = _uints("openedAt")[i];
        warpTo(openedAt);
        EventTerms memory t = eventTerms();
        (t.enrolUntil, t.noticeSeconds) = (uint40(openedAt), 0);
        (t.startHour, t.hourCount) = (uint32(_uints("startHour")[i]), uint8(_uints("eventHours")[i]));
        (t.method, t.increase) = (BaselineMethod(_uints("method")[i]), _uints("increase")[i] == 1);
        return open(t);
    }
}
