"""Passwords of encrypted keystores, from a file or the environment, and new keys under them."""

import os
from pathlib import Path

from contracts.key import SigningKey


class PasswordMissing(ValueError):
    """No password is configured, or what should hold it is empty."""


def read_secret(file: Path | None, variable: str | None, purpose: str) -> str:
    """The secret in the first line of `file`, else in the environment variable `variable`.

    Raises PasswordMissing naming `purpose`, OSError when the file cannot be read.
    """
    if file is not None:
        secret = file.read_text("utf-8").split("\n", 1)[0].rstrip("\r")
        if not secret:
            raise PasswordMissing(f"{purpose}: {file} is empty; write the password into its first line")
        return secret
    if variable is not None:
        secret = os.environ.get(variable, "")
        if not secret:
            raise PasswordMissing(
                f"{purpose}: the environment variable {variable} is not set; set it, or name "
                "a file that holds the password"
            )
        return secret
    raise PasswordMissing(f"{purpose}: name a password file or an environment variable")


def new_key(path: Path, password: str) -> SigningKey:
    """Make a key and write its keystore. Raises FileExistsError rather than replace one."""
    key = SigningKey.generate()
    key.save(path, password)
    return key
