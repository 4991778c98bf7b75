import { systemClock } from '../../../appliance/contracts/clock.ts'
import { MtorError, toMtorError } from '../../../appliance/contracts/errors.ts'
import { LimitWatch, type LimitOptions, type LimitOutcome } from '../../lib/limit-watch.ts'
import { failed, milliseconds, numberOf, slotsFrom, type Field, type RealmUser } from '../../lib/node.ts'
import { packetsOf, valueAt, type Source } from '../../lib/readings.ts'
import type { Message, Red, RedNode } from '../../lib/red.ts'
import { submitting } from '../../lib/submitting.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser, Omit<Source, 'source'> {
  source?: 'input' | 'device' | 'node' | 'app'
  property?: string
  above?: number | string; below?: number | string; hysteresis?: number | string; count?: number | string
  rearm?: LimitOptions['rearm']; rearmS?: number | string
  action?: boolean; intentType?: string; slots?: readonly Field[]; confirmed?: boolean
}

/** Watches a value: output 1 when it has been beyond its limit often enough, output 2 when it is back. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-limit', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const source = config.source ?? 'input'
    const above = numberOf(config.above, undefined), below = numberOf(config.below, undefined)
    const options: LimitOptions = { above, below, count: Math.max(1, Math.round(numberOf(config.count, 1))), hysteresis: Math.max(0, numberOf(config.hysteresis, 0)), rearm: config.rearm ?? 'recovery', rearmMs: milliseconds(config.rearmS) ?? 60_000 }
    /** One watch for each thing that is read: two batteries are two values. */
    const watches = new Map<string, LimitWatch>()
    let last: number | undefined, isViolated = false
    // What comes in messages can be watched without an appliance.
    const isAlone = !config.realm && source === 'input' && !config.action
    const { to, run } = isAlone ? { to: undefined, run: undefined } : submitting(RED, this, config, () => last === undefined ? { fill: 'grey', shape: 'ring', text: RED._('status.waiting') } : { fill: isViolated ? 'red' : 'green', shape: 'dot', text: String(last) })
    if (above === undefined && below === undefined) return void this.error(new MtorError('CONFIG_INVALID', 'a limit needs a value for above or below'))

    const act = async (outcome: LimitOutcome, value: number, msg: Message) => {
      const told: Message = { ...msg, payload: value, limit: { outcome, above, below, count: options.count } }
      this.send(outcome === 'violated' ? [told, null] : [null, told])
      if (outcome !== 'violated' || !config.action || !run) return
      const slots = await slotsFrom(RED, this, told, { source: 'fields', fields: config.slots })
      const event = await run(told, { type: config.intentType?.trim() ?? '', slots, confirmed: config.confirmed === true || msg.confirmed === true })
      if (event.state !== 'succeeded') throw errorOf(event)
    }
    const take = async (of: string, value: unknown, msg: Message) => {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
      // What could not be read is no reading: it neither violates nor recovers.
      if (typeof number !== 'number' || !Number.isFinite(number)) return
      let watch = watches.get(of)
      if (!watch) watches.set(of, watch = new LimitWatch(options))
      const outcome = watch.take(number, systemClock.monoMs())
      last = number
      isViolated = [...watches.values()].some(({ violated }) => violated)
      if (to) to.refresh(); else this.status({ fill: isViolated ? 'red' : 'green', shape: 'dot', text: String(number) })
      if (outcome) await act(outcome, number, msg)
    }

    const off = source !== 'input' && to ? packetsOf(to.realm, { ...config, source }, ({ of, values }) => {
      // What a lost device said last is no reading.
      if (source === 'device' && values.connected === false) return
      const msg: Message = { topic: of, state: values }
      take(of, valueAt(RED, values, config.property), msg).catch((error: unknown) => this.error(toMtorError(error), msg))
    }) : undefined
    this.on('input', (msg, _send, done) => {
      if (msg.reset !== undefined) {
        for (const watch of watches.values()) watch.rearm()
        isViolated = false
        to?.refresh()
        return done()
      }
      const value = source === 'input' ? RED.util.getMessageProperty(msg, config.property?.trim() || 'payload') : undefined
      take(String(msg.topic ?? ''), value, msg).then(() => done(), (error: unknown) => failed(this, done, error))
    })
    to?.refresh()
    this.on('close', (_removed, done) => { off?.(); done() })
  })
}
