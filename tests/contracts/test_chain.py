"""The port to a chain, on the embedded engine and on anvil alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.chain import (
    BlockUnknown,
    Chain,
    ChainUnavailable,
    RpcFailed,
    SubmissionRefused,
    TransactionPending,
)
from contracts.errors import Panic, Reverted, UnknownError
from contracts.interface import Interface, InterfaceMismatch
from contracts.keccak import keccak
from tests.contracts.nodes import AnvilNode, EmbeddedNode, Sample, free_port, key, sample


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    if request.param == "anvil":
        anvil = AnvilNode()
        yield anvil.chain()
        anvil.stop()
    else:
        node = EmbeddedNode(tmp_path_factory.mktemp("chain"), "--genesis-time", "2018-12-01")
        yield Chain(node.url)
        node.stop()


def test_deploy_send_call_and_read_back(chain: Chain) -> None:
    contract = Sample(chain, key(1))
    receipt = chain.wait(contract.send("add", 5, b"note"))
    assert receipt.succeeded
    assert contract.call("total") == 5
    assert chain.storage(contract.address, 0) == 5
    assert len(chain.code(contract.address)) > 100
    assert receipt.logs == tuple(chain.logs_of_block(receipt.block_hash, [contract.address]))
    block = chain.block(receipt.block_hash)
    assert block.number == receipt.block_number
    assert receipt.transaction_hash in block.transactions
    assert keccak(block.encode()) == block.hash


def test_refusals_are_typed_before_anything_is_sent(chain: Chain) -> None:
    contract = Sample(chain, key(1), limit=10)
    nonce = chain.request("eth_getTransactionCount", key(1).address, "latest")
    with pytest.raises(UnknownError) as unknown:
        contract.send("add", 11, b"")
    assert unknown.value.facts["selector"] == keccak(b"TooMuch(uint256,uint256)")[:4]
    with pytest.raises(Panic, match="division by zero"):
        contract.call("divide", 1, 0)
    with pytest.raises(Reverted) as refused:
        contract.call("plain")
    assert refused.value.facts == {"reason": "plain words"}
    assert chain.request("eth_getTransactionCount", key(1).address, "latest") == nonce


def test_failure_in_a_block_carries_the_reason_and_the_transaction(chain: Chain) -> None:
    contract = Sample(chain, key(1), limit=10)
    sent = contract.send("add", 11, b"", gas=200_000)
    with pytest.raises(UnknownError) as failed:
        chain.wait(sent)
    assert failed.value.transaction_hash == sent
    assert failed.value.facts["selector"] == keccak(b"TooMuch(uint256,uint256)")[:4]


def test_many_transactions_of_one_sender_in_one_block(chain: Chain) -> None:
    contract = Sample(chain, key(1))
    chain.set_automine(False)
    try:
        sent = [contract.send("add", amount, b"", gas=300_000) for amount in (1, 2, 3)]
        with pytest.raises(TransactionPending, match="after 0 s"):
            chain.wait(sent[0], timeout_s=0)
        chain.mine()
    finally:
        chain.set_automine(True)
    assert {chain.wait(transaction).block_number for transaction in sent} == {chain.head()}
    assert contract.call("total") == 6


def test_sender_that_also_sends_elsewhere_finds_its_place_again(chain: Chain) -> None:
    contract = Sample(chain, key(1))
    elsewhere = Sample(Chain(chain.url, gas_price_wei=0), key(1), address=contract.address)
    for _round in range(3):
        chain.wait(contract.send("add", 1, b"", gas=300_000))
        elsewhere.chain.wait(elsewhere.send("add", 1, b"", gas=300_000))
    assert contract.call("total") == 6


def test_senders_that_share_an_account_get_everything_through_once(chain: Chain) -> None:
    contract = Sample(chain, key(1))

    def send(amounts: range) -> None:
        other = Chain(chain.url, gas_price_wei=0)
        mine = Sample(other, key(1), address=contract.address)
        for amount in amounts:
            other.wait(mine.send("add", amount, b"", gas=300_000))

    with ThreadPoolExecutor() as senders:
        for done in [senders.submit(send, range(first, 60, 3)) for first in range(3)]:
            done.result()
    assert contract.call("total") == sum(range(60))


def test_transaction_delivered_twice_counts_once(chain: Chain) -> None:
    contract = Sample(chain, key(1))
    sent = chain.wait(contract.send("add", 1, b"", gas=300_000))
    raw = chain.request("eth_getTransactionByHash", "0x" + sent.transaction_hash.hex())
    with pytest.raises(RpcFailed):
        chain.request("eth_sendRawTransaction", raw["hash"])
    with pytest.raises(SubmissionRefused, match=r"(?i)intrinsic gas"):
        contract.send("add", 1, b"", gas=20_000)
    chain.wait(contract.send("add", 1, b"", gas=300_000))
    assert contract.call("total") == 2


def test_blocks_that_vanish_in_a_reorganisation_are_unknown(chain: Chain) -> None:
    """A follower relies on it: hashes tell that the chain behind its back is another one."""
    contract = Sample(chain, key(1))
    snapshot = chain.request("evm_snapshot")
    gone = chain.wait(contract.send("add", 5, b""))
    assert chain.request("evm_revert", snapshot) is True
    fresh = Sample(Chain(chain.url, gas_price_wei=0), key(1), address=contract.address)
    replaced = fresh.chain.wait(fresh.send("add", 6, b"other"))
    assert replaced.block_number == gone.block_number
    assert chain.block(gone.block_number).hash == replaced.block_hash != gone.block_hash
    with pytest.raises(BlockUnknown):
        chain.block(gone.block_hash)
    with pytest.raises(BlockUnknown):
        chain.logs_of_block(gone.block_hash)
    with pytest.raises(BlockUnknown):
        chain.block(chain.head() + 1)
    assert chain.receipt(gone.transaction_hash) is None
    assert contract.call("total") == 6


def test_reorganisation_by_the_node_itself() -> None:
    anvil = AnvilNode()
    try:
        chain = anvil.chain()
        contract = Sample(chain, key(1))
        for amount in (1, 2, 3):
            chain.wait(contract.send("add", amount, b""))
        before = {number: chain.block(number).hash for number in range(chain.head() + 1)}
        chain.request("anvil_reorg", 2, [])
        after = {number: chain.block(number).hash for number in range(chain.head() + 1)}
        assert [number for number in before if before[number] != after.get(number)] == [3, 4]
        assert contract.call("total") == 1
        assert [log.block_number for log in chain.logs(0, chain.head(), [contract.address])] == [2]
    finally:
        anvil.stop()


@pytest.mark.parametrize("gas", [None, 200_000])
def test_an_account_that_cannot_pay_is_named(gas: int | None) -> None:
    anvil = AnvilNode(fee_wei=1_000_000_000)
    try:
        chain = Chain(anvil.url)
        with pytest.raises(SubmissionRefused, match=f"account {key(4).address} cannot pay"):
            chain.send_data(key(4), key(5).address, b"", gas=gas)
    finally:
        anvil.stop()


def test_nobody_there_is_said_with_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ChainUnavailable, match=url):
        Chain(url, retry_s=0.1).head()
    with pytest.raises(ChainUnavailable):
        Chain(url, retry_s=0).wait_until_ready(timeout_s=0.2)


def test_a_request_waits_for_a_chain_that_comes_back(tmp_path: Path) -> None:
    port = free_port()
    node = EmbeddedNode(tmp_path, "--port", str(port))
    chain = Chain(node.url, retry_s=60)
    contract = Sample(chain, key(1))
    node.kill()
    again = EmbeddedNode(tmp_path, "--port", str(port), wait=False)
    chain.wait(contract.send("add", 5, b"", gas=300_000))
    assert contract.call("total") == 5
    again.stop()


def test_calls_that_do_not_fit_the_interface_name_what_does_not() -> None:
    interface = Interface("Sample", sample()["abi"])
    with pytest.raises(InterfaceMismatch, match=r"Sample\.nonsense .* there are add, clear"):
        interface.encode_call("nonsense", [])
    with pytest.raises(InterfaceMismatch, match=r"known are add\(uint256,bytes\)"):
        interface.encode_call("add", [1])
    with pytest.raises(InterfaceMismatch, match=r"Sample\.add\(uint256 amount, bytes note\)"):
        interface.encode_call("add", [-1, b""])
