"""asyncpg with its pool, under aiohttp."""

import asyncio
import os

import asyncpg
from aiohttp import web
from asking import HOST, PORT

routes = web.RouteTableDef()


@routes.get("/ask/{text:.*}")
async def ask(request):
    text = request.match_info["text"]
    got = await request.app["pool"].fetchval("SELECT $1::text", text)
    return web.Response(text=f"{got}, lost 0")


@routes.get("/leave/{text:.*}")
async def leave(request):
    async with request.app["pool"].acquire() as connection:
        left = asyncio.ensure_future(connection.fetchval("SELECT $1::text", request.match_info["text"]))
        await asyncio.sleep(0)  # it has sent by then
        os._exit(left.done())


async def connected(app):
    """Two connections are there before the first request."""
    where = {"host": HOST, "port": int(PORT), "user": "tester", "database": "postgres", "ssl": False}
    app["pool"] = await asyncpg.create_pool(**where, min_size=2, max_size=4)
    yield
    await app["pool"].close()


app = web.Application()
app.add_routes(routes)
app.cleanup_ctx.append(connected)
web.run_app(app, host="127.0.0.1", port=0, print=None, access_log=None)
