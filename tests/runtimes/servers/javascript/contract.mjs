// What the JavaScript servers answer; see contract.py.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const LARGE = '0123456789abcdef'.repeat(65536)
let counted = 0

function file() {
  const before = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('request-')).length
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'request-'))
  const name = path.join(directory, 'scratch')
  fs.writeFileSync(name, 'written by a request')
  const text = fs.readFileSync(name, 'utf8')
  fs.rmSync(directory, { recursive: true })
  return `${text}, ${before} before`
}

// The status and the body for a request.
export function answer(method, path, body) {
  switch (`${method} ${path}`) {
    case 'GET /count':
      return [200, String(++counted)]
    case 'POST /echo':
      return [200, body]
    case 'GET /large':
      return [200, LARGE]
    case 'GET /file':
      return [200, file()]
    default:
      return [404, 'nothing here']
  }
}
