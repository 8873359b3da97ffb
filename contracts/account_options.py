"""What commands have in common that send transactions of one's own account: options, and what they name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from contracts.deployment import Deployment
    from contracts.key import SigningKey

DEFAULT_DEPLOYMENT: Final = Path("deployment.json")

DeploymentFile = Annotated[Path, typer.Option("--deployment", help="Deployment file.", metavar="FILE")]
Key = Annotated[Path, typer.Option("--key", help="Keystore of the account that sends.", metavar="FILE")]
PasswordFile = Annotated[Path, typer.Option("--password-file", help="Its password.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of sentences.")]


def load_account(deployment: Path, key: Path, password_file: Path) -> "tuple[Deployment, SigningKey]":
    """Where the contracts are, and the account's key.

    Raises DeploymentInvalid, KeystoreInvalid, PasswordMissing, OSError.
    """
    from contracts.deployment import Deployment
    from contracts.key import SigningKey
    from contracts.keystore import read_secret

    signer = SigningKey.load(key, read_secret(password_file, None, "the keystore's password"))
    return Deployment.load(deployment), signer
