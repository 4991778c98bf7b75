import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import koffi from 'koffi'
import { MtorError } from '../contracts/errors.ts'

/**
 * UNIX datagram sockets, which Node does not have: five calls of libc. A datagram needs no connection, no parser and
 * no reply, which is what an emergency stop wants; systemd's notify socket is one too. @see unix(7)
 */
const AF_UNIX = 1, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0o2000000, SHUT_RDWR = 2, MSG_DONTWAIT = 0x40
const ADDRESS_BYTES = 110, PATH_MAX_BYTES = 107

const libc = koffi.load('libc.so.6')
const socket = libc.func('int socket(int, int, int)')
const bind = libc.func('int bind(int, void *, uint32_t)')
const recvfrom = libc.func('int64_t recvfrom(int, void *, size_t, int, void *, void *)')
const sendto = libc.func('int64_t sendto(int, void *, size_t, int, void *, uint32_t)')
const shutdown = libc.func('int shutdown(int, int)')
const close = libc.func('int close(int)')

/** sockaddr_un of a path, with its length. */
function address(path: string): Buffer {
  const name = Buffer.from(path)
  if (name.length > PATH_MAX_BYTES) throw new MtorError('CONFIG_INVALID', `socket path ${path} has ${name.length} bytes, at most ${PATH_MAX_BYTES} fit`, { hint: 'Set runDir to a shorter path.' })
  const buffer = Buffer.alloc(2 + name.length + 1)
  buffer.writeUInt16LE(AF_UNIX, 0)
  name.copy(buffer, 2)
  return buffer
}

function open(): number {
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) as number
  if (fd < 0) throw new MtorError('INTERNAL', `cannot make a UNIX datagram socket: errno ${koffi.errno()}`)
  return fd
}

/** A bound datagram socket. `onDatagram` gets the text and a function that answers the sender, if it has an address. */
export class DatagramSocket {
  readonly path: string
  readonly #mode: number
  readonly #onDatagram: (text: string, reply: (text: string) => void) => void
  #fd = -1

  constructor(path: string, onDatagram: (text: string, reply: (text: string) => void) => void, mode = 0o660) {
    this.path = path
    this.#onDatagram = onDatagram
    this.#mode = mode
  }

  start(): void {
    mkdirSync(dirname(this.path), { recursive: true })
    // A socket file left by a killed process would make bind fail; whoever starts now owns the path.
    rmSync(this.path, { force: true })
    const fd = open()
    const where = address(this.path)
    if ((bind(fd, where, where.length) as number) !== 0) {
      const errno = koffi.errno()
      close(fd)
      throw new MtorError('CONFIG_INVALID', `cannot bind ${this.path}: errno ${errno}`)
    }
    chmodSync(this.path, this.#mode)
    this.#fd = fd
    this.#receive(fd)
  }

  /** One receive at a time waits in a thread of the pool; the main thread is not involved until a datagram is there. */
  #receive(fd: number): void {
    const data = Buffer.alloc(2048), from = Buffer.alloc(ADDRESS_BYTES), length = Buffer.alloc(4)
    length.writeUInt32LE(ADDRESS_BYTES)
    recvfrom.async(fd, data, data.length, 0, from, length, (error: Error | null, count: number) => {
      if (this.#fd !== fd) { close(fd); return }
      if (!error && count >= 0) {
        const fromBytes = length.readUInt32LE()
        const reply = (text: string) => {
          if (fromBytes <= 2) return
          const payload = Buffer.from(text)
          sendto(fd, payload, payload.length, MSG_DONTWAIT, from, fromBytes)
        }
        this.#onDatagram(data.toString('utf8', 0, count), reply)
      }
      this.#receive(fd)
    })
  }

  /** Sends without waiting; false when nobody listens there or its queue is full. */
  send(path: string, text: string): boolean { return sendOn(this.#fd, path, text) }

  stop(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    // Wakes the waiting receive, which then closes the descriptor.
    shutdown(fd, SHUT_RDWR)
    rmSync(this.path, { force: true })
  }
}

function sendOn(fd: number, path: string, text: string): boolean {
  const payload = Buffer.from(text), to = address(path)
  return (sendto(fd, payload, payload.length, MSG_DONTWAIT, to, to.length) as number) === payload.length
}

/** Sends one datagram from a nameless socket; false when nobody listens there. */
export function sendDatagram(path: string, text: string): boolean {
  const fd = open()
  try { return sendOn(fd, path, text) } finally { close(fd) }
}
