"""The `ped` commands of `contracts`; `scripts.command_line` joins them with those of the applications."""

import json
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

commands = typer.Typer()
chain = typer.Typer(help="The embedded chain.", no_args_is_help=True)
commands.add_typer(chain, name="chain")
contracts = typer.Typer(help="The platform's contracts on a chain.", no_args_is_help=True)
commands.add_typer(contracts, name="contracts")


@chain.command()
def serve(
    data: Annotated[Path, typer.Option(help="Folder of the chain; made when missing.", metavar="DIR")],
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one and says which.")] = 8545,
    host: Annotated[
        str, typer.Option(help="Address to listen on; whoever reaches it can send.")
    ] = "127.0.0.1",
    chain_id: Annotated[int, typer.Option(help="Identity of the chain, part of every signature.")] = 1337,
    genesis_time: Annotated[
        datetime | None,
        typer.Option(
            help="UTC time of block 0: begins a replay, whose clock stands still except when it is set "
            "(evm_setNextBlockTimestamp). Without it the chain follows the wall clock.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
        ),
    ] = None,
    gather: Annotated[
        bool, typer.Option(help="Gather transactions until evm_mine instead of a block for each.")
    ] = False,
    fund: Annotated[
        list[str] | None,
        typer.Option(
            help="Account that a new chain gives a million ether; only needed for gas prices above 0."
        ),
    ] = None,
) -> None:
    """Serve the embedded chain as JSON-RPC; what it acknowledges survives kill -9. Stop it with Ctrl-C."""
    from contracts.engine.database import ChainDatabaseError
    from contracts.engine.hexadecimal import InvalidParameter, to_bytes
    from contracts.engine.node import Node
    from contracts.engine.server import serve as serve_node

    begin = None if genesis_time is None else int(genesis_time.replace(tzinfo=UTC).timestamp())
    try:
        balances = {to_bytes(address, "--fund", 20): 10**24 for address in fund or []}
        node = Node(data, chain_id=chain_id, genesis_time=begin, automine=not gather, balances=balances)
        with closing(node):
            serve_node(
                data, node, host, port, lambda used: typer.echo(f"chain {chain_id} at http://{host}:{used}")
            )
    except (ChainDatabaseError, InvalidParameter, ValueError, OSError) as problem:
        sys.exit(f"ped chain serve: {problem}")


@contracts.command()
def proposal(
    file: Annotated[Path, typer.Argument(help="Signed proposal of set-points, as a gateway keeps it.")],
    optimiser: Annotated[
        str | None, typer.Option(help="Address that must have signed; exit code 1 when it has not.")
    ] = None,
) -> None:
    """Say who signed a proposal of set-points and what it holds; needs no network."""
    from contracts.hour import format_time_utc
    from contracts.key import SignatureInvalid
    from contracts.setpoint import SetpointInvalid, SignedProposal

    try:
        signed = SignedProposal.from_json(file.read_bytes())
        signer = signed.signer()
    except (SetpointInvalid, SignatureInvalid, OSError) as problem:
        sys.exit(f"ped contracts proposal: {file}: {problem}")
    made, domain = signed.proposal, signed.domain
    typer.echo(f"proposal   0x{signed.digest.hex()}")
    typer.echo(f"signed by  {signer}, for chain {domain.chain_id}, registry {domain.registry}")
    typer.echo(f"made for   district {made.district}, gateway {made.gateway}, as number {made.sequence}")
    typer.echo(f"made by    {made.model_version} at {format_time_utc(made.created_s)}")
    typer.echo(f"inputs     0x{made.inputs_hash.hex()}")
    typer.echo(f"valid      {format_time_utc(made.valid_from_s)} to {format_time_utc(made.valid_until_s)}")
    for setpoint in made.setpoints:
        typer.echo(f"  {setpoint}")
    if optimiser is not None and optimiser.lower() != signer.lower():
        sys.exit(f"ped contracts proposal: signed by {signer}, not by {optimiser}, or changed afterwards")


@contracts.command()
def deploy(
    key: Annotated[Path, typer.Option(help="Keystore of the first scheme administrator.", metavar="FILE")],
    password_file: Annotated[Path, typer.Option(help="File that holds its password.", metavar="FILE")],
    organisation: Annotated[str, typer.Option(help="Identifier of its organisation, [a-z0-9-].")],
    name: Annotated[str, typer.Option(help="Name of its organisation.")],
    out: Annotated[Path, typer.Option(help="Deployment file to write.")] = Path("deployment.json"),
    rpc: Annotated[str, typer.Option(help="JSON-RPC address of the chain.")] = "http://127.0.0.1:8545",
    finality_days: Annotated[int, typer.Option(min=0, max=365, help="Days until a day is final.")] = 7,
    token: Annotated[
        str | None,
        typer.Option(
            help="ERC-20 that trades are paid in, its unit one micro-euro; without it a test token is made.",
            metavar="ADDRESS",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the deployment as JSON.")] = False,
) -> None:
    """Create the platform's contracts on a chain and write where they are."""
    from dataclasses import asdict

    from eth_utils.address import is_address

    from contracts.chain import Chain, ChainUnavailable, RpcFailed, TransactionPending
    from contracts.deployment import CONTRACTS, DeploymentInvalid
    from contracts.errors import ContractError
    from contracts.hour import DAY_S
    from contracts.key import KeystoreInvalid, SigningKey
    from contracts.platform import deploy_platform
    from contracts.slug import IdentifierInvalid

    if out.exists():
        sys.exit(f"ped contracts deploy: {out} exists already; choose another --out or move it away")
    if token is not None and not is_address(token):
        sys.exit(f"ped contracts deploy: --token {token!r} is no address; give 0x and 40 hexadecimal digits")
    try:
        admin = SigningKey.load(key, password_file.read_text("utf-8").rstrip("\r\n"))
        deployment = deploy_platform(
            Chain(rpc), admin, organisation, name, finality_s=finality_days * DAY_S, token=token
        )
        deployment.save(out)
    except (
        ChainUnavailable,
        ContractError,
        DeploymentInvalid,
        IdentifierInvalid,
        KeystoreInvalid,
        OSError,
        RpcFailed,
        TransactionPending,
    ) as problem:
        sys.exit(f"ped contracts deploy: {problem}")
    if as_json:
        typer.echo(json.dumps(asdict(deployment)))
    else:
        typer.echo(
            f"{len(CONTRACTS)} contracts on chain {deployment.chain_id} from block "
            f"{deployment.deployed_block}: {out}"
        )


@contracts.command()
def info(
    file: Annotated[Path, typer.Argument(help="Deployment file.", metavar="FILE")] = Path("deployment.json"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say where the contracts are and whether the chain holds exactly the committed code there."""
    from contracts.chain import Chain, ChainUnavailable, RpcFailed
    from contracts.deployment import CONTRACTS, Deployment, DeploymentInvalid
    from contracts.platform import Platform

    try:
        deployment = Deployment.load(file)
        platform = Platform(Chain(deployment.rpc_url), deployment)
        problems = {name: platform.code_problem(name) for name in CONTRACTS}
        head = platform.chain.head()
    except (ChainUnavailable, DeploymentInvalid, OSError, RpcFailed) as problem:
        sys.exit(f"ped contracts info: {problem}")
    found = {name: {"address": deployment.address(name), "problem": problems[name]} for name in CONTRACTS}
    if as_json:
        typer.echo(json.dumps({"chain_id": deployment.chain_id, "head": head, "contracts": found}))
    else:
        typer.echo(f"chain {deployment.chain_id} at {deployment.rpc_url}, block {head}")
        for name, entry in found.items():
            typer.echo(f"{name:13} {entry['address']}  {entry['problem'] or 'the committed code'}")
    if any(problems.values()):
        raise typer.Exit(1)


@commands.command("verify")
def verify_bundle(
    file: Annotated[Path, typer.Argument(help="Proof bundle of a certificate.", metavar="FILE")],
    block_hash: Annotated[
        str | None,
        typer.Option(help="Hash of the bundle's block, from a node of the network that you trust."),
    ] = None,
    certificates: Annotated[
        str | None,
        typer.Option(help="Address of the certification body's Certificates contract.", metavar="ADDRESS"),
    ] = None,
    disclosure: Annotated[
        list[Path] | None,
        typer.Option(help="Private readings that a gateway's owner has shown; repeatable.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of sentences.")] = False,
) -> None:
    """Check a proof bundle offline: signatures, sums, factors, verdict and the chain's proofs.

    Ends with 0 if the bundle proves what it says, with 1 and the place if it does not.
    """
    from contracts import evidence
    from contracts.disclosure import DisclosureInvalid
    from contracts.disclosure import load as load_disclosure
    from contracts.engine.hexadecimal import InvalidParameter, to_bytes
    from contracts.verification import VerificationFailed, verify

    def refuse(place: str, message: str) -> NoReturn:
        if as_json:
            typer.echo(json.dumps({"verified": False, "place": place, "message": message}))
            raise typer.Exit(1)
        sys.exit(f"NOT VERIFIED. {file}\n  where: {place}\n  what:  {message}")

    try:
        expected = None if block_hash is None else to_bytes(block_hash, "--block-hash", 32)
        disclosures = [load_disclosure(evidence.read(path)) for path in disclosure or []]
        address = None if certificates is None else to_bytes(certificates, "--certificates", 20)
        report = verify(evidence.read(file), expected, address, disclosures)
    except (VerificationFailed, DisclosureInvalid, evidence.BundleInvalid) as problem:
        refuse(problem.place, problem.message)
    except InvalidParameter as problem:
        refuse("options", str(problem))
    except OSError as problem:
        refuse("file", f"cannot be read: {problem.strerror or problem}")
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
        return
    conditions = [
        *([] if report.block_hash_confirmed else ["its block is the network's"]),
        *([] if report.certificates_confirmed else ["its contracts are the certification body's"]),
    ]
    condition = f", if {' and '.join(conditions)}" if conditions else ""
    typer.echo(f"VERIFIED{condition}. {file}")
    for heading, lines in (("It proves:", report.proven), ("It does not prove:", report.not_proven)):
        typer.echo(f"\n{heading}")
        for line in lines:
            typer.echo(textwrap.fill(line, 100, initial_indent="  - ", subsequent_indent="    "))


if __name__ == "__main__":
    commands(prog_name="ped")
