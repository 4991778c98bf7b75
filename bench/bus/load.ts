import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { MtorError } from '../../appliance/contracts/errors.ts'

/**
 * An MQTT 3.1.1 client that does as little as possible, so that the server and not the load is measured: frames are
 * prepared, what comes back is only counted. @see MQTT 3.1.1 §3
 */
export class LoadClient {
  readonly #socket: Socket
  #rest: Buffer = Buffer.alloc(0)
  #acknowledge: Buffer[] = []
  onPublish: (frame: Buffer, payloadStart: number) => void = () => {}
  onPuback: (messageId: number) => void = () => {}
  #onOther: (type: number) => void = () => {}

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk))
  }

  static async connect(port: number, id: string, filter?: string, qos = 0): Promise<LoadClient> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    const client = new LoadClient(socket)
    const answered = (type: number) => new Promise<void>((resolve, reject) => {
      client.#onOther = (got) => { if (got === type) resolve() }
      socket.once('close', () => reject(new MtorError('DEVICE_UNREACHABLE', `the server on port ${port} hung up`)))
    })
    const connected = answered(2)
    socket.write(frame(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(id)])))
    await connected
    if (filter !== undefined) {
      const subscribed = answered(9)
      socket.write(frame(0x82, Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([qos])])))
      await subscribed
    }
    return client
  }

  write(bytes: Buffer) { this.#socket.write(bytes) }
  end() { this.#socket.destroy() }
  cork() { this.#socket.cork() }
  uncork() { this.#socket.uncork() }

  #read(chunk: Buffer) {
    const buffer = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    this.#socket.cork()
    while (buffer.length - at >= 2) {
      let head = at + 1
      let length = 0
      let shift = 0
      let byte = 0x80
      while (byte & 0x80 && head < buffer.length) { byte = buffer[head++]!; length |= (byte & 0x7f) << shift; shift += 7 }
      if (byte & 0x80 || head + length > buffer.length) break
      const type = buffer[at]! >> 4
      if (type === 3) {
        const topicEnd = head + 2 + buffer.readUInt16BE(head)
        const qos = (buffer[at]! >> 1) & 3
        if (qos > 0) this.#acknowledge.push(Buffer.from([0x40, 2, buffer[topicEnd]!, buffer[topicEnd + 1]!]))
        this.onPublish(buffer.subarray(at, head + length), topicEnd + (qos > 0 ? 2 : 0) - at)
      } else if (type === 4) this.onPuback(buffer.readUInt16BE(head))
      else this.#onOther(type)
      at = head + length
    }
    if (this.#acknowledge.length > 0) { this.#socket.write(Buffer.concat(this.#acknowledge)); this.#acknowledge = [] }
    this.#socket.uncork()
    this.#rest = buffer.subarray(at)
  }
}

const text = (s: string) => { const bytes = Buffer.from(s); return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]) }

function frame(first: number, body: Buffer): Buffer {
  const head = [first]
  let n = body.length
  do { head.push((n & 0x7f) | (n > 0x7f ? 0x80 : 0)); n >>= 7 } while (n > 0)
  return Buffer.concat([Buffer.from(head), body])
}

/** A PUBLISH; with QoS 1 its message id. */
export const publish = (topic: string, payload: Buffer, qos = 0, messageId = 0): Buffer =>
  frame(0x30 | qos << 1, Buffer.concat([text(topic), qos > 0 ? Buffer.from([messageId >> 8, messageId & 0xff]) : Buffer.alloc(0), payload]))

const PAYLOAD = Buffer.alloc(200, 0x61)
/** Messages of all clients together that are on their way at any time. */
const WINDOW = 200

/**
 * `clients` clients, each publishing to a topic that it alone subscribes to, for `forMs`.
 * @returns messages a second that went from publisher through broker to subscriber (with QoS 1: and were acknowledged)
 */
export async function passThrough(port: number, root: string, clients: number, qos: 0 | 1, forMs: number): Promise<number> {
  const all = await Promise.all(Array.from({ length: clients }, (_, i) => LoadClient.connect(port, `load-${i}`, `${root}/app/${i}`, qos)))
  let done = 0
  const each = Math.ceil(WINDOW / clients)
  const start = performance.now()
  let open = true
  const ended = Promise.withResolvers<void>()
  const timer = setTimeout(() => { open = false; ended.resolve() }, forMs)
  all.forEach((client, i) => {
    const topic = `${root}/app/${i}`
    let messageId = 0
    const next = () => publish(topic, PAYLOAD, qos, messageId = messageId % 65535 + 1)
    // Of a QoS 1 message both halves are awaited, of whichever the server sends first.
    let echoed = 0
    let acknowledged = 0
    const step = () => { if (open) client.write(next()) }
    client.onPublish = () => { echoed++; if (qos === 0 || echoed <= acknowledged) { done++; step() } }
    client.onPuback = () => { acknowledged++; if (acknowledged <= echoed) { done++; step() } }
    client.write(Buffer.concat(Array.from({ length: each }, next)))
  })
  await ended.promise
  const seconds = (performance.now() - start) / 1000
  clearTimeout(timer)
  for (const client of all) client.end()
  return done / seconds
}

export interface Submissions { perSecond: number; latenciesMs: number[]; receipts: number }

/** `clients` clients with `inFlight` durable submissions under way together, each acknowledged with PUBACK; one of them counts the receipts. */
export async function submissions(port: number, root: string, clients: number, inFlight: number, forMs: number, envelope: () => object): Promise<Submissions> {
  const all = await Promise.all(Array.from({ length: clients }, (_, i) => LoadClient.connect(port, `submit-${i}`, i === 0 ? `${root}/intent/+/receipt` : undefined, 0)))
  const latenciesMs: number[] = []
  let receipts = 0
  all[0]!.onPublish = (bytes, payloadStart) => { if (bytes.includes('"accepted":true', payloadStart)) receipts++ }
  const start = performance.now()
  let open = true
  let under = 0
  const ended = Promise.withResolvers<void>()
  const timer = setTimeout(() => { open = false }, forMs)
  const hung = setTimeout(() => ended.reject(new MtorError('DEADLINE', `submissions were not acknowledged within ${forMs + 10_000} ms`)), forMs + 10_000)
  let last = start
  for (const client of all) {
    const sentAt = new Map<number, number>()
    let messageId = 0
    const send = () => {
      messageId = messageId % 65535 + 1
      under++
      const bytes = publish(`${root}/intent/submit`, Buffer.from(JSON.stringify(envelope())), 1, messageId)
      sentAt.set(messageId, performance.now())
      client.write(bytes)
    }
    client.onPuback = (id) => {
      under--
      last = performance.now()
      latenciesMs.push(last - sentAt.get(id)!)
      sentAt.delete(id)
      if (open) send()
      else if (under === 0) ended.resolve()
    }
    client.cork()
    for (let i = 0; i < inFlight / clients; i++) send()
    client.uncork()
  }
  try { await ended.promise } finally { clearTimeout(timer); clearTimeout(hung) }
  // The last receipts are on their way beside the last acknowledgements.
  for (let waited = 0; receipts < latenciesMs.length && waited < 2_000; waited += 10) await new Promise((resolve) => setTimeout(resolve, 10))
  for (const client of all) client.end()
  return { perSecond: latenciesMs.length / ((last - start) / 1000), latenciesMs, receipts }
}
