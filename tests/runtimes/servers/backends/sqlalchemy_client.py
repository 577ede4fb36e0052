"""SQLAlchemy on PyMySQL; with an argument `ping` the pool looks at a connection before it gives it away."""

import sys

from asking import ADDRESS, serve
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

# It would read all certificates of the system for each connection.
plain = {"ssl_disabled": True}
engine = create_engine(f"mysql+pymysql://tester@{ADDRESS}/", connect_args=plain, pool_pre_ping="ping" in sys.argv)
if "two" in sys.argv:
    with engine.connect(), engine.connect():
        pass  # and both go back to the pool


def ask(question: str) -> str:
    with engine.connect() as connection:
        return connection.execute(text("SELECT :question"), {"question": question}).scalar_one()


def leave(question: str) -> None:
    with engine.connect().execution_options(stream_results=True) as connection:
        query = text("SELECT :question, REPEAT('left', 100000)")
        connection.execute(query, {"question": question})


serve(ask, leave, OperationalError)
