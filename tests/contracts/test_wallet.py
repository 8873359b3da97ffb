"""The treasurer's wallet and `ped escrow`, against the embedded chain."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.chain import Chain
from contracts.escrow_commands import commands
from contracts.key import SigningKey
from contracts.split import Split
from contracts.wallet import Wallet, WalletRefused
from tests.contracts.nodes import EmbeddedNode
from tests.contracts.towns import ADMIN, CARRIER, GAS, OPERATOR, OWNER, Town

TOKENS = 5_000_000


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    node = EmbeddedNode(tmp_path_factory.mktemp("wallet") / "chain", "--genesis-time", "2018-12-01")
    yield Town(Chain(node.url, gas_price_wei=0))
    node.stop()


def mint(town: Town, key: SigningKey, amount: int) -> None:
    town.do(town.platform.mint_tokens(ADMIN, key.address, amount, gas=GAS))


def test_tokens_go_into_the_escrow_and_out_again(town: Town) -> None:
    platform = town.platform
    mint(town, OWNER, TOKENS)
    wallet = Wallet(platform.deployment, OWNER)
    before, free = wallet.tokens, wallet.free("owner")
    wallet.deposit("owner", 3_000_000)
    wallet.deposit("owner", 1)
    assert wallet.free("owner") - free == 3_000_001 == platform.free_micro_eur("owner") - free
    assert wallet.held("owner") == 0
    target = SigningKey.generate().address
    wallet.withdraw("owner", 1_000_001, target)
    assert platform.tokens_of(target) == 1_000_001
    assert (wallet.tokens, wallet.free("owner")) == (before - 3_000_001, free + 2_000_000)


def test_what_cannot_be_done_is_refused_with_the_reason(town: Town) -> None:
    platform = town.platform
    mint(town, OWNER, 10)
    wallet = Wallet(platform.deployment, OWNER)
    state = wallet.tokens, wallet.free("owner")
    with pytest.raises(WalletRefused, match=rf"has {state[0]} micro-euro of tokens, less than the"):
        wallet.deposit("owner", state[0] + 1)
    with pytest.raises(WalletRefused, match=r"InsufficientFree"):
        wallet.withdraw("owner", state[1] + 1, OWNER.address)
    with pytest.raises(WalletRefused, match=r"UnknownAccount"):
        wallet.deposit("nobody", 1)
    with pytest.raises(WalletRefused, match=r"NotTreasurer"):
        Wallet(platform.deployment, OPERATOR).withdraw("owner", 1, OPERATOR.address)
    assert (wallet.tokens, wallet.free("owner")) == state
    with pytest.raises(WalletRefused, match=r"no answer from http://127\.0\.0\.1:1"):
        Wallet(platform.deployment, OWNER, "http://127.0.0.1:1")


def test_a_member_takes_its_share(town: Town) -> None:
    platform = town.platform
    mint(town, OWNER, 700)
    Wallet(platform.deployment, OWNER).deposit("owner", 700)
    member = SigningKey.generate()
    split = Split("owner", bytes(32), (member.address,), (600,), 1, 2**40)
    signature = split.sign(OWNER, platform.deployment.escrow_domain)
    town.do(platform.pay_split(CARRIER, split, signature, gas=GAS))
    wallet = Wallet(platform.deployment, member)
    wallet.withdraw_share(250, member.address)
    assert wallet.tokens == 250
    with pytest.raises(WalletRefused, match="InsufficientFree"):
        wallet.withdraw_share(351, member.address)


def test_the_commands_move_money_and_say_what_is_there(town: Town, tmp_path: Path) -> None:
    mint(town, OWNER, TOKENS)
    deployment, key, password = (tmp_path / name for name in ("deployment.json", "key.json", "password"))
    town.platform.deployment.save(deployment)
    OWNER.save(key, "secret", 4096)
    password.write_text("secret\n")
    common = ["--organisation", "owner", "--key", str(key), "--password-file", str(password)]
    common += ["--deployment", str(deployment)]

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(commands, ["escrow", *arguments, *common])
        assert result.exit_code == 0, result.output
        return result.output

    before = json.loads(run("account", "--json"))
    assert before["wallet"] == OWNER.address
    paid = json.loads(run("deposit", "--micro-eur", "2500000", "--json"))
    assert paid["free_micro_eur"] - before["free_micro_eur"] == 2_500_000
    assert before["wallet_micro_eur"] - paid["wallet_micro_eur"] == 2_500_000
    assert paid["transaction"].startswith("0x")
    shown = run("withdraw", "--micro-eur", "2500000")
    assert "done in transaction 0x" in shown
    assert json.loads(run("account", "--json")) == before
    refused = CliRunner().invoke(commands, ["escrow", "withdraw", "--micro-eur", str(10**12), *common])
    assert refused.exit_code == 1
    assert "ped escrow withdraw: InsufficientFree" in refused.output
