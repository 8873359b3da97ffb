"""Typed calls of Certificates.sol: the life of a certificate. What depends on time is asked of the block to
come."""

from contracts.contract_calls import ContractCalls
from contracts.events import slug_or_empty
from contracts.key import SigningKey
from contracts.lifecycle import Certificate, Decision, Proceeding, Status

_NOW = "pending"


class CertificateCalls(ContractCalls):
    """The life of a certificate."""

    def apply_for_certificate(self, key: SigningKey, assessment: bytes, *, gas: int | None = None) -> bytes:
        """Apply. By a district owner of the district's owner organisation."""
        return self._send(key, "Certificates", "applyFor", assessment, gas=gas)

    def grant_provisional(self, key: SigningKey, certificate: int, *, gas: int | None = None) -> bytes:
        """Make it provisional. By a scheme administrator or an auditor."""
        return self._send(key, "Certificates", "grantProvisional", certificate, gas=gas)

    def request_certification(
        self, key: SigningKey, certificate: int, window_end: int, *, gas: int | None = None
    ) -> bytes:
        """Request certification or renewal with the positive verdict at `window_end`; anyone may."""
        return self._send(key, "Certificates", "request", certificate, window_end, gas=gas)

    def confirm_certification(self, key: SigningKey, certificate: int, *, gas: int | None = None) -> bytes:
        """Certify once the challenge period is over; anyone may."""
        return self._send(key, "Certificates", "confirm", certificate, gas=gas)

    def challenge(
        self, key: SigningKey, certificate: int, evidence_hash: bytes, *, gas: int | None = None
    ) -> bytes:
        """Challenge the open request. By an auditor."""
        return self._send(key, "Certificates", "challenge", certificate, evidence_hash, gas=gas)

    def vote_challenge(
        self, key: SigningKey, certificate: int, uphold: bool, *, gas: int | None = None
    ) -> bytes:
        """Vote on the open challenge. One vote per auditor organisation."""
        return self._send(key, "Certificates", "voteChallenge", certificate, uphold, gas=gas)

    def close_challenge(self, key: SigningKey, certificate: int, *, gas: int | None = None) -> bytes:
        """Record that a challenge was undecided at its deadline; anyone may."""
        return self._send(key, "Certificates", "closeChallenge", certificate, gas=gas)

    def vote_revocation(
        self, key: SigningKey, certificate: int, reason_hash: bytes, until: int, *, gas: int | None = None
    ) -> bytes:
        """Vote to revoke until a time (unix seconds). One vote per auditor organisation."""
        arguments = certificate, reason_hash, until
        return self._send(key, "Certificates", "voteRevocation", *arguments, gas=gas)

    def is_valid(self, certificate: int) -> bool:
        """Whether it is certified, not expired, not revoked, keys in order, and the verdict positive, now."""
        return bool(self._call("Certificates", "isValid", certificate, block=_NOW))

    def status_of(self, certificate: int) -> Status:
        """Where it stands now."""
        return Status(self._call("Certificates", "statusOf", certificate, block=_NOW))

    def certificate(self, certificate: int) -> Certificate:
        """All of it, as of now."""
        raw = self._call("Certificates", "certificate", certificate, block=_NOW)
        assessment, district, scheme, vintage, status, *rest = raw
        names = slug_or_empty(district), slug_or_empty(scheme), slug_or_empty(vintage)
        return Certificate(assessment, *names, Status(status), *rest)

    def proceeding(self, certificate: int, index: int) -> Proceeding:
        """One proceeding about challenges, as of now."""
        raw = self._call("Certificates", "proceeding", certificate, index, block=_NOW)
        request, decide_by, challenges, uphold_votes, dismiss_votes, decision = raw
        return Proceeding(request, decide_by, challenges, uphold_votes, dismiss_votes, Decision(decision))

    def certificate_of(self, assessment: bytes) -> int:
        """The assessment's certificate; 0 for none."""
        return int(self._call("Certificates", "certificateOf", assessment))

    def certificate_count(self) -> int:
        """How many certificates there are; their numbers begin with 1."""
        return int(self._call("Certificates", "certificateCount"))
