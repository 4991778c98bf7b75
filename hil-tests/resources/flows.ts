import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { HandlerOffer, HandlerReceipt, OnlineOffer } from '../../appliance/contracts/handlers.ts'
import { topicsOf } from '../../appliance/contracts/topics.ts'
import type { FlowsStatus } from '../../flows/runtime/index.ts'
import { Bench, type ControllerFact } from './bench.ts'
import { synthetic } from './sounds.ts'

export const EXAMPLES = join(import.meta.dirname, '../../flows/examples')
export const topics = topicsOf('bench')

export interface ExampleNode { id: string; type: string; z?: string; wires?: string[][]; x?: number; y?: number; [property: string]: unknown }
export const readExample = (name: string): ExampleNode[] => JSON.parse(readFileSync(join(EXAMPLES, `${name}.json`), 'utf8')) as ExampleNode[]

/** A bench whose appliance runs flows in its own Node-RED, with a client of the bus beside it. */
export class FlowBench {
  readonly bench: Bench
  readonly client: MqttClient
  /** What the flows have offered since a deploy, oldest first, and how many of that were answered. */
  #offers: OnlineOffer[] = []
  #receipts: HandlerReceipt[] = []

  private constructor(bench: Bench, client: MqttClient) {
    this.bench = bench
    this.client = client
  }

  /** Resolves once Node-RED runs. */
  static async open(options: { speedFactor?: number; settings?: Record<string, unknown> } = {}): Promise<FlowBench> {
    const bench = await Bench.open({ ...options, settings: { flows: { port: 0 }, ...options.settings } })
    let flows: FlowBench | undefined
    try {
      flows = new FlowBench(bench, await connectAsync(bench.appliance.mqttUrl, { clientId: 'onlooker' }))
      await flows.#listen()
      await flows.until('Node-RED runs', async () => (await flows!.status()).state === 'running' || undefined, 60_000)
    } catch (error) { await (flows ?? bench).close(); throw error }
    return flows
  }

  async #listen(): Promise<void> {
    const handler = 'flows-bench-node'
    this.client.on('message', (_, payload, { retain }) => {
      if (retain || payload.length === 0) return
      const message = JSON.parse(payload.toString()) as HandlerOffer | HandlerReceipt
      if ('online' in message) { if (message.online) this.#offers.push(message) } else if ('problems' in message) this.#receipts.push(message)
    })
    await this.client.subscribeAsync([topics.handlerOffer(handler), topics.handlerReceipt(handler)])
  }

  get appliance() { return this.bench.appliance }
  status(): Promise<FlowsStatus> { return this.appliance.control.call('GET', '/flows') as Promise<FlowsStatus> }

  /** Puts an example in the place of what was deployed; resolves once its sentences are understood and heard. @throws MtorError with what was refused of it */
  async use(name: string): Promise<void> {
    const nodes = readExample(name)
    const typesOf = (type: string) => [...new Set(nodes.flatMap((node) => node.type === type ? [String(node.intentType)] : []))].sort().join()
    const handles = typesOf('mtor-intent-in'), declares = typesOf('mtor-intent-define')
    this.#offers = []
    this.#receipts = []
    await this.appliance.control.call('POST', '/flows/import', { file: join(EXAMPLES, `${name}.json`) })
    await this.until(`${name} is learned`, () => {
      const at = this.#offers.findIndex((offer) => offer.handles.toSorted().join() === handles && offer.declares.map(({ type }) => type).sort().join() === declares)
      const receipt = at < 0 ? undefined : this.#receipts[at]
      if (receipt && (!receipt.accepted || receipt.problems.length > 0 || receipt.unknownWords)) throw new MtorError('FLOW_INVALID', `${name}: ${JSON.stringify(receipt)}`)
      return receipt
    })
  }

  /** Says it in a synthetic voice; resolves with what the box reported, once it has answered. */
  async say(text: string): Promise<Record<string, unknown>[]> { return this.bench.play(await synthetic(this.bench.dir, text)) }

  /** What has been said, sentence by sentence. */
  get said(): string[] { return this.bench.replies().map(({ text }) => text) }
  /** Waits for a sentence that is spoken after the first `from` ones; resolves with all that was said since then, up to it. */
  hears(pattern: RegExp, from: number, timeoutMs = 60_000): Promise<string> {
    return this.until(`the box says ${pattern}`, () => {
      const said = this.said.slice(from), at = said.findIndex((text) => pattern.test(text))
      return at < 0 ? undefined : said.slice(0, at + 1).join(' ')
    }, timeoutMs)
  }

  get facts(): ControllerFact[] { return this.bench.controllerFacts() }
  /** Commands that the controller began to carry out after the first `from` facts, as "MOVE 1000" or "SET_LIGHT 255". */
  executed(from: number): string[] {
    return this.facts.slice(from).flatMap(({ fact, command, ...more }) => fact === 'execute' ? [`${command} ${String(more.distanceMm ?? more.angleCdeg ?? more.fraction255 ?? more.speedMmps)}`] : [])
  }

  /** @throws MtorError DEADLINE with what has been said and what the box wrote into its log last */
  async until<T>(what: string, find: () => T | undefined | Promise<T | undefined>, timeoutMs = 30_000): Promise<T> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const found = await find()
      if (found !== undefined) return found
      if (performance.now() > until) throw new MtorError('DEADLINE', `not within ${timeoutMs} ms: ${what}; said: ${JSON.stringify(this.said)}; log: ${this.#lastLines()}`)
      await new Promise((done) => setTimeout(done, 50))
    }
  }

  #lastLines(): string { try { return readFileSync(this.appliance.factLog, 'utf8').trimEnd().split('\n').slice(-25).join('\n') } catch { return 'none' } }

  async close(): Promise<void> {
    await this.client.endAsync(true)
    await this.bench.close()
  }
}
