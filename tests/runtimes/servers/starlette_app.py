"""A Starlette application under uvicorn: asyncio on epoll."""

import asyncio

import contract
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def anything(request: Request) -> Response:
    body = await request.body()
    await asyncio.sleep(0)
    if request.url.path == "/file":
        status, body = await asyncio.to_thread(contract.answer, request.method, request.url.path)
    else:
        status, body = contract.answer(request.method, request.url.path, body)
    return Response(body, status)


app = Starlette(routes=[Route("/{path:path}", anything, methods=["GET", "POST"])])
uvicorn.run(app, host="127.0.0.1", port=0, log_level="warning")
