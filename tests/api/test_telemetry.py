"""The metrics endpoint, with counters that are given."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from warmfork.errors import ConfigError
from warmfork.telemetry import MetricsServer

if TYPE_CHECKING:
    from warmfork.types import ServerStatistics

COUNTED: ServerStatistics = {
    "platform": "kvm",
    "platform_reason": "it was asked for",
    "workers": 2,
    "connections": 100,
    "served": 99,
    "forks": 3,
    "resets_rewritten": 98,
    "resets_dropped": 1,
    "resets_rebuilt": 2,
    "pages_rewritten": 12345,
    "reset_seconds": 0.5,
    "idle": 9,
    "timeouts": 3,
    "out_of_memory": 5,
    "crashes": 4,
    "exits": 6,
    "failures": 7,
    "panics": 8,
    "syscalls": 8,
    "latency": {"buckets": [(0.001, 90), (0.01, 99)], "sum_seconds": 0.25, "count": 100},
}


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_everything_that_was_counted_is_told() -> None:
    with (
        MetricsServer("127.0.0.1:0", lambda: COUNTED) as server,
        urllib.request.urlopen(f"http://{server.address}/metrics") as answer,
    ):
        assert answer.headers["Content-Type"].startswith("text/plain")
        told = samples(answer.read().decode())
    assert told[("warmfork_platform_info", "kvm,it was asked for")] == 1
    assert told[("warmfork_workers", "")] == 2
    assert told[("warmfork_connections_total", "")] == 100
    assert told[("warmfork_resets_total", "rewritten")] == 98
    assert told[("warmfork_resets_total", "dropped")] == 1
    assert told[("warmfork_resets_total", "rebuilt")] == 2
    assert told[("warmfork_timeouts_total", "")] == 3
    assert told[("warmfork_request_seconds_bucket", "0.001")] == 90
    assert told[("warmfork_request_seconds_bucket", "+Inf")] == 100
    assert told[("warmfork_request_seconds_sum", "")] == 0.25


def test_only_metrics_are_there() -> None:
    with (
        MetricsServer(":0", lambda: COUNTED) as server,
        pytest.raises(urllib.error.HTTPError, match="404") as caught,
    ):
        urllib.request.urlopen(f"http://{server.address}/")
    caught.value.close()


def ask_unix(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 200
        return response.read()


def test_a_unix_socket_is_private_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with MetricsServer(f"unix:{path}", lambda: COUNTED):
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"warmfork_connections_total 100.0" in ask_unix(path)
        with pytest.raises(ConfigError, match="another program listens on"):
            MetricsServer(f"unix:{path}", lambda: COUNTED)
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with MetricsServer(f"unix:{path}", lambda: COUNTED):
        assert ask_unix(path)


@pytest.mark.parametrize("address", ["", "nonsense", "host:port", "127.0.0.1:99999", "a@b:1", "127.0.0.1:1/x", "unix:"])
def test_malformed_addresses(address: str) -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        MetricsServer(address, lambda: COUNTED)


def test_addresses_that_cannot_be_listened_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metrics: cannot listen on unix:.*: No such file"):
        MetricsServer(f"unix:{tmp_path}/missing/metrics", lambda: COUNTED)
