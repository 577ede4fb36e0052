// Says Hello on Node: node node.mjs PORT
import http from 'node:http'

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain')
  response.end('Hello\n')
})
server.listen(Number(process.argv[2]), '127.0.0.1')
