"""A treasurer's wallet: tokens into the escrow of trades and demand response, and out again (domain.md §6).

By web3, as an ordinary Ethereum client: any ERC-20 token and any node that an organisation runs.
Amounts are token units, micro-euro.
"""

from typing import Any, Final

from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError, ContractLogicError, TimeExhausted, Web3Exception
from web3.middleware import ExtraDataToPOAMiddleware

from contracts.artifacts import artifact
from contracts.deployment import Deployment
from contracts.errors import decode_error
from contracts.key import SigningKey
from contracts.slug import to_bytes32

RECEIPT_TIMEOUT_S: Final = 120.0


class WalletRefused(Exception):
    """The node or a contract did not do what was asked; the message says why and nothing was moved by it."""


class Wallet:
    """The tokens of one address, and what its organisation has in the escrow."""

    def __init__(self, deployment: Deployment, key: SigningKey, url: str | None = None) -> None:
        """`url`: JSON-RPC of another node than the deployment's. Raises WalletRefused."""
        self._web3 = Web3(HTTPProvider(url or deployment.rpc_url))
        # Blocks of a permissioned network carry their validators' seals in the extra data.
        self._web3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        self._account = Account.from_key(key.secret)
        self.address: str = self._account.address
        self._escrow = self._contract(deployment.address("Escrow"), "Escrow")
        self._chain_id = deployment.chain_id
        try:
            found = self._web3.eth.chain_id
            token = self._escrow.functions.token().call()
        except (OSError, Web3Exception) as problem:
            raise WalletRefused(f"no answer from {url or deployment.rpc_url}: {problem}") from None
        if found != deployment.chain_id:
            raise WalletRefused(
                f"the node is of chain {found}, but the deployment is of chain {deployment.chain_id}"
            )
        self._token = self._contract(token, "SettlementToken")

    @property
    def tokens(self) -> int:
        """Tokens of the address, outside the escrow."""
        return int(self._token.functions.balanceOf(self.address).call())

    def free(self, organisation_id: str) -> int:
        """Free money of an organisation in the escrow."""
        return int(self._escrow.functions.free(to_bytes32(organisation_id)).call())

    def held(self, organisation_id: str) -> int:
        """Money of an organisation that is held for orders, trades and demand-response events."""
        account = to_bytes32(organisation_id)
        return sum(int(self._escrow.functions.held(account, purse).call()) for purse in (False, True))

    def deposit(self, organisation_id: str, amount: int) -> str:
        """Pay tokens in to an organisation's account; approves exactly the amount first where needed.

        Returns the transaction's hash. Raises WalletRefused.
        """
        if self.tokens < amount:
            raise WalletRefused(
                f"{self.address} has {self.tokens} micro-euro of tokens, less than the {amount} to deposit"
            )
        if self._token.functions.allowance(self.address, self._escrow.address).call() < amount:
            self._send(self._token.functions.approve(self._escrow.address, amount))
        return self._send(self._escrow.functions.deposit(to_bytes32(organisation_id), amount))

    def withdraw(self, organisation_id: str, amount: int, to: str) -> str:
        """Send free money of the organisation to an address; its DISTRICT_OWNER or GRID_OPERATOR may.

        Returns the transaction's hash. Raises WalletRefused.
        """
        return self._send(self._escrow.functions.withdraw(to_bytes32(organisation_id), amount, to))

    def withdraw_share(self, amount: int, to: str) -> str:
        """Send a member's share, which is of this address, to an address.

        Returns the transaction's hash. Raises WalletRefused.
        """
        return self._send(self._escrow.functions.withdrawShare(amount, to))

    def _contract(self, address: str, name: str) -> Any:
        return self._web3.eth.contract(address=Web3.to_checksum_address(address), abi=artifact(name).abi)

    def _send(self, call: Any) -> str:
        try:
            transaction = call.build_transaction(
                {
                    "from": self.address,
                    "chainId": self._chain_id,
                    "nonce": self._web3.eth.get_transaction_count(self._account.address, "pending"),
                    "gasPrice": self._web3.eth.gas_price,
                }
            )
            signed = self._account.sign_transaction(transaction)
            sent = self._web3.eth.send_raw_transaction(signed.raw_transaction)
            receipt = self._web3.eth.wait_for_transaction_receipt(sent, RECEIPT_TIMEOUT_S)
        except ContractCustomError as problem:
            raise WalletRefused(
                str(decode_error(bytes.fromhex(str(problem.data).removeprefix("0x"))))
            ) from None
        except ContractLogicError as problem:
            raise WalletRefused(str(problem.message)) from None
        except TimeExhausted:
            raise WalletRefused(
                f"transaction 0x{sent.hex()} is not in a block yet; look at it later"
            ) from None
        except (OSError, Web3Exception) as problem:
            raise WalletRefused(f"the node did not take the transaction: {problem}") from None
        if receipt["status"] != 1:
            raise WalletRefused(f"transaction 0x{sent.hex()} was undone by the contract")
        return "0x" + sent.hex()
