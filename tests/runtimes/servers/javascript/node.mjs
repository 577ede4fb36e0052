// A server on node:http: libuv's epoll and thread pool, V8's compiler and collector in threads of their own.
import http from 'node:http'
import { answer } from './contract.mjs'

const server = http.createServer((request, response) => {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    const [status, body] = answer(request.method, request.url, Buffer.concat(parts))
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(body) }).end(body)
  })
})
server.listen(0, '127.0.0.1')
