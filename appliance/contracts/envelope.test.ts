import test from 'ava'
import fc from 'fast-check'
import { Envelope, Receipt } from './envelope.ts'
import { IntentEvent, SystemEvent } from './events.ts'
import { MtorError } from './errors.ts'
import { uuidv7 } from './ids.ts'
import { NodeState, NodeTelemetry, RoverState } from './telemetry.ts'
import { validator } from './validate.ts'

const envelope = validator(Envelope)
const good = {
  v: 1, id: '0198c0de-0000-7000-8000-000000000001', type: 'drive.move', slots: { distanceM: 2 }, source: { kind: 'mqtt', node: 'base' },
  issuedAt: { boot: 3, mono: 12.5 }, ttlMs: 10_000, priority: 4,
}

test('an envelope without wall time and without auth is right', (t) => { t.deepEqual(envelope.problems(good), []) })
test('an envelope with wall time, operator and token is right', (t) => {
  t.true(envelope.check({ ...good, source: { ...good.source, operator: 'ada' }, issuedAt: { ...good.issuedAt, wall: 1_790_000_000_000 }, auth: { token: 'x' } }))
})

test('an envelope may say that it was confirmed', (t) => { t.deepEqual(envelope.problems({ ...good, confirmed: true }), []) })

const wrong: [string, Record<string, unknown>, string][] = [
  ['of another protocol version', { v: 2 }, '/v'],
  ['with a random UUID for an id', { id: '2f1e4d3c-0000-4000-8000-000000000001' }, '/id'],
  ['with an upper-case id', { id: good.id.toUpperCase() }, '/id'],
  ['with a path for a type', { type: '../drive' }, '/type'],
  ['with a list of slots', { slots: [1] }, '/slots'],
  ['from an unknown kind of source', { source: { kind: 'ghost', node: 'base' } }, '/source/kind'],
  ['from a node whose name is a topic filter', { source: { kind: 'mqtt', node: '+' } }, '/source/node'],
  ['that was never issued', { issuedAt: undefined }, ''],
  ['that lives for no time', { ttlMs: 0 }, '/ttlMs'],
  ['that lives for ever', { ttlMs: 8 * 24 * 3600_000 }, '/ttlMs'],
  ['with a fractional priority', { priority: 1.5 }, '/priority'],
  ['that says that it was not confirmed', { confirmed: false }, '/confirmed'],
  ['with a key nobody knows', { urgent: true }, ''],
]
for (const [what, change, path] of wrong) {
  test(`an envelope ${what} is refused, and the place is named`, (t) => {
    const problems = envelope.problems({ ...good, ...change })
    t.true(problems.length > 0)
    t.true(problems.some((problem) => problem.path.startsWith(path || '/')), JSON.stringify(problems))
    const error = t.throws(() => envelope.assert({ ...good, ...change }, 'INVALID_ENVELOPE', 'envelope'), { instanceOf: MtorError })
    t.is((error as MtorError).code, 'INVALID_ENVELOPE')
  })
}

test('any JSON value is either right or refused with a coded error: nothing else is thrown', (t) => {
  const validators = [Envelope, Receipt, IntentEvent, SystemEvent, NodeState, NodeTelemetry, RoverState].map((schema) => validator(schema))
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    for (const one of validators) {
      try { one.assert(value, 'INVALID_ENVELOPE', 'value') } catch (error) { if (!(error instanceof MtorError)) throw error }
    }
  }), { numRuns: 300 })
  t.true(validators.every((one) => one.problems('no object').length > 0))
})

test('one changed field of a right envelope never makes the validator and its list of problems disagree', (t) => {
  fc.assert(fc.property(fc.constantFrom(...Object.keys(good)), fc.jsonValue(), (key, value) => {
    const changed = { ...good, [key]: value }
    return envelope.check(changed) === (envelope.problems(changed).length === 0)
  }), { numRuns: 500 })
  t.true(envelope.check({ ...good, id: uuidv7() }))
})

test('a receipt may have no id, but an event may not', (t) => {
  t.true(validator(Receipt).check({ v: 1, id: null, accepted: false, code: 'MALFORMED', at: good.issuedAt }))
  t.false(validator(IntentEvent).check({ v: 1, id: null, type: 'help', state: 'accepted', at: good.issuedAt, node: 'base' }))
})
