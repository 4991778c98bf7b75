import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import type { WyomingReport } from '../messages.ts'
import { encodeEvent, EventReader, type WyomingEvent } from './codec.ts'
import { Satellite } from './satellite.ts'
import { WyomingServer, type ServerOptions } from './server.ts'
import { SpareVoice } from './spare-voice.ts'

async function server(t: ExecutionContext, options: Partial<ServerOptions> = {}) {
  const clock = new ManualClock()
  const reports: WyomingReport[] = []
  const waits: (() => void)[] = []
  const report = (event: WyomingReport) => { reports.push(event); for (const wait of waits.splice(0)) wait() }
  const part = new WyomingServer({ host: '127.0.0.1', port: 0, maxConnections: 4, eventsPerSecond: 100, clock, info: () => ({ asr: [] }), ears: undefined, voice: new SpareVoice({ engine: undefined, voice: 'rms' }), report, ...options })
  t.teardown(() => part.stop())
  part.start()
  const reported = async (name: string) => {
    for (;;) {
      const found = reports.find((event) => event.name === name)
      if (found) return found
      await new Promise<void>((resolve) => { waits.push(resolve) })
    }
  }
  return { part, clock, reports, reported, port: options.port ?? (await reported('wyoming.listening')).data!['port'] as number }
}

async function client(t: ExecutionContext, port: number) {
  const socket: Socket = connect(port, '127.0.0.1')
  t.teardown(() => { socket.destroy() })
  socket.on('error', () => {})
  await once(socket, 'connect')
  const reader = new EventReader()
  const got: WyomingEvent[] = []
  const waits: (() => void)[] = []
  socket.on('data', (bytes: Buffer) => { got.push(...reader.push(bytes)); for (const wait of waits.splice(0)) wait() })
  const closed = once(socket, 'close')
  return {
    socket, closed, got,
    send: (type: string, data: Record<string, unknown> = {}) => { socket.write(encodeEvent({ type, data })) },
    async event(type: string) {
      for (;;) {
        const found = got.find((event) => event.type === type)
        if (found) return found
        await new Promise<void>((resolve) => { waits.push(resolve) })
      }
    },
  }
}

test('a client that says nothing for a minute is cut off', async (t) => {
  const { port, clock } = await server(t)
  const { send, event, closed, socket } = await client(t, port)
  send('ping', { text: 'a' })
  await event('pong')
  await clock.advance(59_000)
  t.false(socket.destroyed)
  await clock.advance(40_000)
  await closed
  t.true(socket.destroyed)
})

test('the server of a satellite is asked whether it is there, and stays while it answers', async (t) => {
  const clock = new ManualClock()
  const { port } = await server(t, { clock, satellite: new Satellite({ mode: 'rest', clock, play: () => {}, report: () => {} }) })
  const { send, event, got, socket } = await client(t, port)
  send('run-satellite')
  send('describe')
  await event('info')
  for (let i = 0; i < 6; i++) {
    got.length = 0
    await clock.advance(20_000)
    await event('ping')
    send('pong')
    send('describe')
    await event('info')
  }
  t.false(socket.destroyed)
})

test('what comes faster than allowed is read later, and all of it is answered', async (t) => {
  const { port, clock } = await server(t)
  const { send, got } = await client(t, port)
  for (let i = 0; i < 500; i++) send('ping', { text: String(i) })
  const pongs = () => got.filter(({ type }) => type === 'pong')
  const settled = async () => { for (let before = -1; before !== pongs().length;) { before = pongs().length; await new Promise((resolve) => { setTimeout(resolve, 50) }) } }
  await settled()
  t.is(pongs().length, 200, 'the burst')
  for (let i = 0; i < 100; i++) await clock.advance(10)
  await settled()
  t.true(pongs().length >= 290 && pongs().length <= 301, `${pongs().length} after a second more`)
  for (let tries = 0; pongs().length < 500 && tries < 2_000; tries++) await clock.advance(10)
  await settled()
  t.deepEqual(pongs().map(({ data }) => data['text']), Array.from({ length: 500 }, (_, i) => String(i)))
})

test('a port that is taken is told once, tried again, and opened when it is free', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const { clock, reports, reported } = await server(t, { port })
  t.is((await reported('wyoming.failed')).code, 'CONFIG_INVALID')
  await clock.advance(5_000)
  other.close()
  await once(other, 'close')
  while (!reports.some(({ name }) => name === 'wyoming.listening')) { await clock.advance(5_000); await new Promise((resolve) => { setTimeout(resolve, 5) }) }
  t.is(reports.filter(({ name }) => name === 'wyoming.failed').length, 1)
})

test('a box without ears and voice says what it lacks, and cuts off', async (t) => {
  const { port } = await server(t)
  for (const [type, data] of [['transcribe', {}], ['detect', {}], ['synthesize', { text: 'hello' }]] as const) {
    const { send, event, closed } = await client(t, port)
    send(type, data)
    t.is((await event('error')).data['code'], 'ENGINE_MISSING')
    await closed
  }
})

test('stopping cuts off who is there, and twice is fine', async (t) => {
  const { part, port } = await server(t)
  const { closed } = await client(t, port)
  await part.stop()
  await closed
  await t.notThrowsAsync(part.stop())
})
