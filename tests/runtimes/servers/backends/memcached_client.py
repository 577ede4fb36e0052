"""pymemcache with its pool; with an argument `retry` wrapped in what tries again."""

import sys

from asking import HOST, PORT, serve
from pymemcache.client.base import PooledClient
from pymemcache.client.retrying import RetryingClient
from pymemcache.exceptions import MemcacheUnexpectedCloseError

LOST = (ConnectionError, MemcacheUnexpectedCloseError)
pooled = PooledClient((HOST, int(PORT)), max_pool_size=4)
client = RetryingClient(pooled, attempts=2, retry_for=LOST) if "retry" in sys.argv else pooled
if "two" in sys.argv:
    with pooled.client_pool.get_and_release() as one, pooled.client_pool.get_and_release() as two:
        one.version()
        two.version()  # and both go back to the pool


def ask(text: str) -> str:
    client.set(text, text.encode())
    return client.get(text).decode()


def leave(text: str) -> None:
    pooled.set(text, text.encode())
    with pooled.client_pool.get_and_release() as connection:
        connection.sock.sendall(f"get {text}\r\n".encode())


serve(ask, leave, *LOST)
