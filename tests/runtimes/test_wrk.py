"""wrk loads each kind of server for a moment: every answer is the next of its connection, and none is missing."""

from __future__ import annotations

import pytest
from server_kinds import Kind
from serving import Served
from wrk import Load

pytestmark = pytest.mark.timeout(240)  # the first of a kind compiles and boots it


@pytest.mark.shows("wrk with close")
def test_a_connection_for_each_request(server: Served, kind: Kind, load: Load) -> None:
    assert load(server, "/count", "close", 2, ends=kind.ends) > 1


@pytest.mark.shows("wrk with keep-alive")
def test_many_requests_on_a_connection(server: Served, kind: Kind, load: Load) -> None:
    if not kind.keeps_alive:
        pytest.skip("it closes each connection after an answer, natively too")
    assert load(server, "/count", "keep", 1) > 1
    assert server.get("/count") == "1"
