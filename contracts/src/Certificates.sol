// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IAssessments } from "./interfaces/IAssessments.sol";
import { ICertificates } from "./interfaces/ICertificates.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { District } from "./types/Boundary.sol";
import { Certificate, Decision, Proceeding, Status } from "./types/Certificate.sol";
import { Scheme } from "./types/Scheme.sol";
import { Assessment, Finding, Verdict } from "./types/Verdict.sol";

/// @title Certificates
/// @notice See ICertificates.
contract Certificates is ICertificates {
    /// @dev A verdict counts while its window ended at most this many days ago.
    uint256 private constant FRESH_DAYS = 21;
    uint256 private constant RENEWAL_TIME = 60 days;
    uint256 private constant LONGEST_REVOCATION = 5 * 365 days;

    /// @dev The stored status is None, Applied, Provisional, Certified or Revoked.
    struct Record {
        bytes32 assessmentId;
        bytes32 districtId;
        bytes32 schemeId;
        Status status;
        uint64 expiry;
        uint64 revokedUntil;
        bool requestOpen;
        uint32 requests;
        uint32 requestedWindowEnd;
        uint64 challengeUntil;
        uint64 requestUntil;
        bytes32 reasonHash;
    }

    /// @param round number of the run of votes, since an earlier one can have timed out
    struct Proposal {
        uint64 voteUntil;
        uint32 round;
        uint8 votes;
    }

    IRegistry public immutable registry;
    IAssessments public immutable assessments;

    uint256 public certificateCount;
    mapping(bytes32 assessmentId => uint256) public certificateOf;
    mapping(bytes32 districtId => mapping(bytes32 schemeId => uint64)) public barredUntil;
    mapping(uint256 id => Record) private _records;
    mapping(uint256 id => Proceeding[]) private _proceedings;
    mapping(uint256 id => mapping(uint256 request => mapping(bytes32 organisationId => bool))) private _challenged;
    mapping(uint256 id => mapping(uint256 proceeding => mapping(bytes32 organisationId => bool))) private _voted;
    mapping(bytes32 proposalId => Proposal) private _proposals;
    mapping(bytes32 proposalId => mapping(uint256 round => mapping(bytes32 organisationId => bool))) private _revokers;

    constructor(IRegistry registry_, IAssessments assessments_) {
        registry = registry_;
        assessments = assessments_;
    }

    function applyFor(bytes32 assessmentId) external returns (uint256 id) {
        Assessment memory assessment = assessments.assessment(assessmentId);
        if (assessment.districtId == 0) revert UnknownAssessment(assessmentId);
        bytes32 organisationId = _requireRole(registry.DISTRICT_OWNER());
        bytes32 ownerOrg = registry.district(assessment.districtId).ownerOrg;
        if (organisationId != ownerOrg) revert OtherOrganisation(msg.sender, organisationId, ownerOrg);
        uint256 former = certificateOf[assessmentId];
        Status status = statusOf(former);
        if (status != Status.None && status != Status.Lapsed && status != Status.Revoked) {
            revert AlreadyCertificate(assessmentId, former, status);
        }
        _requireNotBarred(assessment.districtId, assessment.schemeId);

        id = ++certificateCount;
        certificateOf[assessmentId] = id;
        Record storage record = _records[id];
        record.assessmentId = assessmentId;
        record.districtId = assessment.districtId;
        record.schemeId = assessment.schemeId;
        record.status = Status.Applied;
        emit Applied(
            id, assessment.districtId, assessmentId, assessment.schemeId, assessment.vintageId, ownerOrg, msg.sender
        );
    }

    function grantProvisional(uint256 id) external {
        Record storage record = _existing(id);
        bytes32 auditor = registry.AUDITOR();
        if (!registry.hasRole(registry.SCHEME_ADMIN(), msg.sender)) _requireRole(auditor);
        bytes32 organisationId = registry.organisationOf(msg.sender);
        _requireNoInterest(organisationId, record.districtId);
        if (record.status != Status.Applied) revert WrongStatus(id, statusOf(id));
        _requireNotBarred(record.districtId, record.schemeId);
        Assessment memory assessment = assessments.assessment(record.assessmentId);
        if (assessment.frontier <= assessment.startDay) {
            revert NoFinalisedDay(record.assessmentId, assessment.startDay);
        }
        record.status = Status.Provisional;
        emit ProvisionalGranted(id, organisationId, msg.sender);
    }

    function request(uint256 id, uint32 windowEnd) external {
        Record storage record = _existing(id);
        bool renewal = _requireRequestable(id, record);
        if (record.requestOpen && block.timestamp < record.requestUntil) {
            revert RequestOpen(id, record.requestUntil);
        }
        _requireNotBarred(record.districtId, record.schemeId);
        if (windowEnd <= record.requestedWindowEnd) revert WindowNotNew(windowEnd, record.requestedWindowEnd);
        Verdict memory verdict = assessments.verdict(record.assessmentId, windowEnd);
        _requirePositive(verdict);

        Scheme memory scheme = registry.scheme(record.schemeId);
        uint256 challengeUntil = block.timestamp + uint256(scheme.challengeDays) * 1 days;
        uint256 requestUntil = challengeUntil + (uint256(scheme.decisionDays) + FRESH_DAYS) * 1 days;
        record.requestOpen = true;
        record.requestedWindowEnd = windowEnd;
        record.challengeUntil = uint64(challengeUntil);
        record.requestUntil = uint64(requestUntil);
        emit CertificationRequested(
            id, ++record.requests, renewal, uint64(challengeUntil), uint64(requestUntil), verdict
        );
    }

    function confirm(uint256 id) external {
        Record storage record = _existing(id);
        if (!record.requestOpen || block.timestamp >= record.requestUntil) revert NoOpenRequest(id);
        if (block.timestamp < record.challengeUntil) revert ChallengePeriodOpen(id, record.challengeUntil);
        bool renewal = record.status == Status.Certified;
        if (renewal && block.timestamp >= record.expiry) revert WrongStatus(id, Status.Lapsed);
        _requireNotBarred(record.districtId, record.schemeId);
        if (_hasPending(id)) {
            Proceeding storage last = _lastProceeding(id);
            if (block.timestamp < last.decideBy) revert ChallengePending(id, last.decideBy);
            _decide(id, record, Decision.Dismissed, true);
        }
        Verdict memory verdict = assessments.latestVerdict(record.assessmentId);
        _requirePositive(verdict);

        uint256 expiry = block.timestamp + uint256(registry.scheme(record.schemeId).validityDays) * 1 days;
        record.status = Status.Certified;
        record.expiry = uint64(expiry);
        record.requestOpen = false;
        emit Certified(id, record.requests, renewal, uint64(expiry), verdict);
    }

    function challenge(uint256 id, bytes32 evidenceHash) external {
        Record storage record = _existing(id);
        bytes32 organisationId = _requireIndependentAuditor(record.districtId);
        if (evidenceHash == 0) revert EmptyHash();
        if (!record.requestOpen) revert NoOpenRequest(id);
        if (block.timestamp >= record.challengeUntil) revert ChallengePeriodOver(id, record.challengeUntil);
        uint32 number = record.requests;
        if (_challenged[id][number][organisationId]) revert AlreadyChallenged(id, organisationId);
        _challenged[id][number][organisationId] = true;

        if (_hasPending(id) && block.timestamp >= _lastProceeding(id).decideBy) {
            _decide(id, record, Decision.Dismissed, true);
        }
        if (!_hasPending(id)) {
            _proceedings[id].push(Proceeding(number, 0, 0, 0, 0, Decision.Pending));
        }
        Proceeding storage pending = _lastProceeding(id);
        uint256 decideBy = block.timestamp + uint256(registry.scheme(record.schemeId).decisionDays) * 1 days;
        pending.decideBy = uint64(decideBy);
        ++pending.challenges;
        emit Challenged(
            id, number, uint32(_proceedings[id].length - 1), organisationId, msg.sender, evidenceHash, uint64(decideBy)
        );
    }

    function voteChallenge(uint256 id, bool uphold) external {
        Record storage record = _existing(id);
        bytes32 organisationId = _requireIndependentAuditor(record.districtId);
        if (!record.requestOpen || !_hasPending(id)) revert NoPendingChallenge(id);
        Proceeding storage pending = _lastProceeding(id);
        if (block.timestamp >= pending.decideBy) revert NoPendingChallenge(id);
        uint256 index = _proceedings[id].length - 1;
        if (_voted[id][index][organisationId]) revert AlreadyVoted(id, organisationId);
        _voted[id][index][organisationId] = true;

        uint8 votes = uphold ? ++pending.upholdVotes : ++pending.dismissVotes;
        emit ChallengeVoted(id, uint32(index), organisationId, msg.sender, uphold);
        if (votes == registry.scheme(record.schemeId).quorum) {
            _decide(id, record, uphold ? Decision.Upheld : Decision.Dismissed, false);
        }
    }

    function closeChallenge(uint256 id) external {
        Record storage record = _existing(id);
        if (!_hasPending(id)) revert NoPendingChallenge(id);
        uint64 decideBy = _lastProceeding(id).decideBy;
        if (block.timestamp < decideBy) revert ChallengePending(id, decideBy);
        _decide(id, record, Decision.Dismissed, true);
    }

    function voteRevocation(uint256 id, bytes32 reasonHash, uint64 until) external {
        Record storage record = _existing(id);
        bytes32 organisationId = _requireIndependentAuditor(record.districtId);
        if (record.status == Status.Revoked) revert WrongStatus(id, Status.Revoked);
        if (reasonHash == 0) revert EmptyHash();
        uint256 latest = block.timestamp + LONGEST_REVOCATION;
        if (until <= block.timestamp || until > latest) {
            revert RevocationTimeOutOfRange(until, uint64(block.timestamp + 1), uint64(latest));
        }
        Scheme memory scheme = registry.scheme(record.schemeId);
        bytes32 proposalId = keccak256(abi.encode(id, reasonHash, until));
        Proposal storage proposal = _proposals[proposalId];
        if (block.timestamp >= proposal.voteUntil) {
            proposal.voteUntil = uint64(block.timestamp + uint256(scheme.decisionDays) * 1 days);
            proposal.votes = 0;
            ++proposal.round;
        }
        if (_revokers[proposalId][proposal.round][organisationId]) revert AlreadyVoted(id, organisationId);
        _revokers[proposalId][proposal.round][organisationId] = true;
        uint8 votes = ++proposal.votes;
        emit RevocationVoted(id, reasonHash, until, organisationId, msg.sender, votes, proposal.voteUntil);
        if (votes < scheme.quorum) return;

        record.status = Status.Revoked;
        record.revokedUntil = until;
        record.reasonHash = reasonHash;
        record.requestOpen = false;
        if (until > barredUntil[record.districtId][record.schemeId]) {
            barredUntil[record.districtId][record.schemeId] = until;
        }
        emit Revoked(id, reasonHash, until);
    }

    function isValid(uint256 id) external view returns (bool) {
        return statusOf(id) == Status.Certified;
    }

    function certificate(uint256 id) external view returns (Certificate memory) {
        Record storage record = _existing(id);
        return Certificate({
            assessmentId: record.assessmentId,
            districtId: record.districtId,
            schemeId: record.schemeId,
            vintageId: assessments.assessment(record.assessmentId).vintageId,
            status: statusOf(id),
            expiry: record.expiry,
            revokedUntil: record.revokedUntil,
            reasonHash: record.reasonHash,
            requests: record.requests,
            requestOpen: record.requestOpen && block.timestamp < record.requestUntil,
            requestedWindowEnd: record.requestedWindowEnd,
            challengeUntil: record.challengeUntil,
            requestUntil: record.requestUntil,
            proceedings: uint32(_proceedings[id].length)
        });
    }

    function proceeding(uint256 id, uint256 index) external view returns (Proceeding memory proceeding_) {
        _existing(id);
        proceeding_ = _proceedings[id][index];
        if (proceeding_.decision == Decision.Pending && block.timestamp >= proceeding_.decideBy) {
            proceeding_.decision = Decision.Dismissed;
        }
    }

    function statusOf(uint256 id) public view returns (Status status) {
        Record storage record = _records[id];
        status = record.status;
        if (status != Status.Certified) return status;
        if (block.timestamp >= record.expiry) return Status.Lapsed;
        if (registry.keysMissing(record.districtId) != 0) return Status.Suspended;
        Verdict memory verdict = assessments.latestVerdict(record.assessmentId);
        if (verdict.finding != Finding.Positive || verdict.windowEnd < _earliestWindowEnd()) return Status.Suspended;
    }

    /// @dev Ends the pending proceeding. A certificate that lapsed meanwhile stays lapsed.
    function _decide(uint256 id, Record storage record, Decision decision, bool undecided) private {
        Proceeding storage pending = _lastProceeding(id);
        pending.decision = decision;
        if (decision == Decision.Upheld) {
            record.requestOpen = false;
            if (record.status == Status.Certified && block.timestamp < record.expiry) {
                record.status = Status.Provisional;
                record.expiry = 0;
            }
        }
        emit ChallengeDecided(
            id,
            uint32(_proceedings[id].length - 1),
            decision,
            undecided,
            pending.upholdVotes,
            pending.dismissVotes,
            record.status
        );
    }

    /// @return renewal the certificate is certified already
    function _requireRequestable(uint256 id, Record storage record) private view returns (bool renewal) {
        if (record.status == Status.Provisional) return false;
        if (record.status != Status.Certified) revert WrongStatus(id, record.status);
        if (block.timestamp >= record.expiry) revert WrongStatus(id, Status.Lapsed);
        if (block.timestamp + RENEWAL_TIME < record.expiry) {
            revert RenewalTooEarly(id, uint64(record.expiry - RENEWAL_TIME));
        }
        return true;
    }

    function _requirePositive(Verdict memory verdict) private view {
        if (verdict.finding != Finding.Positive) revert NotPositive(verdict.windowEnd, uint8(verdict.finding));
        uint256 earliest = _earliestWindowEnd();
        if (verdict.windowEnd < earliest) revert WindowTooOld(verdict.windowEnd, uint32(earliest));
    }

    function _earliestWindowEnd() private view returns (uint256) {
        uint256 today = block.timestamp / 1 days;
        return today > FRESH_DAYS ? today - FRESH_DAYS : 0;
    }

    function _requireNotBarred(bytes32 districtId, bytes32 schemeId) private view {
        uint64 until = barredUntil[districtId][schemeId];
        if (block.timestamp < until) revert Barred(districtId, schemeId, until);
    }

    /// @return organisationId of the caller
    function _requireRole(bytes32 role) private view returns (bytes32 organisationId) {
        if (!registry.hasRole(role, msg.sender)) revert MissingRole(msg.sender, role);
        return registry.organisationOf(msg.sender);
    }

    /// @return organisationId of the caller
    function _requireIndependentAuditor(bytes32 districtId) private view returns (bytes32 organisationId) {
        organisationId = _requireRole(registry.AUDITOR());
        _requireNoInterest(organisationId, districtId);
    }

    function _requireNoInterest(bytes32 organisationId, bytes32 districtId) private view {
        District memory district = registry.district(districtId);
        if (organisationId == district.ownerOrg || organisationId == district.operatorOrg) {
            revert ConflictOfInterest(organisationId, districtId);
        }
    }

    function _hasPending(uint256 id) private view returns (bool) {
        uint256 count = _proceedings[id].length;
        return count != 0 && _proceedings[id][count - 1].decision == Decision.Pending;
    }

    function _lastProceeding(uint256 id) private view returns (Proceeding storage) {
        return _proceedings[id][_proceedings[id].length - 1];
    }

    function _existing(uint256 id) private view returns (Record storage record) {
        record = _records[id];
        if (record.status == Status.None) revert UnknownCertificate(id);
    }
}
