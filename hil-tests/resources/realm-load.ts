import { closeSync, openSync, writeSync } from 'node:fs'
import { connect, type MqttClient } from 'mqtt'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { PROTOCOL_VERSION, type Envelope, type Receipt } from '../../appliance/contracts/envelope.ts'
import { uuidv7 } from '../../appliance/contracts/ids.ts'
import { intentDefinition } from '../../appliance/contracts/intents.ts'
import { topicsOf } from '../../appliance/contracts/topics.ts'

/** How often each kind is submitted, as weights. Motions are small, so that many fit into a campaign. */
const MIX: [weight: number, type: string, slots: (random: () => number) => Record<string, unknown>][] = [
  [4, 'drive.move', (random) => ({ distanceM: Math.round((random() - 0.5) * 20) / 100 || 0.05 })],
  [2, 'drive.turn', (random) => ({ angleDeg: Math.round((random() - 0.5) * 30) || 5 })],
  [4, 'light.set', (random) => ({ on: random() < 0.5 })],
  [5, 'log.record', (random) => ({ text: `note ${Math.floor(random() * 1e9)}` })],
  [2, 'time.tell', () => ({})],
]
const TOTAL = MIX.reduce((sum, [weight]) => sum + weight, 0)
/** A node that cannot take it now; another one, or the same one later, may. */
const TRY_ELSEWHERE = new Set(['NO_QUORUM', 'JOURNAL_UNAVAILABLE', 'BUSY', 'TOO_FAST', 'INTERNAL', 'DISK_FULL'])
const PATIENCE_MS = 3_000
const AGAIN_MS = 300
const MAX_OPEN = 24

export interface RealmClientOptions {
  name: string
  /** The nodes, the first one first. */
  urls: readonly string[]
  credentials: { username: string; password: string }
  realm: string
  logFile: string
  random(): number
  perSecond: number
}

/**
 * A client of the realm that submits intents over MQTT until each is answered: when its node is gone, silent or cannot
 * take them, it goes to the next one and submits what is unanswered again, with the same ids. Its log says what it
 * submitted where, and every receipt.
 */
export class RealmClient {
  readonly #o: RealmClientOptions
  readonly #topics
  readonly #pending = new Map<string, { envelope: Envelope; sentMs: number }>()
  readonly #mine = new Set<string>()
  #at: number
  #client: MqttClient | undefined
  #isReady = false
  #fd = -1
  #timers: NodeJS.Timeout[] = []
  #running = false
  submitted = 0
  hops = 0

  constructor(options: RealmClientOptions, first = 0) {
    this.#o = options
    this.#topics = topicsOf(options.realm)
    this.#at = first
  }

  get open(): number { return this.#pending.size }

  start(): void {
    this.#fd = openSync(this.#o.logFile, 'a')
    this.#running = true
    this.#connect()
    this.#timers = [setInterval(() => { if (this.#pending.size < MAX_OPEN) this.#submit() }, 1000 / this.#o.perSecond), setInterval(() => { this.#look() }, AGAIN_MS)]
  }

  #connect(): void {
    const { urls, name, credentials } = this.#o
    const url = urls[this.#at % urls.length]!
    const client = this.#client = connect(url, { ...credentials, clientId: name, clean: true, reconnectPeriod: 0, connectTimeout: 2_000, keepalive: 5, resubscribe: false })
    this.#isReady = false
    client.on('error', () => { /* Expected while a node is down: the end of the connection follows. */ })
    client.on('message', (topic, payload) => { if (this.#client === client) this.#hear(topic, payload) })
    client.once('connect', () => {
      client.subscribe([`${this.#topics.root}/intent/+/receipt`, `${this.#topics.root}/intent/+/event`], { qos: 1 }, (error) => {
        if (this.#client !== client) return
        if (error) { this.#hop(); return }
        this.#isReady = true
        for (const pending of this.#pending.values()) this.#send(pending)
      })
    })
    client.once('close', () => { if (this.#client === client) this.#hop() })
  }

  /** To the next node, after a moment. */
  #hop(): void {
    const former = this.#client
    this.#client = undefined
    this.#isReady = false
    former?.end(true)
    if (!this.#running) return
    this.#at += 1
    this.hops += 1
    const timer = setTimeout(() => { if (this.#running) this.#connect() }, AGAIN_MS)
    this.#timers.push(timer)
  }

  #submit(): void {
    let pick = this.#o.random() * TOTAL
    const [, type, slots] = MIX.find(([weight]) => (pick -= weight) < 0) ?? MIX[0]!
    const policy = intentDefinition(type)!.policy
    const wall = clock.wallMs()
    const envelope: Envelope = { v: PROTOCOL_VERSION, id: uuidv7(), type, slots: slots(this.#o.random), source: { kind: 'mqtt', node: this.#o.name }, issuedAt: { boot: 1, mono: clock.monoMs(), ...(wall ? { wall } : {}) }, ttlMs: policy.ttlMs, priority: policy.priority }
    const pending = { envelope, sentMs: clock.monoMs() }
    this.#log({ fact: 'submit', id: envelope.id, type })
    this.submitted += 1
    this.#mine.add(envelope.id)
    this.#pending.set(envelope.id, pending)
    if (this.#isReady) this.#send(pending)
  }

  #send(pending: { envelope: Envelope; sentMs: number }): void {
    const { id } = pending.envelope
    pending.sentMs = clock.monoMs()
    this.#log({ fact: 'sent', id, to: this.#at % this.#o.urls.length })
    this.#client!.publish(this.#topics.submit, JSON.stringify(pending.envelope), { qos: 1 }, (error) => { if (!error) this.#log({ fact: 'acknowledged', id }) })
  }

  #hear(topic: string, payload: Buffer): void {
    const [, , , , id = '', what] = topic.split('/')
    if (!this.#mine.has(id)) return
    if (what === 'event') {
      const { state, node } = JSON.parse(payload.toString()) as { state: string; node: string }
      this.#log({ fact: 'event', id, state, node })
      return
    }
    const receipt = JSON.parse(payload.toString()) as Receipt
    this.#log({ fact: 'receipt', receipt })
    const pending = this.#pending.get(id)
    if (!pending) return
    if (receipt.accepted || !TRY_ELSEWHERE.has(receipt.code ?? '')) { this.#pending.delete(id); return }
    // Not at once: the answer would be the same.
    pending.sentMs = clock.monoMs() - PATIENCE_MS + AGAIN_MS
  }

  /** A node that has left something unanswered for too long is left. */
  #look(): void {
    if (!this.#isReady) return
    const nowMs = clock.monoMs()
    if ([...this.#pending.values()].some(({ sentMs }) => nowMs - sentMs > PATIENCE_MS)) this.#hop()
  }

  /** Submits no more; waits until everything is answered, at most `timeoutMs`. */
  async drain(timeoutMs: number): Promise<boolean> {
    clearInterval(this.#timers[0])
    const untilMs = performance.now() + timeoutMs
    while (this.#pending.size > 0 && performance.now() < untilMs) await new Promise((done) => setTimeout(done, 50))
    return this.#pending.size === 0
  }

  stop(): void {
    this.#running = false
    for (const timer of this.#timers) clearInterval(timer)
    const client = this.#client
    this.#client = undefined
    client?.end(true)
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  #log(fact: Record<string, unknown>): void { if (this.#fd >= 0) writeSync(this.#fd, `${JSON.stringify({ at: clock.monoMs(), client: this.#o.name, ...fact })}\n`) }
}
