// Serves the page on Node: node node.mjs PORT
import http from 'node:http'
import { element, require } from './page.mjs'

const { renderToPipeableStream } = require('react-dom/server')

const server = http.createServer((request, response) => {
  const { pipe } = renderToPipeableStream(element(request.url), {
    onAllReady() {
      response.setHeader('Content-Type', 'text/html')
      pipe(response)
    },
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1')
