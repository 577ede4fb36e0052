// A WebAssembly module for the programs here, made by hand.

// A module with a memory and a function that adds up its first bytes.
export function adder() {
  const part = (id, ...bytes) => [id, bytes.length, ...bytes]
  const text = (name) => [name.length, ...new TextEncoder().encode(name)]
  const loop = [3, 0x40, 0x20, 2, 0x20, 1, 0x2d, 0, 0, 0x6a, 0x21, 2, 0x20, 1, 0x41, 1, 0x6a, 0x22, 1, 0x20, 0, 0x49, 0x0d, 0, 0x0b]
  const body = [1, 2, 0x7f, ...loop, 0x20, 2, 0x0b]
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...part(1, 1, 0x60, 1, 0x7f, 1, 0x7f),
    ...part(3, 1, 0),
    ...part(5, 1, 0, 1),
    ...part(7, 2, ...text('memory'), 2, 0, ...text('sum'), 0, 0),
    ...part(10, 1, body.length, ...body),
  ])
}
