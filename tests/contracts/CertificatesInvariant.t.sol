// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Finding } from "contracts/types/Verdict.sol";
import { CertificatesFixture } from "testing/CertificatesFixture.sol";

/// @notice Everybody does anything in any order while time, verdicts and keys change. Beside the contract this keeps its
/// own short history of what was accepted, from which alone it says whether a certificate can be valid.
contract CertificatesHandler is CertificatesFixture {
    uint256 private constant MOST_CERTIFICATES = 8;

    struct History {
        uint256 requestedAt;
        uint256 confirmedAt;
        uint256 lastChallengeAt;
        bool challengeUndecided;
        uint256 upheldVotes;
        bool requestUpheld;
        bool revoked;
    }

    mapping(uint256 id => History) private _histories;
    mapping(bytes32 key => mapping(bytes32 organisationId => bool)) private _counted;
    mapping(bytes32 key => uint256) private _revocationVotes;
    uint256 public everValid;
    uint256 public revocations;
    uint256 public upholds;

    /// @dev Starts with a certified certificate and an open request, or most runs would end before anything is certified.
    function setUp() public override {
        super.setUp();
        uint256 first = requested();
        _histories[first].requestedAt = time;
        warpTo(time + CHALLENGE);
        setVerdict(Finding.Positive);
        certificates.confirm(first);
        _histories[first].confirmedAt = time;

        vm.prank(owner);
        uint256 second = certificates.applyFor(OTHER_VINTAGE);
        vm.prank(administrator);
        certificates.grantProvisional(second);
        assessments.setLatest(OTHER_VINTAGE, Finding.Positive, today() - 7);
        certificates.request(second, today() - 7);
        _histories[second].requestedAt = time;
    }

    function count() public view returns (uint256) {
        return certificates.certificateCount();
    }

    function applyFor(bool other, uint8 who) external {
        if (count() == MOST_CERTIFICATES) return;
        vm.prank(who % 4 == 0 ? _anybody(who) : owner);
        try certificates.applyFor(other ? OTHER_VINTAGE : ASSESSMENT) { } catch { }
        _look();
    }

    function grantProvisional(uint8 id, uint8 who) external {
        vm.prank(_anybody(who));
        try certificates.grantProvisional(_id(id)) { } catch { }
        _look();
    }

    function request(uint8 id, uint8 daysAgo) external {
        uint256 number = _id(id);
        try certificates.request(number, today() - daysAgo % 24) {
            History storage history = _histories[number];
            history.requestedAt = time;
            history.lastChallengeAt = 0;
            history.challengeUndecided = false;
            history.upheldVotes = 0;
            history.requestUpheld = false;
        } catch { }
        _look();
    }

    function confirm(uint8 id) external {
        uint256 number = _requestedId(id);
        try certificates.confirm(number) {
            _histories[number].confirmedAt = time;
        } catch { }
        _look();
    }

    function challenge(uint8 id, uint8 who) external {
        uint256 number = _requestedId(id);
        vm.prank(_anybody(who));
        try certificates.challenge(number, REASON) {
            _histories[number].lastChallengeAt = time;
            _histories[number].challengeUndecided = true;
        } catch { }
        _look();
    }

    function voteChallenge(uint8 id, uint8 who, bool uphold) external {
        uint256 number = _requestedId(id);
        uint256 proceedings = number == 0 || number > count() ? 0 : certificates.certificate(number).proceedings;
        address voter = _anybody(who);
        vm.prank(voter);
        try certificates.voteChallenge(number, uphold) {
            bytes32 organisationId = registry.organisationOf(voter);
            bytes32 key = keccak256(abi.encode("challenge", number, proceedings));
            if (_counted[key][organisationId]) return;
            _counted[key][organisationId] = true;
            bytes32 side = keccak256(abi.encode(key, uphold));
            if (++_revocationVotes[side] == 2) {
                _histories[number].challengeUndecided = false;
                if (uphold) {
                    _histories[number].requestUpheld = true;
                    ++upholds;
                }
            }
        } catch { }
        _look();
    }

    function closeChallenge(uint8 id) external {
        try certificates.closeChallenge(_requestedId(id)) { } catch { }
        _look();
    }

    function voteRevocation(uint8 id, uint8 who, bool long) external {
        uint256 number = _id(id);
        // Whole weeks, so that several voters name the same time, and a vote never meets one that has timed out.
        bytes32 reason = long ? keccak256("long") : REASON;
        uint64 until = uint64((time / 1 weeks + (long ? 10 : 2)) * 1 weeks);
        address voter = _anybody(who);
        vm.prank(voter);
        try certificates.voteRevocation(number, reason, until) {
            bytes32 key = keccak256(abi.encode("revocation", number, until));
            bytes32 organisationId = registry.organisationOf(voter);
            if (!_counted[key][organisationId]) {
                _counted[key][organisationId] = true;
                if (++_revocationVotes[key] == 2) {
                    _histories[number].revoked = true;
                    ++revocations;
                }
            }
        } catch { }
        _look();
    }

    function setLatest(bool other, uint8 finding, uint8 daysAgo) external {
        // Mostly positive and recent, or nothing would ever be certified.
        Finding next = finding % 4 == 0 ? Finding(finding % (uint8(type(Finding).max) + 1)) : Finding.Positive;
        assessments.setLatest(other ? OTHER_VINTAGE : ASSESSMENT, next, today() - (daysAgo % 4 == 0 ? daysAgo % 30 : 7));
        _look();
    }

    function turnKey(bool revoke, uint160 key) external {
        vm.startPrank(operator);
        if (revoke) {
            try registry.revokeKey(PLANT, 0) { } catch { }
        } else {
            try registry.rotateKey(PLANT, address(key)) { } catch { }
        }
        vm.stopPrank();
        _look();
    }

    function wait_(uint256 seconds_) external {
        warpTo(time + bound(seconds_, 1, 9 days));
        assessments.setLatest(ASSESSMENT, Finding.Positive, today() - 7);
        assessments.setLatest(OTHER_VINTAGE, Finding.Positive, today() - 7);
        _look();
    }

    /// @notice Number of certificates that are valid although their history forbids it.
    function wronglyValid() external view returns (uint256 wrong) {
        for (uint256 id = 1; id <= count(); ++id) {
            if (certificates.isValid(id) && !_canBeValid(id)) ++wrong;
        }
    }

    /// @notice Number of assessments with more than one valid certificate.
    function doublyValid() external view returns (uint256 twice) {
        for (uint256 a = 1; a <= count(); ++a) {
            for (uint256 b = a + 1; b <= count(); ++b) {
                if (!certificates.isValid(a) || !certificates.isValid(b)) continue;
                if (certificates.certificate(a).assessmentId == certificates.certificate(b).assessmentId) ++twice;
            }
        }
    }

    function _canBeValid(uint256 id) private view returns (bool) {
        History memory history = _histories[id];
        if (history.confirmedAt == 0 || history.revoked || time >= history.confirmedAt + VALIDITY) return false;
        // The confirmation belongs to the latest request, or that one is a renewal that is still open.
        bool confirmed = history.confirmedAt >= history.requestedAt;
        if (confirmed && history.confirmedAt < history.requestedAt + CHALLENGE) return false;
        if (confirmed && history.challengeUndecided && history.confirmedAt < history.lastChallengeAt + DECISION) {
            return false;
        }
        if (history.requestUpheld) return false;
        if (registry.keysMissing(HARBOUR) != 0) return false;
        bytes32 assessmentId = certificates.certificate(id).assessmentId;
        if (assessments.latestVerdict(assessmentId).finding != Finding.Positive) return false;
        return uint256(assessments.latestVerdict(assessmentId).windowEnd) + 21 >= today();
    }

    function _look() private {
        for (uint256 id = 1; id <= count(); ++id) {
            if (certificates.isValid(id)) ++everValid;
        }
    }

    function _id(uint8 id) private view returns (uint256) {
        return count() == 0 ? 1 : 1 + id % count();
    }

    /// @dev Mostly a certificate with an open request: elsewhere nothing can be challenged or confirmed.
    function _requestedId(uint8 id) private view returns (uint256) {
        for (uint256 i = 1; i <= count() && id % 8 != 0; ++i) {
            uint256 candidate = 1 + (id + i) % count();
            if (certificates.certificate(candidate).requestOpen) return candidate;
        }
        return _id(id);
    }

    function _anybody(uint8 who) private view returns (address) {
        if (who % 9 < 4) return auditors[who % 9];
        address[5] memory others = [secondKeyOfFirstAuditor, owner, operator, administrator, stranger];
        return others[who % 9 - 4];
    }
}

contract CertificatesInvariantTest is CertificatesFixture {
    CertificatesHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new CertificatesHandler();
        handler.setUp();
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](11);
        selectors[0] = CertificatesHandler.applyFor.selector;
        selectors[1] = CertificatesHandler.grantProvisional.selector;
        selectors[2] = CertificatesHandler.request.selector;
        selectors[3] = CertificatesHandler.confirm.selector;
        selectors[4] = CertificatesHandler.challenge.selector;
        selectors[5] = CertificatesHandler.voteChallenge.selector;
        selectors[6] = CertificatesHandler.closeChallenge.selector;
        selectors[7] = CertificatesHandler.voteRevocation.selector;
        selectors[8] = CertificatesHandler.setLatest.selector;
        selectors[9] = CertificatesHandler.turnKey.selector;
        selectors[10] = CertificatesHandler.wait_.selector;
        targetSelector(address(handler), selectors);
    }

    /// No path makes an invalid certificate valid, and an assessment has one valid certificate at most.
    /// @dev Both in one, because each invariant is a campaign of its own. A certificate may be valid for a while only.
    /// forge-config: ci.invariant.check-interval = 1
    function invariant_only_what_should_be_valid_is_and_once() public view {
        assertEq(handler.wronglyValid(), 0);
        assertEq(handler.doublyValid(), 0);
    }

    /// @notice The handler's calls do certify, uphold and revoke, and its own history notices.
    function test_the_calls_reach_the_interesting_states() public {
        handler.challenge(1, 0);
        assertTrue(handler.everValid() > 0, "nothing was ever valid");
        handler.voteChallenge(1, 0, true);
        handler.voteChallenge(1, 4, true); // the second key of the first auditor
        assertEq(handler.upholds(), 0);
        handler.voteChallenge(1, 1, true);
        assertEq(handler.upholds(), 1);
        handler.voteRevocation(0, 2, true);
        assertEq(handler.revocations(), 0);
        handler.voteRevocation(0, 3, true);
        assertEq(handler.revocations(), 1);
        assertEq(handler.wronglyValid(), 0);
    }
}
