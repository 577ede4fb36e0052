"""FastAPI, pydantic and numpy in requests: models are validated, linear algebra is right, and nothing of it is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from server_kinds import ENVIRONMENT, KINDS, Kind
from serving import Served, ask, serving

pytestmark = [pytest.mark.timeout(240), pytest.mark.shows("numpy in a request", of="fastapi")]


@pytest.fixture(scope="module")
def server(
    command_of: Callable[[Kind], list[str | Path]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The application, warmed up as it would be."""
    kind = next(kind for kind in KINDS if kind.name == "fastapi")
    options = [f"--volume={tmp_path_factory.mktemp('scratch')}:/scratch:rw", "--warmup=3", "--warmup-path=/count"]
    environment = [f"--env={variable}" for variable in ENVIRONMENT]
    with serving(command_of(kind), "--allow-read", "--allow-listen", *options, *environment) as server:
        yield server


def post(connection: HTTPConnection, body: bytes) -> tuple[int, dict[str, object]]:
    """The status and the answer to a model."""
    connection.request("POST", "/matrix", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer: dict[str, object] = json.loads(response.read())
    return response.status, answer


def test_linear_algebra(server: Served) -> None:
    def facts(seed: int, size: int) -> dict[str, object]:
        with closing(server.connect()) as connection:
            status, answer = post(connection, json.dumps({"seed": seed, "size": size}).encode())
            assert status == 200, answer
            return answer

    first = facts(7, 120)
    assert first["rank"] == 120
    assert first["determinant_is_product"] is True
    assert facts(8, 60)["rounded_trace"] != first["rounded_trace"]
    assert [facts(7, 120) for _ in range(3)] == [first] * 3


def test_a_model_refuses(server: Served) -> None:
    for body in (b'{"seed": 1, "size": 501}', b'{"seed": "one", "size": 2}', b"{}", b"not JSON"):
        with closing(server.connect()) as connection:
            status, answer = post(connection, body)
            assert status == 422
            assert answer["detail"]
            assert ask(connection, "/count") == b"4"
