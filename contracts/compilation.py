"""Compiles `contracts/src` into `contracts/abi` (a tool of developers; users run the committed bytecode).

`python -m contracts.compilation` writes; `--check` fails when the committed files are stale (hash only,
no compiler); `--check --recompile` also compiles and compares every byte.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.artifacts import ABI, FOLDER, SETTINGS, SOURCES, source_files, source_hash

SIZE_LIMIT_BYTES = 24_576
"""EIP-170: what a deployed contract may hold."""


class CompilationFailed(Exception):
    """The compiler refused the sources, or the result cannot be used; the message says what and where."""


def compile_sources(solc: Path | None = None, build_info: Path | None = None) -> dict[str, dict[str, Any]]:
    """Compile everything; the files of `contracts/abi` by name. Raises CompilationFailed.

    The compiler's whole answer is left in the folder `build_info` alone, in the form that Foundry and Hardhat
    write, in a file that has the hash of the sources as its name.
    """
    import solcx  # a developer's dependency

    libraries = FOLDER / "node_modules"
    sources = {f"src/{path.relative_to(SOURCES).as_posix()}": path for path in source_files()}
    for path in sorted((libraries / "@openzeppelin" / "contracts").rglob("*.sol")):
        sources[path.relative_to(libraries).as_posix()] = path
    wanted = ["abi", "devdoc", "userdoc", "storageLayout", "evm.bytecode", "evm.deployedBytecode"]
    needed = _reachable(sources)
    request = {
        "language": "Solidity",
        "sources": {name: {"content": sources[name].read_text("utf-8")} for name in needed},
        "settings": {**SETTINGS, "outputSelection": {"*": {"": ["ast"], "*": wanted}}},
    }
    try:
        answer = solcx.compile_standard(request, solc_binary=solc or FOLDER / "solc")
    except solcx.exceptions.SolcError as problem:
        raise CompilationFailed(str(problem)) from problem
    warnings = [
        error["formattedMessage"]
        for error in answer.get("errors", [])
        if error["severity"] == "warning" and error["sourceLocation"]["file"].startswith("src/")
    ]
    if warnings:
        raise CompilationFailed("\n".join(warnings))
    compiler = json.loads((FOLDER / "package.json").read_text("utf-8"))["devDependencies"]["solc"]
    if build_info is not None:
        build_info.mkdir(parents=True, exist_ok=True)
        for path in build_info.glob("*.json"):
            path.unlink()
        content = {"solcVersion": compiler, "input": request, "output": answer}
        (build_info / f"{source_hash()}.json").write_text(json.dumps(content), "utf-8")
    files: dict[str, dict[str, Any]] = {"errors": {"errors": _errors(answer)}}
    names = {
        str(node["id"]): node["name"]
        for content in answer["sources"].values()
        for node in _walk(content["ast"])
        if node.get("nodeType") == "VariableDeclaration" and node.get("mutability") == "immutable"
    }
    for source, contracts in answer["contracts"].items():
        if not source.startswith("src/"):
            continue
        for name, output in contracts.items():
            code = output["evm"]["deployedBytecode"]
            if not code["object"] or _is_library(answer, source, name):
                continue
            size = len(code["object"]) // 2
            if size > SIZE_LIMIT_BYTES:
                raise CompilationFailed(
                    f"{name} is {size} bytes, {size - SIZE_LIMIT_BYTES} more than a chain accepts"
                )
            if name in files:
                raise CompilationFailed(f"two contracts are called {name}")
            immutable = [place for places in code["immutableReferences"].values() for place in places]
            files[name] = {
                "contract": name,
                "source": source,
                "source_hash": source_hash(),
                "compiler": compiler,
                "settings": SETTINGS,
                "abi": output["abi"],
                "bytecode": "0x" + output["evm"]["bytecode"]["object"],
                "deployed_bytecode": "0x" + code["object"],
                "immutable_references": sorted([place["start"], place["length"]] for place in immutable),
                "immutables": {
                    names[key]: [place["start"] for place in places]
                    for key, places in sorted(
                        code["immutableReferences"].items(), key=lambda item: names[item[0]]
                    )
                },
                "storage_layout": _storage_layout(output["storageLayout"]),
            }
    return files


def _storage_layout(layout: dict[str, Any]) -> dict[str, Any]:
    """The compiler's storage layout without what changes from run to run (syntax tree numbers)."""
    import re

    def stable(type_name: str) -> str:
        return re.sub(r"\)\d+", ")", type_name)

    def variable(entry: dict[str, Any]) -> dict[str, Any]:
        return {
            "label": entry["label"],
            "slot": int(entry["slot"]),
            "offset": int(entry["offset"]),
            "type": stable(entry["type"]),
        }

    types: dict[str, dict[str, Any]] = {}
    for name, kind in sorted((layout["types"] or {}).items()):
        content: dict[str, Any] = {"encoding": kind["encoding"], "bytes": int(kind["numberOfBytes"])}
        for key in ("key", "value", "base"):
            if key in kind:
                content[key] = stable(kind[key])
        if "members" in kind:
            content["members"] = [variable(member) for member in kind["members"]]
        types[stable(name)] = content
    return {"variables": [variable(entry) for entry in layout["storage"]], "types": types}


def _reachable(sources: dict[str, Path]) -> list[str]:
    """Names of our sources and of those they import, directly or not."""
    import posixpath
    import re

    pattern = re.compile(r"""^\s*(?:import|\}\s*from)\b[^;"']*["']([^"']+)["']""", re.MULTILINE)
    found: set[str] = set()
    waiting = [name for name in sources if name.startswith("src/")]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in sources:
            raise CompilationFailed(f"import of {name}: no such file (npm packages installed?)")
        found.add(name)
        for target in pattern.findall(sources[name].read_text("utf-8")):
            relative = target.startswith(".")
            waiting.append(
                posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if relative else target
            )
    return sorted(found)


def _is_library(answer: dict[str, Any], source: str, name: str) -> bool:
    nodes = answer["sources"][source]["ast"]["nodes"]
    return any(node.get("name") == name and node.get("contractKind") == "library" for node in nodes)


def _errors(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Every custom error that a call may end with, once per selector; complete by the syntax trees."""
    from eth_utils.abi import function_abi_to_4byte_selector

    found: dict[str, dict[str, Any]] = {}
    for contracts in answer["contracts"].values():
        for output in contracts.values():
            for entry in output["abi"]:
                if entry["type"] != "error":
                    continue
                selector = "0x" + bytes(function_abi_to_4byte_selector(entry)).hex()
                signature = f"{entry['name']}({','.join(_type(item) for item in entry['inputs'])})"
                notices = output.get("userdoc", {}).get("errors", {}).get(signature, [])
                known = found.setdefault(selector, {"selector": selector, "notice": "", **entry})
                if notices and not known["notice"]:
                    known["notice"] = notices[0].get("notice", "")
    defined = {
        "0x" + node["errorSelector"]: f"{source}: {node['name']}"
        for source, content in answer["sources"].items()
        if source.startswith("src/")
        for node in _walk(content["ast"])
        if node.get("nodeType") == "ErrorDefinition"
    }
    unused = [place for selector, place in defined.items() if selector not in found]
    if unused:
        raise CompilationFailed(
            f"custom errors that no contract raises or declares: {', '.join(sorted(unused))}"
        )
    return sorted(found.values(), key=lambda entry: (entry["name"], entry["selector"]))


def _type(item: dict[str, Any]) -> str:
    if item["type"].startswith("tuple"):
        parts = ",".join(_type(part) for part in item["components"])
        return f"({parts}){item['type'].removeprefix('tuple')}"
    return str(item["type"])


def _walk(node: Any) -> Any:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from _walk(child)
    elif isinstance(node, list):
        for child in node:
            yield from _walk(child)


def stale() -> list[str]:
    """What is wrong with the committed files, judged by the hash alone; empty when nothing is."""
    expected = source_hash()
    problems = [
        f"contracts/abi/{path.name} was made from other sources"
        for path in sorted(ABI.glob("*.json"))
        if path.stem != "errors" and json.loads(path.read_text("utf-8"))["source_hash"] != expected
    ]
    if source_files() and not list(ABI.glob("*.json")):
        problems.append("contracts/abi is empty")
    return problems


def _rendered(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def build(
    check: Annotated[
        bool, typer.Option(help="Write nothing; fail when the committed files are stale.")
    ] = False,
    recompile: Annotated[bool, typer.Option(help="With --check: compile, and compare every byte.")] = False,
    native: Annotated[
        bool, typer.Option(help="Download the native compiler with py-solc-x (faster; needs the internet).")
    ] = False,
    build_info: Annotated[
        Path | None, typer.Option(help="Leave the compiler's whole answer in this folder, for other tools.")
    ] = None,
) -> None:
    """Compile contracts/src into contracts/abi."""
    if check:
        problems = stale()
        if recompile and not problems and source_files():
            files = compile_sources(_native() if native else None, build_info)
            committed = {path.stem for path in ABI.glob("*.json")}
            problems = [
                f"contracts/abi/{name}.json should not exist" for name in sorted(committed - set(files))
            ]
            for name, content in files.items():
                path = ABI / f"{name}.json"
                if not path.exists() or path.read_text("utf-8") != _rendered(content):
                    problems.append(f"contracts/abi/{name}.json differs from what the compiler makes")
        if problems:
            sys.exit("\n".join([*problems, "run scripts/build_contracts and commit contracts/abi"]))
        return
    if not source_files():
        return
    files = compile_sources(_native() if native else None, build_info)
    ABI.mkdir(exist_ok=True)
    for path in ABI.glob("*.json"):
        if path.stem not in files:
            path.unlink()
    for name, content in files.items():
        (ABI / f"{name}.json").write_text(_rendered(content), "utf-8")
        if name != "errors":
            typer.echo(f"{name}: {len(content['deployed_bytecode']) // 2 - 1} bytes")


def _native() -> Path:
    import solcx

    version = json.loads((FOLDER / "package.json").read_text("utf-8"))["devDependencies"]["solc"]
    solcx.install_solc(version)
    return Path(solcx.install.get_executable(version))


if __name__ == "__main__":
    try:
        typer.run(build)
    except CompilationFailed as problem:
        sys.exit(str(problem))
