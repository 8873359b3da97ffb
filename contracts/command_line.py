"""The `ped` commands of `contracts`; `scripts.command_line` joins them with those of the applications."""

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer()
chain = typer.Typer(help="The embedded chain.", no_args_is_help=True)
commands.add_typer(chain, name="chain")


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
