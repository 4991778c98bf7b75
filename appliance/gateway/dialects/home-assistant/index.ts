import type { Heard } from '../../../bus/index.ts'
import { Throttle } from '../../../bus/limits.ts'
import type { Timer } from '../../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../../contracts/errors.ts'
import type { SystemEvent } from '../../../contracts/events.ts'
import { MODES, type Identity } from '../../../contracts/intents.ts'
import type { DurableValues } from '../../../guard/mode.ts'
import { textOf, type DialectParts } from '../port.ts'
import { BRIGHTNESS_SCALE, discoveryMessages, homeTopics, type About, type DiscoveryMessage } from './discovery.ts'

export interface HomeAssistantOptions extends DialectParts {
  enabled: boolean
  about: About
  values: DurableValues
}

const COMPONENT = 'home-assistant'
const REMEMBERED = 'dialects/home-assistant'
/** Where Home Assistant says it is there, whatever its discovery prefix is, unless it was told otherwise. */
const USUAL_STATUS = 'homeassistant/status'
/** It says so again and again while it starts: answered once, after this, ms. */
const SETTLE_MS = 500
const EMPTY = Buffer.alloc(0)
/** <prefix>/<component>/<node>/<entity>/config */
const prefixOf = (topic: string) => topic.split('/').slice(0, -4).join('/')

/**
 * MQTT discovery of Home Assistant: tells it what this node has to show and to offer, and makes intents of what it
 * asks for. What was told is remembered, so that an entity which has gone is taken back also after a restart, and
 * also where the whole dialect was switched off.
 */
export class HomeAssistant {
  readonly #o: HomeAssistantOptions
  readonly #messages: DiscoveryMessage[]
  readonly #home: ReturnType<typeof homeTopics>
  readonly #complaints: Throttle
  /** Told once, and not any more: to be taken back from the next Home Assistant that comes. */
  #gone: string[] = []
  #off: (() => void)[] = []
  #timer: Timer | undefined

  constructor(options: HomeAssistantOptions) {
    this.#o = options
    this.#messages = options.enabled ? discoveryMessages(options.about) : []
    this.#home = homeTopics(options.topics, options.about.node)
    this.#complaints = new Throttle(options.clock, 1, 5)
  }

  /** Finds out what an earlier start has told; before the bus starts, since it decides which topics that has. */
  async prepare(): Promise<void> {
    const told = await this.#o.values.read(REMEMBERED) as string[] | undefined ?? []
    const present = new Set(this.#messages.map(({ topic }) => topic))
    this.#gone = told.filter((topic) => !present.has(topic))
  }

  get active(): boolean { return this.#o.enabled || this.#gone.length > 0 }

  /** Its topics beyond our root. */
  get foreign(): string[] {
    if (!this.active) return []
    return [...this.#prefixes.map((prefix) => `${prefix}/#`), USUAL_STATUS]
  }
  get #prefixes() { return [...new Set([...this.#messages.map(({ topic }) => topic), ...this.#gone].map(prefixOf))] }

  async start(): Promise<void> {
    if (!this.active) return
    const { bus, hub, enabled } = this.#o
    await this.#remember()
    const statuses = new Set([...this.#prefixes.map((prefix) => `${prefix}/status`), USUAL_STATUS])
    this.#off = [...statuses].map((topic) => bus.subscribe(topic, ({ payload }) => { if (payload.toString() === 'online') this.#cameOnline() }, { realm: true }))
    this.#announce()
    if (enabled) this.#off.push(bus.subscribe(this.#home.commands, (heard) => { void this.#command(heard) }, { realm: true }), hub.onSystem((event) => this.#onSystem(event)))
  }

  stop(): void {
    for (const off of this.#off.splice(0)) off()
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** The broker has forgotten what was retained before its start, Home Assistant has not: it is told what has gone once it is there. */
  #cameOnline() {
    this.#timer ??= this.#o.clock.setTimeout(() => {
      this.#timer = undefined
      this.#announce()
      this.#gone = []
      void this.#remember()
    }, SETTLE_MS)
  }

  #announce() {
    const { bus } = this.#o
    for (const topic of this.#gone) bus.publish(topic, EMPTY, { retain: true, qos: 1 })
    for (const { topic, payload } of this.#messages) bus.publish(topic, payload, { retain: true, qos: 1 })
  }

  async #remember() {
    const { values, hub } = this.#o
    const told = [...this.#messages.map(({ topic }) => topic), ...this.#gone]
    try { await values.put(REMEMBERED, told.length > 0 ? told : undefined) } catch (error) {
      // Told again at the next start; at worst an entity that has gone stays in the list of Home Assistant.
      hub.system({ severity: 'warning', component: COMPONENT, name: 'memory.failed', code: toMtorError(error).code, message: toMtorError(error).message })
    }
  }

  #onSystem({ component, name, message, data }: SystemEvent) {
    if (component !== 'speech') return
    const { bus } = this.#o
    if (name === 'wake') bus.publish(this.#home.word, { event_type: 'wake', confidence: data?.confidence })
    else if (name === 'keyword') bus.publish(this.#home.word, { event_type: 'keyword', word: data?.word, confidence: data?.confidence })
    else if (name === 'heard' && data?.how !== 'rejected') bus.publish(this.#home.heard, Buffer.from(message ?? ''), { retain: true, qos: 1 })
  }

  async #command({ topic, payload, identity }: Heard) {
    const entity = topic.split('/').at(-2)!
    let answer: string | undefined
    try { answer = await this.#carryOut(entity, textOf(payload), identity) } catch (thrown) {
      const error = toMtorError(thrown)
      answer = error.say
      const leftOut = this.#complaints.pass()
      if (leftOut !== undefined) this.#o.hub.system({ severity: 'warning', component: COMPONENT, name: 'command.rejected', code: error.code, message: `${entity}: ${error.message}`, data: { client: identity.client, ...(leftOut > 0 ? { leftOut } : {}) } })
    }
    if (answer) this.#o.bus.publish(this.#home.answer, Buffer.from(answer), { retain: true, qos: 1 })
  }

  /** @returns what the box has to say to it. @throws MtorError with the code for which it was refused */
  async #carryOut(entity: string, text: string, identity: Identity): Promise<string | undefined> {
    switch (entity) {
      case 'mode':
        if (!(MODES as readonly string[]).includes(text)) throw new MtorError('INVALID_SLOTS', `expected ${MODES.join(', ')}, got ${JSON.stringify(text)}`)
        return this.#intent('mode.set', { mode: text }, identity)
      case 'picture': return this.#intent('camera.capture', {}, identity)
      case 'describe': return this.#intent('vision.describe', {}, identity)
      case 'say': return this.#intent('speech.say', { text }, identity)
      case 'command': return this.#sentence(text, identity)
    }
    const lights = this.#messages.some(({ payload }) => payload.command_topic === this.#home.command(entity) || payload.brightness_command_topic === this.#home.command(entity))
    if (!lights) throw new MtorError('UNKNOWN_TOPIC', `no entity ${JSON.stringify(entity)}`)
    if (!entity.endsWith('-brightness')) {
      if (text !== 'ON' && text !== 'OFF') throw new MtorError('INVALID_SLOTS', `expected ON or OFF, got ${JSON.stringify(text)}`)
      return this.#intent('light.set', { on: text === 'ON' }, identity)
    }
    const brightness = text.trim() === '' ? NaN : Number(text) / BRIGHTNESS_SCALE
    if (!(brightness >= 0 && brightness <= 1)) throw new MtorError('INVALID_SLOTS', `expected a number from 0 to ${BRIGHTNESS_SCALE}, got ${JSON.stringify(text)}`)
    return this.#intent('light.set', brightness > 0 ? { on: true, brightness } : { on: false }, identity)
  }

  async #intent(type: string, slots: Record<string, unknown>, identity: Identity): Promise<string | undefined> {
    const { service } = this.#o
    const { say } = await service.run(service.envelope(type, slots, { kind: identity.kind, operator: identity.client.slice(0, 64) }), identity)
    return say
  }

  /** A typed sentence; questions of the box are answered by the next one. */
  async #sentence(text: string, identity: Identity): Promise<string | undefined> {
    let said: string | undefined
    for await (const turn of this.#o.conversation.hear(`${COMPONENT}:${identity.client}`, text, identity, { spoken: false })) {
      if (turn.kind === 'say') said = turn.say
      else if (turn.kind === 'receipt' && !turn.receipt.accepted) said = turn.receipt.say
      else if (turn.kind === 'event') said = turn.event.say ?? said
    }
    return said
  }
}
