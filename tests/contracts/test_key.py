"""Keys and their encrypted files."""

import stat
from pathlib import Path

import pytest

from contracts.key import KeystoreInvalid, SigningKey


def test_a_key_survives_its_keystore_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    key = SigningKey.generate()
    path = tmp_path / "gateway.json"
    key.save(path, "correct horse", iterations=2)
    assert SigningKey.load(path, "correct horse").secret == key.secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.secret.hex() not in path.read_text() + repr(key)


def test_a_wrong_password_and_a_broken_file_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "gateway.json"
    SigningKey.generate().save(path, "correct horse", iterations=2)
    with pytest.raises(KeystoreInvalid, match=r"gateway\.json"):
        SigningKey.load(path, "battery staple")
    for broken in ("", "{", "[]", "{}", path.read_text()[:-40]):
        other = tmp_path / "broken.json"
        other.write_text(broken)
        with pytest.raises(KeystoreInvalid, match=r"broken\.json"):
            SigningKey.load(other, "correct horse")


def test_a_keystore_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gateway.json"
    SigningKey.generate().save(path, "a", iterations=2)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        SigningKey.generate().save(path, "b", iterations=2)
    assert path.read_bytes() == before


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\xff" * 32, b"\x01" * 31])
def test_bytes_that_are_no_private_key_are_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(secret)
