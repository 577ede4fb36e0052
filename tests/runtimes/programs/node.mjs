// Node as programs use it: worker threads over shared memory, the thread pool, WebAssembly, streams, sockets, timers.
import assert from 'node:assert'
import crypto from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import zlib from 'node:zlib'
import { adder } from './wasm.mjs'

const WORKERS = 3
const hash = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16)

function primes(from, to) {
  let found = 0
  for (let number = Math.max(from, 2); number < to; number++) {
    let prime = true
    for (let divisor = 2; divisor * divisor <= number && prime; divisor++) prime = number % divisor !== 0
    found += prime
  }
  return found
}

async function workers() {
  const shared = new Int32Array(new SharedArrayBuffer(4 * (WORKERS + 1)))
  const all = Array.from({ length: WORKERS }, (_, index) => new Worker(new URL(import.meta.url), { workerData: { shared, index } }))
  const ends = all.map((worker) => new Promise((resolve) => worker.on('exit', resolve)))
  const results = await Promise.all(all.map((worker) => new Promise((resolve) => worker.on('message', resolve))))
  Atomics.store(shared, WORKERS, 1)
  Atomics.notify(shared, WORKERS)
  console.log('primes', results, 'codes', await Promise.all(ends), 'woken', [...shared.slice(0, WORKERS)])
}

function work({ shared, index }) {
  parentPort.postMessage(primes(index * 20000, (index + 1) * 20000))
  Atomics.wait(shared, WORKERS, 0)
  Atomics.store(shared, index, 1)
}

async function pool() {
  const scrypt = promisify(crypto.scrypt)
  const keys = await Promise.all([1, 2, 3, 4, 5].map((salt) => scrypt('secret', String(salt), 16, { N: 1024 })))
  console.log('scrypt', keys.map((key) => key.toString('hex').slice(0, 8)))
  const text = Buffer.from('some text, again and again. '.repeat(20000))
  const packed = await promisify(zlib.gzip)(text)
  assert((await promisify(zlib.gunzip)(packed)).equals(text))
  console.log('gzip', packed.length < text.length / 50, hash(zlib.brotliDecompressSync(zlib.brotliCompressSync(text))))
  const { publicKey, privateKey } = await promisify(crypto.generateKeyPair)('ed25519')
  console.log('signed', crypto.verify(null, text, publicKey, crypto.sign(null, text, privateKey)))
}

function webAssembly() {
  const { memory, sum } = new WebAssembly.Instance(new WebAssembly.Module(adder())).exports
  memory.grow(60)
  new Uint8Array(memory.buffer).fill(3)
  console.log('wasm', sum(100000), memory.buffer.byteLength)
  const large = Array.from({ length: 8 }, () => new WebAssembly.Memory({ initial: 1, maximum: 65536 }))
  console.log('memories', large.map((each) => each.grow(10)))
}

async function files() {
  const directory = await fs.promises.mkdtemp('node-')
  const name = `${directory}/numbers`
  await fs.promises.writeFile(name, Array.from({ length: 50000 }, (_, number) => number).join('\n'))
  await pipeline(fs.createReadStream(name), zlib.createGzip(), fs.createWriteStream(`${name}.gz`))
  await pipeline(fs.createReadStream(`${name}.gz`), zlib.createGunzip(), fs.createWriteStream(`${name}.again`))
  console.log('files', hash(fs.readFileSync(`${name}.again`)), (await fs.promises.readdir(directory)).sort())
  await fs.promises.rm(directory, { recursive: true })
}

async function sockets() {
  const server = net.createServer((socket) => socket.pipe(socket))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = net.connect(server.address().port, '127.0.0.1')
  const sent = crypto.createHash('sha256').update('sockets').digest()
  const received = crypto.createHash('sha256')
  let left = 3 << 20
  const done = new Promise((resolve) => {
    client.on('data', (part) => {
      received.update(part)
      left -= part.length
      if (left === 0) resolve(client.end())
    })
  })
  for (let count = 0; count < 48; count++) client.write(Buffer.alloc(65536, sent))
  await done
  await new Promise((resolve) => server.close(resolve))
  console.log('sockets', received.digest('hex').slice(0, 16))
}

async function timers() {
  const order = []
  const note = (name) => () => order.push(name)
  const waits = [sleep(20).then(note('20 ms')), sleep(5).then(note('5 ms'))]
  setImmediate(note('immediate'))
  process.nextTick(note('next tick'))
  queueMicrotask(note('microtask'))
  const interval = setInterval(note('interval'), 1)
  await Promise.all(waits)
  clearInterval(interval)
  console.log('order', order.filter((name) => name !== 'interval').join(', '), order.includes('interval'))
}

if (isMainThread) {
  await workers()
  await pool()
  webAssembly()
  await files()
  await sockets()
  await timers()
  const heap = Array.from({ length: 200000 }, (_, number) => ({ number, text: `number ${number}` }))
  console.log('heap', heap.reduce((sum, { number, text }) => sum + number + text.length, 0))
  console.log('cpus', os.cpus().length > 0, 'memory', os.totalmem() > 0, 'uptime', process.uptime() > 0)
} else {
  work(workerData)
}
