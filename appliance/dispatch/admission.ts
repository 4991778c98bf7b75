import type { TObject } from 'typebox'
import type { Clock } from '../contracts/clock.ts'
import { Envelope } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { INTENTS, intentDefinition, intentPolicy, isHazardous, type Identity, type IntentDefinition } from '../contracts/intents.ts'
import { validator, type Validator } from '../contracts/validate.ts'
import type { Guard } from '../guard/mode.ts'

const envelopeValidator = validator(Envelope)
/** Compiled once for each definition: a type that is declared anew has another one. */
const slotValidators = new WeakMap<IntentDefinition, Validator<TObject>>()
function slotsOf(definition: IntentDefinition): Validator<TObject> {
  let slots = slotValidators.get(definition)
  if (!slots) slotValidators.set(definition, slots = validator(definition.slots))
  return slots
}

/** Types that a role other than operator may submit; an operator may submit all. */
const QUERIES = new Set<string>(INTENTS.filter((i) => !i.policy.actuates && i.policy.repeatable).map((i) => i.type))

/** Which role may submit which type. Whoever may act may call for a stop; observers only look. */
function mayChange(role: Identity['role'], type: string): boolean {
  switch (role) {
    case 'operator': case 'flow': return true
    case 'worker': return type === 'stop' || (QUERIES.has(type) && type !== 'mode.set' && type !== 'arm.set')
    case 'device': return type === 'stop' || type === 'log.record'
    case 'observer': return false
  }
}

/** How old an envelope is, in ms, as far as this node can tell; undefined when no common clock is known. */
export function ageMs(envelope: Envelope, here: { node: string; boot: number }, clock: Clock): number | undefined {
  const { issuedAt, source } = envelope
  if (source.node === here.node && issuedAt.boot === here.boot) return Math.max(0, clock.monoMs() - issuedAt.mono)
  const wall = clock.wallMs()
  if (issuedAt.wall !== undefined && wall !== undefined) return Math.max(0, wall - issuedAt.wall)
  return undefined
}

/**
 * The checks in the fixed order: schema, authority, replay, confirmation, expiry, mode and arming.
 * @see ../../docs/07-journal-and-dispatch.md
 * The first failure throws an MtorError with the reject code. Replay itself is the journal's to know (its key is the
 * id); `replayed` is asked only when a later check fails, so that a repeat of an accepted intent is called a repeat
 * and not, say, expired.
 */
export class Admission {
  readonly #options: { clock: Clock; guard: Guard; here: () => { node: string; boot: number }; replayed: (envelope: Envelope) => Promise<boolean> }
  constructor(options: { clock: Clock; guard: Guard; here: () => { node: string; boot: number }; replayed: (envelope: Envelope) => Promise<boolean> }) { this.#options = options }

  /** @returns the envelope, to be made durable; or 'replayed' when the journal has this very intent already. */
  async admit(input: unknown, identity: Identity): Promise<Envelope | 'replayed'> {
    const envelope = envelopeValidator.assert(input, 'INVALID_ENVELOPE', 'envelope')
    const definition = intentDefinition(envelope.type)
    if (!definition) throw new MtorError('UNKNOWN_TYPE', `no intent type ${JSON.stringify(envelope.type)}`)
    slotsOf(definition).assert(envelope.slots, 'INVALID_SLOTS', `slots of ${envelope.type}`)
    if (!mayChange(identity.role, envelope.type)) throw new MtorError('UNAUTHORISED', `role ${identity.role} may not submit ${envelope.type}`)
    const refusal = unconfirmed(envelope) ?? this.#expired(envelope) ?? this.#options.guard.refusal(envelope.type)
    if (!refusal) return envelope
    if (await this.#options.replayed(envelope)) return 'replayed'
    throw refusal
  }

  #expired(envelope: Envelope): MtorError | undefined {
    const age = ageMs(envelope, this.#options.here(), this.#options.clock)
    if (age === undefined || age <= envelope.ttlMs) return undefined
    return new MtorError('EXPIRED', `issued ${Math.round(age)} ms ago, time to live ${envelope.ttlMs} ms`)
  }
}

/** What is hazardous needs the word of its sender that it was asked for. What is in a journal was accepted, and is not asked again. */
function unconfirmed({ type, slots, confirmed }: Envelope): MtorError | undefined {
  if (confirmed || !isHazardous(type, slots)) return undefined
  return new MtorError('NOT_CONFIRMED', `${type} must be confirmed, and the envelope does not say confirmed: true`)
}

/** Defaults of a type for one who submits by name: ttl and priority of its policy. */
export function policyOf(type: string) {
  const policy = intentPolicy(type)
  if (!policy) throw new MtorError('UNKNOWN_TYPE', `no intent type ${JSON.stringify(type)}`)
  return policy
}
