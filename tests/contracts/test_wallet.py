"""The treasurer's wallet and `ped escrow`, against the embedded chain."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from contracts.chain import Chain
from contracts.contract_calls import Role
from contracts.escrow_commands import commands
from contracts.key import SigningKey
from contracts.response_commands import commands as response_commands
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


def test_a_grid_operator_opens_an_event_and_a_district_is_told_why_it_cannot_enrol(
    town: Town, tmp_path: Path
) -> None:
    platform, operator = town.platform, SigningKey.generate()
    town.do(platform.register_organisation(ADMIN, "grid", "Grid", gas=GAS))
    town.do(platform.enrol(ADMIN, operator.address, "grid", Role.GRID_OPERATOR, gas=GAS))
    town.do(platform.register_district(ADMIN, "south", "zone", "owner", "operator", 5, gas=GAS))
    mint(town, operator, TOKENS)
    Wallet(platform.deployment, operator).deposit("grid", TOKENS)
    (tmp_path / "password").write_text("secret\n")
    platform.deployment.save(tmp_path / "deployment.json")
    for name, key in (("operator", operator), ("owner", OWNER)):
        key.save(tmp_path / f"{name}.json", "secret", 4096)

    def run(name: str, *arguments: str) -> Result:
        account = ["--key", str(tmp_path / f"{name}.json"), "--password-file", str(tmp_path / "password")]
        place = ["--deployment", str(tmp_path / "deployment.json")]
        return CliRunner().invoke(response_commands, ["dr", *arguments, *account, *place])

    asked = ["open", "zone", "2019-01-15T17:00:00Z", "--hours", "2", "--requested-wh", "8000"]
    asked += ["--price", "200000", "--penalty", "300000", "--enrol-until", "2019-01-15T12:00:00Z"]
    opened = run("operator", *asked, "--json")
    assert opened.exit_code == 0, opened.output
    assert json.loads(opened.output) == {"event_id": 1, "budget_micro_eur": 3_200_000}
    found = platform.response_event(1)
    assert (found.operator_org, found.terms.requested_wh, found.terms.hour_count) == ("grid", 8000, 2)
    assert platform.held_micro_eur("grid", is_response=True) == 3_200_000

    stranger = run("owner", *asked)
    assert (stranger.exit_code, "ped dr open: NotGridOperator" in stranger.output) == (1, True)
    refused = run("owner", "enrol", "1", "south", "4000")
    assert refused.exit_code == 1
    assert "ped dr enrol: TooFewBaselineDays" in refused.output
    assert "UnknownEvent" in run("owner", "enrol", "2", "south", "4000").output


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
