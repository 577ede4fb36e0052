"""psycopg with its pool, of one connection or `two`; told to `check` it looks at one before it gives it away."""

import sys

import psycopg
from asking import HOST, PORT, serve
from psycopg_pool import ConnectionPool

check = ConnectionPool.check_connection if "check" in sys.argv else None
where = f"host={HOST} port={PORT} user=tester dbname=postgres"
pool = ConnectionPool(where, min_size=2 if "two" in sys.argv else 1, max_size=4, check=check, open=True)
pool.wait()


def ask(text: str) -> str:
    with pool.connection() as connection:
        return connection.execute("SELECT %s::text", [text]).fetchone()[0]


def leave(text: str) -> None:
    with pool.connection() as connection:
        connection.pgconn.send_query(b"SELECT 'left by " + text.encode() + b"'")


serve(ask, leave, psycopg.OperationalError)
