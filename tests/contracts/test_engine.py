"""The embedded chain as others see it: what it acknowledges stays, and it answers what anvil answers."""

import json
import random
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.chain import BlockUnknown, Chain, ChainUnavailable, RpcFailed
from contracts.errors import ContractError
from contracts.keccak import keccak
from contracts.proven_state import ProofInvalid, ProvenState
from contracts.transaction import signed_transaction
from tests.contracts.nodes import GENESIS, AnvilNode, EmbeddedNode, Sample, key


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNode]:
    """One chain for all tests that can do with what others left on it."""
    running = EmbeddedNode(tmp_path_factory.mktemp("chain"), "--genesis-time", "2018-12-01")
    yield running
    assert running.stop() == 0


@pytest.fixture
def chain(node: EmbeddedNode) -> Chain:
    return Chain(node.url)


def post(url: str, body: bytes) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_nothing_acknowledged_is_lost_when_killed_at_random(tmp_path: Path) -> None:
    """Five kills while transactions stream in: each acknowledged one is there once, and so is the sum."""
    dice, acknowledged = random.Random(5), []
    node = EmbeddedNode(tmp_path)
    sample = Sample(Chain(node.url), key(1))
    for _round in range(5):
        chain = Chain(node.url, retry_s=0)
        writer = Sample(chain, key(1), address=sample.address)
        timer = threading.Timer(dice.uniform(0.05, 1.0), node.process.kill)
        before = len(acknowledged)
        while True:
            try:
                amount = dice.randrange(1, 100)
                transaction = writer.send("add", amount, b"x" * amount, gas=300_000)
            except ChainUnavailable:
                break
            acknowledged.append((transaction, amount))
            if len(acknowledged) == before + 3:
                timer.start()
        timer.join()
        node.process.wait()
        node = EmbeddedNode(tmp_path)
    chain = Chain(node.url)
    found = chain.logs(0, chain.head(), [sample.address])
    noted = {log.transaction_hash: int.from_bytes(log.topics[2], "big") for log in found}
    assert len(acknowledged) >= 15
    assert len(noted) == len(found)
    assert [entry for entry in acknowledged if noted.get(entry[0]) != entry[1]] == []
    # A transaction may be in a block though the kill came before its answer: at most one a kill.
    assert len(found) - len(acknowledged) <= 5
    total = Sample(chain, key(1), address=sample.address).call("total")
    assert total == sum(noted.values())
    assert chain.block().number == chain.head()
    assert node.stop() == 0


def test_gathered_transactions_survive_a_kill_and_enter_one_block(tmp_path: Path) -> None:
    node = EmbeddedNode(tmp_path, "--gather")
    chain = Chain(node.url)
    sends = [chain.send_data(key(1), key(2).address, bytes([n]), gas=30_000) for n in range(5)]
    assert chain.head() == 0
    assert int(chain.request("eth_getTransactionCount", key(1).address, "pending"), 16) == 5
    node.kill()
    node = EmbeddedNode(tmp_path, "--gather")
    chain = Chain(node.url)
    chain.mine()
    assert list(chain.block(1).transactions) == sends
    chain.mine()
    assert chain.block(2).transactions == ()
    node.stop()


def test_clock_of_a_replay_stands_still_except_when_set(chain: Chain) -> None:
    assert chain.block(0).time_s == GENESIS
    before = chain.block().time_s
    chain.mine()
    assert chain.block().time_s == before + 1
    chain.set_next_block_time(before + 86_400)
    sample = Sample(chain, key(1))
    assert chain.block().time_s == before + 86_400
    assert sample.call("now_") == before + 86_400
    assert sample.call("now_", block="pending") == before + 86_401
    with pytest.raises(RpcFailed, match=f"the newest one is at {before + 86_400}"):
        chain.mine(GENESIS)


def test_clock_of_a_live_chain_is_the_wall_clock(tmp_path: Path) -> None:
    node = EmbeddedNode(tmp_path)
    chain = Chain(node.url)
    chain.mine()
    assert abs(chain.block().time_s - time.time()) < 10
    chain.request("evm_increaseTime", 3_600)
    chain.mine()
    assert abs(chain.block().time_s - time.time() - 3_600) < 10
    node.stop()


def test_header_hashes_recompute_and_chain_up(chain: Chain) -> None:
    sample = Sample(chain, key(1))
    chain.wait(sample.send("add", 7, b"note"))
    for number in range(1, chain.head() + 1):
        block = chain.block(number)
        assert keccak(block.encode()) == block.hash
        assert block.parent_hash == chain.block(number - 1).hash


def test_proofs_hold_against_the_state_root_and_break_with_one_bit(chain: Chain) -> None:
    sample = Sample(chain, key(1))
    for amount in (7, 8, 9):
        chain.wait(sample.send("add", amount, b""))
    slots = [0, 1, 2, int.from_bytes(keccak((8).to_bytes(32, "big") + (1).to_bytes(32, "big")), "big")]
    proof, root = chain.proof(sample.address, slots, chain.head()), chain.block().state_root
    nodes = [*proof.nodes, *(node for slot in proof.slots for node in slot.nodes)]
    address = bytes.fromhex(sample.address[2:])
    state = ProvenState(root, nodes, [chain.code(sample.address)])
    assert [slot.value for slot in proof.slots] == [24, 0, chain.block().time_s, 15]
    assert [state.storage(address, slot, "slot") for slot in slots] == [slot.value for slot in proof.slots]
    assert state.code(address, "code") == chain.code(sample.address)
    broken = [bytes([node[0], node[1] ^ 1]) + node[2:] for node in nodes]
    with pytest.raises(ProofInvalid):
        ProvenState(root, broken, []).storage(address, 0, "slot")


def test_state_of_old_blocks_stays_readable(chain: Chain) -> None:
    sample = Sample(chain, key(1))
    heights = [chain.wait(sample.send("add", amount, b"")).block_number for amount in (1, 2, 3)]
    assert [sample.call("total", block=number) for number in heights] == [1, 3, 6]
    assert sample.call("total", block=chain.block(heights[0]).hash) == 1


def test_logs_by_address_topic_and_range(chain: Chain) -> None:
    start = chain.head() + 1
    first, second = Sample(chain, key(1)), Sample(chain, key(2))
    for amount in (1, 2, 3):
        chain.wait(first.send("add", amount, bytes(amount)))
        chain.wait(second.send("add", amount, b""))
    head = chain.head()
    found = chain.logs(start, head)
    assert len(found) == 6
    assert [log.address for log in chain.logs(0, head, [second.address])] == [second.address] * 3
    two = (2).to_bytes(32, "big")
    assert len(chain.logs(0, head, [first.address, second.address], [None, None, two])) == 2
    topics = [first.interface.event_topic("Added"), None, [two, bytes(32)]]
    assert len(chain.logs(start, head, [], topics)) == 2
    assert chain.logs(head, head)[0].block_hash == chain.block().hash
    assert chain.logs_of_block(chain.block().hash) == chain.logs(head, head)
    with pytest.raises(BlockUnknown):
        chain.logs_of_block(bytes(32))
    event = first.interface.decode_event(found[0].topics, found[0].data)
    assert event is not None
    assert event.values == {"sender": key(1).address, "amount": 1, "note": b"\0"}


def test_snapshot_and_revert(chain: Chain) -> None:
    sample = Sample(chain, key(1))
    snapshot = chain.request("evm_snapshot")
    gone = chain.wait(sample.send("add", 5, b""))
    assert chain.request("evm_revert", snapshot) is True
    assert sample.call("total") == 0
    assert chain.receipt(gone.transaction_hash) is None
    assert chain.logs(0, chain.head(), [sample.address]) == []
    fresh = Sample(Chain(chain.url), key(1), address=sample.address)
    fresh.chain.wait(fresh.send("add", 6, b""))
    assert sample.call("total") == 6
    assert chain.request("evm_revert", "0x99") is False


# --- the same answers as anvil

VOLATILE = {
    "hash",
    "blockHash",
    "parentHash",
    "stateRoot",
    "size",
    "miner",
    "extraData",
    "timestamp",
    "mixHash",
}
LEFT_OUT = VOLATILE | {"blockTimestamp", "blobGasPrice", "totalDifficulty", "logsBloom"}


def comparable(answer: Any) -> Any:
    """What two chains with other genesis blocks can agree on."""
    if isinstance(answer, dict):
        return {
            key: comparable(value)
            for key, value in answer.items()
            if key not in LEFT_OUT and value is not None
        }
    return [comparable(item) for item in answer] if isinstance(answer, list) else answer


def conversation(chain: Chain) -> list[Any]:
    """One deterministic story told to a chain, with all its answers."""
    sample, sent = Sample(chain, key(1)), []
    for minute, call in enumerate((("add", 5, b"five"), ("nested", 6), ("clear", 5)), start=1):
        chain.set_next_block_time(GENESIS + 600 * minute)
        if call[0] == "clear":  # after that anvil keeps the zero in the trie, which geth does not
            slots = [f"0x{0:064x}", f"0x{7:064x}"]
            proof = chain.request("eth_getProof", sample.address, slots, "latest")
        sent.append(chain.wait(sample.send(*call, gas=400_000)))
    chain.set_next_block_time(GENESIS + 6_000)
    refused = sample.interface.encode_call("add", [5000, b""])
    with pytest.raises(ContractError):
        chain.wait(chain.send_data(key(1), sample.address, refused, gas=100_000))
    answers: list[Any] = [sample.address, [receipt.gas_used for receipt in sent]]
    # The state also holds anvil's own accounts, so the account's path differs; the storage trie is the same.
    answers.append(
        (proof["storageHash"], proof["codeHash"], proof["nonce"], comparable(proof["storageProof"]))
    )
    head = hex(chain.head())
    calls = {
        "fine": sample.interface.encode_call("total", []),
        "custom": sample.interface.encode_call("add", [5000, b""]),
        "panic": sample.interface.encode_call("divide", [1, 0]),
        "words": sample.interface.encode_call("plain", []),
        "nothing": b"\x01\x02\x03\x04",
    }
    for name, payload in calls.items():
        for method in ("eth_call", "eth_estimateGas"):
            request = {"from": key(1).address, "to": sample.address, "data": "0x" + payload.hex()}
            body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": [request, "latest"]}
            answer = post(chain.url, json.dumps(body).encode())
            if "error" in answer:
                answer["error"].pop("message")
            if method == "eth_call" or "error" in answer:
                answers.append((name, method, answer))
    for method, parameters in (
        ("eth_getTransactionCount", [key(1).address, "latest"]),
        ("eth_getBalance", [key(1).address, "latest"]),
        ("eth_getCode", [sample.address, "latest"]),
        ("eth_getStorageAt", [sample.address, "0x0", "latest"]),
        ("eth_getStorageAt", [sample.address, "0x0", "0x1"]),
        ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": head, "address": sample.address}]),
        ("eth_getBlockByNumber", [head, True]),
        ("eth_getBlockByNumber", ["0x2", False]),
        ("eth_getBlockByNumber", ["0xffff", False]),
        ("eth_getTransactionByHash", ["0x" + bytes(32).hex()]),
        ("eth_getTransactionReceipt", ["0x" + bytes(32).hex()]),
        ("eth_getTransactionReceipt", ["0x" + sent[0].transaction_hash.hex()]),
        ("eth_getTransactionByHash", ["0x" + sent[0].transaction_hash.hex()]),
        ("eth_getBlockReceipts", [head]),
        ("net_version", []),
        ("eth_chainId", []),
        ("eth_blockNumber", []),
    ):
        answers.append((method, parameters, comparable(chain.request(method, *parameters))))
    return answers


def test_answers_are_those_of_anvil(tmp_path: Path) -> None:
    anvil, node = AnvilNode(), EmbeddedNode(tmp_path, "--genesis-time", "2018-12-01")
    try:
        expected, found = conversation(anvil.chain()), conversation(Chain(node.url))
    finally:
        anvil.stop()
        node.stop()
    for theirs, ours in zip(expected, found, strict=True):
        assert ours == theirs


# --- bad input


def test_malformed_requests_get_json_rpc_errors(node: EmbeddedNode) -> None:
    assert post(node.url, b"{oops")["error"]["code"] == -32700
    assert post(node.url, b"[" * 100_000)["error"]["message"] == "parse error: nested too deeply"
    assert post(node.url, b"[]")["error"]["code"] == -32600
    assert post(node.url, b'{"id":1}')["error"]["code"] == -32600
    answers = post(
        node.url,
        b'[{"id":1,"method":"eth_nonsense"},{"id":2,"method":"eth_getBalance","params":["0x12"]},'
        b'{"id":3,"method":"eth_getBalance","params":[]},{"id":4,"method":"eth_chainId"}]',
    )
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32601, -32602, -32602, None]
    assert "'0x12'" in answers[1]["error"]["message"]
    assert answers[3]["result"] == "0x539"


def test_transactions_that_cannot_be_in_a_block_are_refused_and_leave_no_trace(chain: Chain) -> None:
    def raw(**changes: Any) -> bytes:
        fields = {
            "chain_id": 1337,
            "nonce": 0,
            "gas_price_wei": 0,
            "gas": 30_000,
            "to": bytes(20),
            "data": b"",
        }
        return signed_transaction(key(41), **{**fields, **changes})  # type: ignore[arg-type]

    cases = {
        "invalid chain id: have 1, want 1337": raw(chain_id=1),
        "intrinsic gas too low: have 20000, want 21000": raw(gas=20_000),
        "exceeds block gas limit: 100000001": raw(gas=100_000_001),
        "insufficient funds for gas * price": raw(gas_price_wei=1),
        "not a signed transaction": raw()[:-5],
    }
    before = chain.head()
    for message, transaction in cases.items():
        with pytest.raises(RpcFailed, match=re.escape(message)):
            chain.request("eth_sendRawTransaction", "0x" + transaction.hex())
    assert chain.head() == before
    chain.request("eth_sendRawTransaction", "0x" + raw().hex())
    with pytest.raises(RpcFailed, match="already known"):
        chain.request("eth_sendRawTransaction", "0x" + raw().hex())
    with pytest.raises(RpcFailed, match="nonce too low: next nonce 1, tx nonce 0"):
        chain.request("eth_sendRawTransaction", "0x" + raw(data=b"\x01").hex())
    # One from the future waits, and follows when the gap closes.
    late = chain.request("eth_sendRawTransaction", "0x" + raw(nonce=2).hex())
    assert chain.head() == before + 1
    chain.request("eth_sendRawTransaction", "0x" + raw(nonce=1).hex())
    assert chain.block(before + 2).transactions[1] == bytes.fromhex(late[2:])


def test_second_process_on_the_same_chain_says_who_holds_it(node: EmbeddedNode) -> None:
    second = EmbeddedNode(node.folder, wait=False)
    _, errors = second.process.communicate(timeout=60)
    assert second.process.returncode == 1
    assert f"already served by process {node.process.pid}" in errors


def test_taken_port_is_refused(node: EmbeddedNode, tmp_path: Path) -> None:
    port = node.url.rpartition(":")[2]
    taken = EmbeddedNode(tmp_path, "--port", port, wait=False)
    _, errors = taken.process.communicate(timeout=60)
    assert taken.process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in errors


def test_full_disk_is_said_and_leaves_the_chain_as_it_was(tmp_path: Path) -> None:
    """The file system is one of 3 MB; what did not fit is sent again once there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        node = EmbeddedNode(disk / "chain")
        chain = Chain(node.url)
        sample = Sample(chain, key(1))

        def fill() -> None:
            for _ in range(400):
                sample.send("add", 1, bytes(20_000), gas=5_000_000)

        with pytest.raises(RpcFailed, match=r"cannot write to .*disk.*free some disk space"):
            fill()
        height, total = chain.head(), sample.call("total")
        assert total > 0
        assert len(chain.logs(0, height)) == total
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        again = Sample(Chain(node.url), key(1), address=sample.address)
        again.chain.wait(again.send("add", 1, b"", gas=300_000))
        assert chain.head() == height + 1
        assert sample.call("total") == total + 1
        assert node.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_reads_are_answered_while_the_chain_is_writing(chain: Chain) -> None:
    """One request seals many blocks: who reads meanwhile sees some of them before it is answered."""
    blocks, before = 300, chain.head()
    request = {"jsonrpc": "2.0", "id": 1, "method": "anvil_mine", "params": [hex(blocks)]}
    worker = threading.Thread(target=post, args=(chain.url, json.dumps(request).encode()))
    worker.start()
    seen = {chain.head()}
    while worker.is_alive():
        seen.add(chain.head())
    assert chain.head() == before + blocks
    assert len([height for height in seen if before < height < before + blocks]) > 3


def test_interrupt_ends_cleanly_and_the_chain_keeps_its_identity(tmp_path: Path) -> None:
    node = EmbeddedNode(tmp_path)
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(timeout=60) == 0
    other = EmbeddedNode(tmp_path, "--chain-id", "5", wait=False)
    _, errors = other.process.communicate(timeout=60)
    assert other.process.returncode == 1
    assert "holds chain 1337, not 5" in errors
