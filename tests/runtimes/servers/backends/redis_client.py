"""redis-py: a connection pool, pipelines."""

import redis
from asking import ADDRESS, HOST, serve

pool = redis.ConnectionPool.from_url(f"redis://{ADDRESS}" if HOST else f"unix://{ADDRESS}")
client = redis.Redis(connection_pool=pool)


def ask(text: str) -> str:
    echoed = client.echo(text).decode()
    _, got = client.pipeline().set(text, echoed).get(text).execute()
    return got.decode()


def leave(text: str) -> None:
    pool.get_connection().send_command("ECHO", text)


serve(ask, leave)
