"""Chains for tests: the embedded engine and anvil as processes, and a contract from the pinned compiler."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from contracts.chain import Chain
from contracts.interface import Interface
from contracts.key import SigningKey

ROOT = Path(__file__).parent.parent.parent
ANVIL = ROOT / "contracts" / "node_modules" / ".bin" / "anvil"
GENESIS = 1_543_622_400
"""2018-12-01T00:00:00Z."""


class EmbeddedNode:
    """`ped chain serve` over `folder`."""

    def __init__(self, folder: Path, *options: str, wait: bool = True) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "contracts.command_line", "chain", "serve", "--data", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if wait:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"no address in {line!r}: {self.process.communicate()}"
            self.url = found.group()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s: float = 15.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=timeout_s)
        return self.process.returncode


class AnvilNode:
    """anvil, set up like the embedded engine: no fees by default, Paris, 100 M gas a block."""

    def __init__(self, *options: str, genesis_time: int = GENESIS, fee_wei: int = 0) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        fees = ["--gas-price", str(fee_wei), "--base-fee", str(fee_wei), "--gas-limit", "100000000"]
        chain = ["--chain-id", "1337", "--hardfork", "paris", "--timestamp", str(genesis_time)]
        self.process = subprocess.Popen(
            [str(ANVIL), "--port", str(port), "--silent", "--order", "fifo", *fees, *chain, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        Chain(self.url).wait_until_ready()

    def chain(self) -> Chain:
        return Chain(self.url, gas_price_wei=0)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def key(number: int) -> SigningKey:
    """The same key for the same number."""
    return SigningKey(number.to_bytes(32, "big"))


@cache
def sample() -> dict[str, Any]:
    """ABI and bytecode of tests/contracts/fixtures/Sample.sol."""
    source = (Path(__file__).parent / "fixtures" / "Sample.sol").read_text("utf-8")
    request = {
        "language": "Solidity",
        "sources": {"Sample.sol": {"content": source}},
        "settings": {
            "evmVersion": "paris",
            "viaIR": True,
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    answer = subprocess.run(
        [ROOT / "contracts" / "solc", "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "SOLC_BINARY"},
    )
    output: dict[str, Any] = json.loads(answer.stdout)["contracts"]["Sample.sol"]["Sample"]
    return output


class Sample:
    """The sample contract on a chain."""

    def __init__(
        self, chain: Chain, sender: SigningKey, limit: int = 1_000, address: str | None = None
    ) -> None:
        self.chain, self.key = chain, sender
        self.interface = Interface("Sample", sample()["abi"])
        if address is None:
            code = bytes.fromhex(sample()["evm"]["bytecode"]["object"])
            created = chain.send_data(sender, None, code + self.interface.encode_constructor([limit]))
            address = chain.wait(created).contract_address
            assert address is not None
        self.address = address

    def send(self, function: str, *arguments: Any, gas: int | None = None) -> bytes:
        return self.chain.send_data(
            self.key, self.address, self.interface.encode_call(function, arguments), gas=gas
        )

    def call(self, function: str, *arguments: Any, block: Any = "latest") -> Any:
        payload = self.interface.encode_call(function, arguments)
        output = self.chain.call_data(self.address, payload, block=block)
        return self.interface.decode_result(function, arguments, output)


def wait_for(condition: Any, timeout_s: float = 120.0) -> None:
    """Return once `condition()` is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
