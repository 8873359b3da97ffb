"""Typed calls of Escrow.sol and of the token that it holds (domain.md §6).

Amounts are token units: micro-euro. An account is an organisation's slug, or an address.
"""

from contracts.account import account_word
from contracts.contract_calls import ContractCalls
from contracts.key import SigningKey
from contracts.slug import to_bytes32
from contracts.split import Split


class EscrowCalls(ContractCalls):
    """Money: deposits, withdrawals, splits, debts, balances."""

    def deposit(self, key: SigningKey, organisation_id: str, amount: int, *, gas: int | None = None) -> bytes:
        """Pay the sender's tokens in to an organisation's account; `approve_escrow` first."""
        return self._send(key, "Escrow", "deposit", to_bytes32(organisation_id), amount, gas=gas)

    def withdraw(
        self, key: SigningKey, organisation_id: str, amount: int, to: str, *, gas: int | None = None
    ) -> bytes:
        """Send free money of the sender's organisation to an address. By a DISTRICT_OWNER or
        GRID_OPERATOR."""
        return self._send(key, "Escrow", "withdraw", to_bytes32(organisation_id), amount, to, gas=gas)

    def withdraw_share(self, key: SigningKey, amount: int, to: str, *, gas: int | None = None) -> bytes:
        """Send free money of the sender's own address to an address."""
        return self._send(key, "Escrow", "withdrawShare", amount, to, gas=gas)

    def pay_split(self, key: SigningKey, split: Split, signature: bytes, *, gas: int | None = None) -> bytes:
        """Share proceeds as an organisation's owner signed it, once; anyone may carry it."""
        return self._send(key, "Escrow", "paySplit", split.abi, signature, gas=gas)

    def pay_debt(self, key: SigningKey, debtor: str, creditor: str, *, gas: int | None = None) -> bytes:
        """Pay what one account owes the other as far as its free money reaches; anyone may."""
        arguments = account_word(debtor), account_word(creditor)
        return self._send(key, "Escrow", "payDebt", *arguments, gas=gas)

    def free_micro_eur(self, account: str, *, block: int | str = "latest") -> int:
        """Free money of an account."""
        return int(self._call("Escrow", "free", account_word(account), block=block))

    def held_micro_eur(self, account: str, is_response: bool, *, block: int | str = "latest") -> int:
        """Money of an account that is held for trades, or for demand response."""
        return int(self._call("Escrow", "held", account_word(account), is_response, block=block))

    def debt_micro_eur(self, debtor: str, creditor: str, *, block: int | str = "latest") -> int:
        """What one account owes the other."""
        return int(self._call("Escrow", "debt", account_word(debtor), account_word(creditor), block=block))

    def debts_micro_eur(self, account: str, *, block: int | str = "latest") -> int:
        """All that an account owes."""
        return int(self._call("Escrow", "debts", account_word(account), block=block))

    def escrow_total_micro_eur(self, *, block: int | str = "latest") -> int:
        """Sum of all free and held money."""
        return int(self._call("Escrow", "total", block=block))

    # --- the token

    def approve_escrow(self, key: SigningKey, amount: int, *, gas: int | None = None) -> bytes:
        """Allow the escrow to pull so much of the sender's tokens."""
        return self._send(
            key, "SettlementToken", "approve", self.deployment.address("Escrow"), amount, gas=gas
        )

    def mint_tokens(self, key: SigningKey, to: str, amount: int, *, gas: int | None = None) -> bytes:
        """Make tokens of a test network. By a scheme administrator."""
        return self._send(key, "SettlementToken", "mint", to, amount, gas=gas)

    def tokens_of(self, address: str, *, block: int | str = "latest") -> int:
        """Tokens of an address."""
        return int(self._call("SettlementToken", "balanceOf", address, block=block))
