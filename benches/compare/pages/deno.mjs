// Serves the page on Deno: deno run deno.mjs PORT
import { element, require } from './page.mjs'

const { renderToReadableStream } = require('react-dom/server.browser')

Deno.serve({ hostname: '127.0.0.1', port: Number(Deno.args[0]) }, async (request) => {
  const stream = await renderToReadableStream(element(new URL(request.url).pathname))
  await stream.allReady
  return new Response(stream, { headers: { 'Content-Type': 'text/html' } })
})
