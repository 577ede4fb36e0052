// Bun as programs use it: workers, WebAssembly, hashes, a database in memory, a server asked by fetch, files, timers.
import { Database } from 'bun:sqlite'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { adder } from './wasm.mjs'

const hash = (data) => new Bun.CryptoHasher('sha256').update(data).digest('hex').slice(0, 16)

async function workers() {
  const all = [1, 2, 3].map((number) => {
    const worker = new Worker(import.meta.path, { workerData: number * 100000 })
    return new Promise((resolve) => worker.on('message', resolve))
  })
  console.log('workers', await Promise.all(all))
}

async function server() {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => new Response((await request.bytes()).reverse()),
  })
  const answers = await Promise.all(
    [10, 1000, 1000000].map(async (length) => {
      const body = new Uint8Array(length).map((_, index) => index % 251)
      return hash(await (await fetch(server.url, { method: 'POST', body })).arrayBuffer())
    }),
  )
  await server.stop()
  console.log('server', answers)
}

function database() {
  const database = new Database(':memory:')
  database.run('create table numbers (number integer primary key, square integer)')
  const insert = database.prepare('insert into numbers values (?, ?)')
  database.transaction(() => {
    for (let number = 0; number < 5000; number++) insert.run(number, number * number)
  })()
  console.log('database', database.query('select count(*) as count, sum(square) as sum from numbers where number % 7 = 3').get())
}

async function files() {
  const name = `bun-${process.pid}`
  await Bun.write(name, Array.from({ length: 20000 }, (_, number) => `line ${number}\n`).join(''))
  const text = await Bun.file(name).text()
  console.log('files', text.length, hash(Bun.gunzipSync(Bun.gzipSync(Buffer.from(text)))))
  await Bun.file(name).delete()
}

async function timers() {
  const order = []
  await Promise.all([15, 5, 0].map(async (delay) => order.push(await Bun.sleep(delay).then(() => delay))))
  console.log('timers', order)
}

if (isMainThread) {
  await workers()
  await server()
  database()
  await files()
  await timers()
  console.log('password', await Bun.password.verify('secret', await Bun.password.hash('secret', { algorithm: 'bcrypt', cost: 4 })))
  const { memory, sum } = new WebAssembly.Instance(new WebAssembly.Module(adder())).exports
  new Uint8Array(memory.buffer).fill(2)
  console.log('wasm', sum(50000), memory.grow(10))
  const heap = Array.from({ length: 200000 }, (_, number) => ({ number, text: `number ${number}` }))
  console.log('heap', heap.reduce((total, { number, text }) => total + number + text.length, 0))
} else {
  let sum = 0
  for (let number = 0; number < workerData; number++) sum = (sum * 31 + number) % 1000003
  parentPort.postMessage(sum)
}
