// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ICertificates } from "contracts/interfaces/ICertificates.sol";
import { Status } from "contracts/types/Certificate.sol";
import { Kind } from "contracts/types/Kind.sol";
import { Scheme } from "contracts/types/Scheme.sol";
import { Finding, Verdict } from "contracts/types/Verdict.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice A year of signed batches through the real Ledger and Assessments up to a certificate, and how it is lost again.
contract CertificatesJourneyTest is LedgerFixture {
    bytes32 private constant STATIC_SCHEME = "ped-total-static";
    address private immutable auditor = vm.addr(AUDITOR_KEY);

    ICertificates private certificates;
    bytes32 private assessmentId;

    function setUp() public override {
        super.setUp();
        certificates = ICertificates(deploy("Certificates", abi.encode(registry, assessments)));
        Scheme memory static_ = scheme();
        static_.isStatic = true;
        vm.prank(administrator);
        registry.registerScheme(STATIC_SCHEME, static_);
        publish(DAY, changes(change(PLANT, points(point("GRID.1", Kind.GRID, 10_000)))));
        vm.prank(owner);
        assessmentId = assessments.openAssessment(HARBOUR, STATIC_SCHEME, VINTAGE, DAY);
    }

    /// @dev 24 hours in which the district exports 2 kWh net.
    function _recordDay(uint32 day) private {
        bytes memory payload;
        for (uint8 hour = 0; hour < 24; ++hour) {
            payload = bytes.concat(payload, bytes1(hour), measured(500, 2500));
        }
        warpTo(_closeOf(day, 23));
        record(PLANT_KEY, batch(PLANT, day, 1, 0, payload));
    }

    function test_a_year_of_batches_becomes_a_certificate_that_is_suspended_when_the_batches_end() public {
        vm.prank(owner);
        uint256 id = certificates.applyFor(assessmentId);
        _recordDay(DAY);
        warpTo(_finalityOf(DAY));
        assertEq(assessments.finalise(assessmentId, 5), 1);
        vm.prank(auditor);
        certificates.grantProvisional(id);

        uint32 windowEnd = DAY + 1;
        for (; assessments.verdict(assessmentId, windowEnd).windowStart < DAY; ++windowEnd) {
            _recordDay(windowEnd);
        }
        warpTo(_finalityOf(windowEnd - 1));
        assertEq(assessments.finalise(assessmentId, 400), windowEnd - DAY - 1);
        Verdict memory verdict = assessments.latestVerdict(assessmentId);
        assertEq(uint256(verdict.finding), uint256(Finding.Positive));
        assertEq(verdict.windowStart, DAY);
        assertEq(verdict.windowEnd, windowEnd);
        assertEq(verdict.balance, int256(2000 * 2300) * int256(uint256(verdict.totalHours)));

        certificates.request(id, windowEnd);
        assertEq(uint256(certificates.statusOf(id)), uint256(Status.Provisional));
        warpTo(time + 14 days);
        certificates.confirm(id);
        assertTrue(certificates.isValid(id));

        // The 21 days are over at the next midnight, whether or not anyone calls.
        uint256 midnight = (uint256(windowEnd) + 22) * 1 days;
        warpTo(midnight - 1);
        assertTrue(certificates.isValid(id));
        warpTo(midnight);
        assertEq(uint256(certificates.statusOf(id)), uint256(Status.Suspended));
        // Finalising the days without a batch gives a recent verdict, and it is not positive.
        assessments.finalise(assessmentId, 400);
        assertEq(uint256(assessments.latestVerdict(assessmentId).finding), uint256(Finding.Incomplete));
        assertEq(uint256(certificates.statusOf(id)), uint256(Status.Suspended));
    }
}
