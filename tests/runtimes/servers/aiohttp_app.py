"""An aiohttp application on its own server: asyncio on epoll."""

import contract
from aiohttp import web


async def anything(request: web.Request) -> web.Response:
    status, body = contract.answer(request.method, request.path, await request.read())
    return web.Response(body=body, status=status)


app = web.Application()
app.router.add_route("*", "/{path:.*}", anything)
web.run_app(app, host="127.0.0.1", port=0, print=None)
