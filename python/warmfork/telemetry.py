"""A server's counters, as Prometheus text on a TCP port or a Unix socket."""

from __future__ import annotations

import socket
import socketserver
import stat
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from warmfork.errors import ConfigError

if TYPE_CHECKING:
    from warmfork.types import ServerStatistics

_COUNTERS = {
    "connections": "Connections that were accepted.",
    "served": "Connections that the guest itself closed or shut down.",
    "forks": "Forks that were made.",
    "pages_rewritten": "Pages that resets wrote anew.",
    "reset_seconds": "Time that resets took.",
    "idle": "Connections closed because their clients said nothing for too long.",
    "timeouts": "Connections cut because they took too long.",
    "out_of_memory": "Connections cut because the guest wrote to too much memory.",
    "crashes": "Connections lost because the guest was killed by a signal.",
    "exits": "Connections lost because the guest exited.",
    "failures": "Connections lost because the platform failed.",
    "panics": "Panics of workers, each of which lost a connection or a fork: bugs of warmfork.",
    "syscalls": "System calls that were answered.",
}
_UNIX = "unix:"
_REQUEST_TIMEOUT = 10.0


class ServerCollector(Collector):
    """Reads the counters of a server each time they are asked for.

    Args:
        statistics: The function that returns them: ``Server.statistics``.
    """

    def __init__(self, statistics: Callable[[], ServerStatistics]) -> None:
        self._statistics = statistics

    def describe(self) -> Iterable[Metric]:
        """Names no metric beforehand: the registry need not ask the server for that."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yields every metric."""
        now = self._statistics()
        yield GaugeMetricFamily("warmfork_workers", "Forks that serve side by side.", value=now["workers"])
        platform = InfoMetricFamily("warmfork_platform", "The platform of the guests, and the reason for it.")
        platform.add_metric([], {"name": now["platform"], "reason": now["platform_reason"]})
        yield platform
        values = {name: value for name, value in now.items() if isinstance(value, int | float)}
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"warmfork_{name}", text, value=values[name])
        resets = CounterMetricFamily("warmfork_resets", "Resets of a fork, by kind.", labels=["kind"])
        resets.add_metric(["rewritten"], now["resets_rewritten"])
        resets.add_metric(["dropped"], now["resets_dropped"])
        resets.add_metric(["rebuilt"], now["resets_rebuilt"])
        yield resets
        latency = HistogramMetricFamily("warmfork_request_seconds", "Time from accept to the end of the connection.")
        buckets = [(f"{bound:g}", float(count)) for bound, count in now["latency"]["buckets"]]
        buckets.append(("+Inf", float(now["latency"]["count"])))
        latency.add_metric([], buckets, now["latency"]["sum_seconds"])
        yield latency


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _TcpServer6(_TcpServer):
    address_family = socket.AF_INET6


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class MetricsServer:
    """Answers ``GET /metrics`` in the background until it is closed.

    Args:
        address: ``HOST:PORT``, ``:PORT`` (on 127.0.0.1), ``[IPv6]:PORT`` or ``unix:PATH``. Port 0 is any free one.
        statistics: The function that returns the counters: ``Server.statistics``.

    Raises:
        ConfigError: The address is malformed or cannot be listened on.

    Attributes:
        address: Where it listens, in the same form.
    """

    def __init__(self, address: str, statistics: Callable[[], ServerStatistics]) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(ServerCollector(statistics))
        handler = type("Handler", (_Handler,), {"registry": registry})
        self._path: Path | None = None
        self._server: socketserver.BaseServer
        try:
            if address.startswith(_UNIX):
                self._path = _free_path(address)
                self._server = _UnixServer(str(self._path), handler)
                self._path.chmod(0o600)
                self.address = address
            else:
                host, port = _host_and_port(address)
                server = (_TcpServer6 if ":" in host else _TcpServer)((host, port), handler)
                self._server = server
                self.address = (
                    f"[{host}]:{server.server_address[1]}" if ":" in host else f"{host}:{server.server_address[1]}"
                )
        except OSError as error:
            raise ConfigError(f"metrics: cannot listen on {address}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops answering. Can be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    """One request for metrics."""

    registry: CollectorRegistry
    server_version = "warmfork"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT

    def do_GET(self) -> None:
        """Sends the counters."""
        if urlsplit(self.path).path != "/metrics":
            self.send_error(404, "only /metrics is here")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        body = encode(self.registry)
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """The client, which has no address on a Unix socket."""
        return self.client_address[0] if self.client_address else "unix"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing: a scrape is no event."""


def _host_and_port(address: str) -> tuple[str, int]:
    """Takes an address apart."""
    try:
        parts = urlsplit(f"//{address}")
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.path or parts.username is not None:
        raise ConfigError(f"metrics: {address!r} is not an address", "write HOST:PORT, :PORT or unix:PATH")
    return parts.hostname or "127.0.0.1", port


def _free_path(address: str) -> Path:
    """The path of a Unix socket, after removing the socket of an earlier server."""
    path = Path(address.removeprefix(_UNIX))
    if not path.name:
        raise ConfigError(f"metrics: {address!r} is not an address", "write unix:PATH")
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return path  # bind reports the problem, if there is one
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ConfigError(f"metrics: another program listens on {address}")
    return path
