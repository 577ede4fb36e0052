// A server on Bun.serve: an event loop of its own on epoll, JavaScriptCore with its threads.
import { answer } from './contract.mjs'

Bun.serve({
  hostname: '127.0.0.1',
  port: 8766,
  async fetch(request) {
    const [status, body] = answer(request.method, new URL(request.url).pathname, await request.bytes())
    return new Response(body, { status })
  },
})
