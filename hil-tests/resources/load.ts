import { closeSync, openSync, writeSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { PassThrough } from 'node:stream'
import { connect, MqttClient } from 'mqtt'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { PROTOCOL_VERSION, type Envelope } from '../../appliance/contracts/envelope.ts'
import { uuidv7 } from '../../appliance/contracts/ids.ts'
import { intentDefinition } from '../../appliance/contracts/intents.ts'
import { topicsOf } from '../../appliance/contracts/topics.ts'

/** How often each kind is submitted, as weights. Motions are small, so that many fit into a campaign. */
const MIX: [weight: number, type: string, slots: (random: () => number) => Record<string, unknown>][] = [
  [5, 'drive.move', (random) => ({ distanceM: Math.round((random() - 0.5) * 40) / 100 || 0.1 })],
  [3, 'drive.turn', (random) => ({ angleDeg: Math.round((random() - 0.5) * 60) || 5 })],
  [3, 'light.set', (random) => ({ on: random() < 0.5 })],
  [6, 'log.record', (random) => ({ text: `note ${Math.floor(random() * 1e9)}` })],
  [2, 'time.tell', () => ({})],
]
const TOTAL = MIX.reduce((sum, [weight]) => sum + weight, 0)

/**
 * A client that submits intents over MQTT with QoS 1, as an integrator's would: what is not acknowledged is sent again
 * by the MQTT library after a reconnect. Its log says what it submitted, what was acknowledged, and every receipt.
 *
 * Receipts are heard on a connection of their own, and nothing is sent before that one has subscribed: the library sends
 * again before it subscribes again, so on one connection the receipts of what it sends again after a kill go to nobody.
 */
export class IntentLoad {
  readonly #o: { url: string; logFile: string; random: () => number; perSecond: number; realm: string }
  #client: MqttClient | undefined
  #ears: MqttClient | undefined
  #isHearing = false
  #fd = -1
  #timer: NodeJS.Timeout | undefined
  #open = 0
  submitted = 0
  acknowledged = 0

  constructor(options: { url: string; logFile: string; random: () => number; perSecond: number; realm: string }) { this.#o = options }

  async start(): Promise<void> {
    const topics = topicsOf(this.#o.realm)
    this.#fd = openSync(this.#o.logFile, 'a')
    const options = { reconnectPeriod: 100, connectTimeout: 5_000, queueQoSZero: false }
    const ears = this.#ears = connect(this.#o.url, { ...options, clientId: 'load-ears', resubscribe: false })
    ears.on('message', (_, payload) => { this.#log({ fact: 'receipt', receipt: JSON.parse(payload.toString()) as unknown }) })
    ears.on('connect', () => { ears.subscribe(`${topics.root}/intent/+/receipt`, { qos: 1 }, (error) => { this.#isHearing = !error }) })
    ears.on('close', () => { this.#isHearing = false })
    const { hostname, port } = new URL(this.#o.url)
    const client = this.#client = new MqttClient(() => this.#isHearing ? connectTcp(Number(port), hostname) : new PassThrough().destroy(), { ...options, clientId: 'load', clean: false, protocolVersion: 4 })
    for (const either of [ears, client]) either.on('error', () => { /* Expected while the daemon is down: the library connects again. */ })
    await new Promise<void>((done) => client.once('connect', () => done()))
    this.#timer = setInterval(() => { if (this.#open < 64) this.#submit(topics.submit) }, 1000 / this.#o.perSecond)
  }

  #submit(topic: string): void {
    let pick = this.#o.random() * TOTAL
    const [, type, slots] = MIX.find(([weight]) => (pick -= weight) < 0) ?? MIX[0]!
    const policy = intentDefinition(type)!.policy
    const wall = clock.wallMs()
    // Another node than the box: its monotonic clock is not the box's.
    const envelope: Envelope = { v: PROTOCOL_VERSION, id: uuidv7(), type, slots: slots(this.#o.random), source: { kind: 'mqtt', node: 'load-client' }, issuedAt: { boot: 1, mono: clock.monoMs(), ...(wall ? { wall } : {}) }, ttlMs: policy.ttlMs, priority: policy.priority }
    this.#log({ fact: 'submit', id: envelope.id, type, slots: envelope.slots })
    this.submitted += 1
    this.#open += 1
    this.#client!.publish(topic, JSON.stringify(envelope), { qos: 1 }, (error) => {
      this.#open -= 1
      if (error) { this.#log({ fact: 'not-acknowledged', id: envelope.id, message: error.message }); return }
      this.acknowledged += 1
      this.#log({ fact: 'acknowledged', id: envelope.id })
    })
  }

  #log(fact: Record<string, unknown>): void { if (this.#fd >= 0) writeSync(this.#fd, `${JSON.stringify({ at: clock.monoMs(), ...fact })}\n`) }

  /** Submits no more; waits until everything under way is acknowledged, at most `timeoutMs`. */
  async drain(timeoutMs: number): Promise<boolean> {
    clearInterval(this.#timer)
    const until = performance.now() + timeoutMs
    while (this.#open > 0 && performance.now() < until) await new Promise((done) => setTimeout(done, 50))
    return this.#open === 0
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all([this.#client?.endAsync(true), this.#ears?.endAsync(true)])
    this.#client = this.#ears = undefined
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }
}
