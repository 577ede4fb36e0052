"""The servers that are served: how to build and start them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from server_kinds import BUILD_ENVIRONMENT, BUILDS, DEBIAN_PYTHON, ENVIRONMENT, INTERPRETERS, KINDS, SERVERS, Kind
from serving import WARMFORK, Served, serving
from wrk import Load


def build(command: Sequence[str]) -> None:
    """Runs a compiler."""
    done = subprocess.run(command, env=BUILD_ENVIRONMENT, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr


def crate(cargo: str, source: Path) -> Path:
    """Builds a crate, where the engine's are built too, so that it is done once; its binary."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", SERVERS.parents[2] / "target")).absolute() / "servers"
    manifest = f"--manifest-path={source}/Cargo.toml"
    build([cargo, "build", "--release", "--locked", "--jobs=2", manifest, f"--target-dir={target}"])
    return target / "release" / f"{source.name}-server"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whoever asks for many requests has the time for them."""
    if config.getoption("--requests"):
        for item in items:
            if "requests" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(3600), append=False)


@pytest.fixture
def requests(request: pytest.FixtureRequest, platform: str, record_property: Callable[[str, object], None]) -> int:
    """How many requests a test makes to see that nothing leaks. Where kvm is itself virtual, each takes long."""
    count = int(request.config.getoption("--requests") or {"process": 1000, "kvm": 300}[platform])
    record_property("requests", count)
    return count


@pytest.fixture(scope="session")
def command_of(
    tool: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Kind], list[str | Path]]:
    """Builds what must be built, once, and returns the command that starts a kind of server."""
    directory = tmp_path_factory.mktemp("servers")

    def command(kind: Kind) -> list[str | Path]:
        source = SERVERS / kind.source  # or elsewhere, where it is absolute
        if kind.program == "debian":
            return [tool(DEBIAN_PYTHON, "python3"), source, *kind.arguments]
        if kind.program == "venv":
            return [sys.executable, source, *kind.arguments]
        if kind.program in INTERPRETERS:
            interpreter, package, options = INTERPRETERS[kind.program]
            if kind.program == "lune" and not Path(interpreter).exists():
                pytest.skip("Lune is not there: make lune builds it")
            return [tool(interpreter, package), *options, *kind.options, source, *kind.arguments]
        if kind.program == "cargo":
            return [crate(tool("cargo", "cargo"), source), *kind.arguments]
        binary = directory / kind.name
        if not binary.exists():
            compiler, package, flags = BUILDS[kind.program]
            build([tool(compiler, package), *flags, "-o", str(binary), str(source)])
        return [binary, *kind.arguments]

    return command


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Nothing here runs without the package."""
    if not WARMFORK.exists():
        pytest.fail(f"{WARMFORK} is missing: build and install the package first", pytrace=False)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of server in turn."""
    assert isinstance(request.param, Kind)
    return request.param


@pytest.fixture(scope="module")
def server(
    kind: Kind,
    command_of: Callable[[Kind], list[str | Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """A server of this kind, with a directory of its own for temporary files; stopping it must end well."""
    scratch = tmp_path_factory.mktemp("scratch")
    environment = [f"--env={variable}" for variable in ENVIRONMENT]
    options = ["--allow-read", "--allow-listen", f"--volume={scratch}:/scratch:rw"]
    with serving(command_of(kind), *options, *environment) as server:
        yield server


@pytest.fixture(scope="session")
def load(tool: Callable[[str, str], str]) -> Load:
    """Loads a server with wrk."""
    return Load(tool("wrk", "wrk"))
