// A server on Deno.serve: hyper on tokio's epoll, V8.
import { answer } from './contract.mjs'

Deno.serve({ hostname: '127.0.0.1', port: 0 }, async (request) => {
  const [status, body] = answer(request.method, new URL(request.url).pathname, await request.bytes())
  return new Response(body, { status })
})
