"""The project's own rules that no other tool checks."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_committed_contracts_belong_to_the_sources() -> None:
    from contracts.compilation import stale

    assert stale() == []


def test_lock_files_name_no_host_and_hash_everything() -> None:
    for name in (
        "requirements.lock",
        "requirements-dev.lock",
        "scripts/slither.lock",
        "contracts/package-lock.json",
    ):
        text = (ROOT / name).read_text("utf-8")
        assert not any(word in text for word in ('"resolved"', "index-url", "@ http")), name
        assert "sha256:" in text or '"integrity"' in text, name


def test_every_command_has_help() -> None:
    import typer.main

    from scripts.command_line import OWNERS, build_application

    def undocumented(command: object, path: str) -> list[str]:
        children = getattr(command, "commands", {})
        own = [] if getattr(command, "help", None) else [path]
        return own + [
            name for key, child in children.items() for name in undocumented(child, f"{path} {key}")
        ]

    everything = typer.main.get_command(build_application())
    assert undocumented(everything, "ped") == []
    assert list(OWNERS) == list(everything.commands)  # type: ignore[attr-defined]
    for name in OWNERS:
        assert name in typer.main.get_command(build_application(name)).commands  # type: ignore[attr-defined]


def test_command_line_answers_from_any_folder(tmp_path: Path) -> None:
    result = subprocess.run(
        [ROOT / "scripts" / "ped", "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "Positive Energy Districts" in result.stdout
