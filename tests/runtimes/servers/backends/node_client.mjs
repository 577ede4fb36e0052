// Node asks an HTTP backend over connections that it keeps: told `agent` with an agent of http, else with fetch.
import http from 'node:http'

const [address, way] = process.argv.slice(2)
const agent = new http.Agent({ keepAlive: true })

// The answer's body, of which nothing has been read.
async function open(path) {
  const url = `http://${address}${path}`
  if (way !== 'agent') return (await fetch(url)).body
  return new Promise((resolve, reject) => http.get(url, { agent }, resolve).on('error', reject))
}

async function get(path) {
  const parts = []
  for await (const part of await open(path)) parts.push(part)
  return Buffer.concat(parts)
}

async function asked(ask, path) {
  for (let lost = 0; ; lost++) {
    try {
      return `${await ask(path)}, lost ${lost}`
    } catch (error) {
      if (lost === 2) return `lost: ${error}`
    }
  }
}

const server = http.createServer(async (request, response) => {
  if (request.url.startsWith('/leave/')) {
    await asked(open, request.url)
    process.exit(1)
  }
  response.end(await asked(get, request.url))
})
await asked(get, '/ask/at/start')
server.listen(0, '127.0.0.1')
