// Deno as programs use it: workers, WebAssembly, Web cryptography, a server asked by fetch, files, timers.
const hash = async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', data)).slice(0, 8).toHex()
const inWorker = self.document === undefined && typeof WorkerGlobalScope !== 'undefined'

async function workers() {
  const all = [1, 2, 3].map((number) => {
    const worker = new Worker(import.meta.url, { type: 'module' })
    worker.postMessage(number * 100000)
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => {
        worker.terminate()
        resolve(data)
      }
    })
  })
  console.log('workers', await Promise.all(all))
}

async function server() {
  const server = Deno.serve({ hostname: '127.0.0.1', port: 0, onListen() {} }, async (request) => {
    const body = await request.bytes()
    return new Response(body.reverse(), { headers: { 'x-length': String(body.length) } })
  })
  const answers = await Promise.all(
    [10, 1000, 1000000].map(async (length) => {
      const body = new Uint8Array(length).map((_, index) => index % 251)
      const response = await fetch(`http://127.0.0.1:${server.addr.port}/`, { method: 'POST', body })
      return [response.headers.get('x-length'), await hash(await response.arrayBuffer())]
    }),
  )
  await server.shutdown()
  console.log('server', answers)
}

async function keys() {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt', 'decrypt'])
  const text = new TextEncoder().encode('a secret '.repeat(1000))
  const options = { name: 'AES-GCM', iv: new Uint8Array(12) }
  const again = await crypto.subtle.decrypt(options, key, await crypto.subtle.encrypt(options, key, text))
  console.log('aes', (await hash(again)) === (await hash(text)))
}

async function files() {
  const directory = await Deno.makeTempDir({ dir: '.', prefix: 'deno-' })
  const lines = Array.from({ length: 20000 }, (_, number) => `line ${number}\n`).join('')
  await Deno.writeTextFile(`${directory}/lines`, lines)
  using file = await Deno.open(`${directory}/lines`)
  const packed = file.readable.pipeThrough(new CompressionStream('gzip'))
  const unpacked = packed.pipeThrough(new DecompressionStream('gzip'))
  console.log('files', await hash(await new Response(unpacked).arrayBuffer()), (await Deno.stat(`${directory}/lines`)).size)
  await Deno.remove(directory, { recursive: true })
}

async function timers() {
  const order = []
  const after = (delay) =>
    new Promise((resolve) => setTimeout(() => resolve(order.push(delay)), delay))
  await Promise.all([after(15), after(5), after(0)])
  console.log('timers', order)
}

if (inWorker) {
  self.onmessage = ({ data }) => {
    let sum = 0
    for (let number = 0; number < data; number++) sum = (sum * 31 + number) % 1000003
    self.postMessage(sum)
  }
} else {
  await workers()
  await server()
  await keys()
  await files()
  await timers()
  const { adder } = await import('./wasm.mjs')
  const { memory, sum } = new WebAssembly.Instance(new WebAssembly.Module(adder())).exports
  new Uint8Array(memory.buffer).fill(2)
  console.log('wasm', sum(50000), memory.grow(10))
  const heap = Array.from({ length: 200000 }, (_, number) => ({ number, text: `number ${number}` }))
  console.log('heap', heap.reduce((total, { number, text }) => total + number + text.length, 0))
}
