import test from 'ava'
import fc from 'fast-check'
import { uuidv7 } from '../contracts/ids.ts'
import { MtorError } from '../contracts/errors.ts'
import { sampleInput } from './contract.ts'
import { SqliteHarness } from './harness.ts'
import type { JournalEntry } from './port.ts'

/** The journal as one would write it without a disk. */
class Model {
  entries = new Map<string, JournalEntry>()
  values = new Map<string, unknown>()
  epochs = new Map<string, number>()
  sequences = new Map<string, number>()
}

const IDS = Array.from({ length: 3 }, () => uuidv7())
const DEVICES = ['rover', 'arm']
const KEYS = ['timer/a', 'timer/b', 'mode/now']

const id = fc.constantFrom(...IDS)
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('accept' as const), id, distanceM: fc.constantFrom(1, 2) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('claim' as const), id, node: fc.constantFrom('a', 'b'), device: fc.option(fc.constantFrom(...DEVICES), { nil: undefined }), stale: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('progress' as const), id, n: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('finish' as const), id, state: fc.constantFrom('succeeded' as const, 'failed' as const), deadLetter: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('clear' as const), id }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('epoch' as const), device: fc.constantFrom(...DEVICES) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('put' as const), key: fc.constantFrom(...KEYS), value: fc.option(fc.jsonValue(), { nil: undefined }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('reopen' as const) }) },
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

const plain = <T>(value: T): T => value === undefined ? value : JSON.parse(JSON.stringify(value)) as T

/** What the model answers, and what changes in it. */
function expected(model: Model, op: Operation, wall: number): unknown {
  switch (op.op) {
    case 'accept': {
      const known = model.entries.get(op.id)
      if (known) return known.envelope.slots.distanceM === op.distanceM ? 'duplicate' : 'conflict'
      model.entries.set(op.id, { ...inputOf(op), state: 'accepted', deadLetter: false })
      return 'accepted'
    }
    case 'claim': {
      const entry = model.entries.get(op.id)
      if (!entry || entry.final || (entry.claim && entry.claim.node !== op.node)) return undefined
      if (op.device && op.stale && (model.epochs.get(op.device) ?? 0) > 0) return 'STALE_EPOCH'
      const attempt = (entry.claim?.attempt ?? 0) + 1
      let ticket
      if (op.device) {
        const epoch = model.epochs.get(op.device) ?? 1
        const sequence = (model.sequences.get(op.device) ?? 0) + 1
        model.epochs.set(op.device, epoch)
        model.sequences.set(op.device, sequence)
        ticket = { device: op.device, epoch, sequence }
      }
      Object.assign(entry, { state: 'claimed', claim: { node: op.node, attempt, ...(ticket ? { ticket } : {}) } })
      return { attempt, ...(ticket ? { ticket } : {}) }
    }
    case 'progress': {
      const entry = model.entries.get(op.id)
      if (entry && !entry.final) entry.progress = { n: op.n }
      return undefined
    }
    case 'finish': {
      const entry = model.entries.get(op.id)
      if (!entry || entry.final) return false
      Object.assign(entry, { state: op.state, final: { say: 'Done.' }, deadLetter: op.deadLetter, finishedWall: wall })
      return true
    }
    case 'clear': {
      const entry = model.entries.get(op.id)
      if (!entry?.deadLetter) return false
      entry.deadLetter = false
      return true
    }
    case 'epoch': {
      const epoch = (model.epochs.get(op.device) ?? 0) + 1
      model.epochs.set(op.device, epoch)
      model.sequences.set(op.device, 0)
      return epoch
    }
    case 'put': {
      if (op.value === undefined) model.values.delete(op.key)
      else model.values.set(op.key, plain(op.value))
      return undefined
    }
    case 'reopen': return undefined
  }
}

const inputOf = (op: { id: string; distanceM: number }) => sampleInput({ id: op.id, slots: { distanceM: op.distanceM } })

function apply(harness: SqliteHarness, op: Operation): Promise<unknown> {
  const { journal } = harness
  switch (op.op) {
    case 'accept': return journal.accept(inputOf(op))
    case 'claim': return journal.claim(op.id, { node: op.node, device: op.device, ...(op.stale && op.device ? { epoch: 0 } : {}) }).catch((error: unknown) => (error as MtorError).code)
    case 'progress': return journal.progress(op.id, { n: op.n })
    case 'finish': return journal.finish(op.id, { state: op.state, say: 'Done.', deadLetter: op.deadLetter })
    case 'clear': return journal.clearDeadLetter(op.id)
    case 'epoch': return journal.nextEpoch(op.device)
    case 'put': return journal.put(op.key, op.value)
    case 'reopen': return harness.reopen().then(() => undefined)
  }
}

test('any order of operations and reopens gives what a model without a disk gives', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 60 }), async (operations) => {
    const harness = await SqliteHarness.make()
    try {
      const model = new Model()
      let waiting: Promise<unknown>[] = []
      let wanted: unknown[] = []
      // Between two reopens everything is submitted at once: the order of submission is the order of effect.
      for (const op of [...operations, { op: 'reopen' as const }]) {
        if (op.op === 'reopen') {
          t.deepEqual(await Promise.all(waiting), wanted)
          waiting = []
          wanted = []
          await harness.reopen()
          continue
        }
        // An epoch of 0 is older than any that was given; on a device without one it would be the first.
        if (op.op === 'claim' && op.stale && op.device && !model.epochs.has(op.device)) continue
        waiting.push(apply(harness, op))
        wanted.push(expected(model, op, harness.clock.wallMs()!))
      }
      const { journal } = harness
      const entries = [...model.entries.values()].map(plain)
      t.deepEqual(await journal.unfinished(), entries.filter((entry) => !entry.final))
      t.deepEqual(await journal.list(), entries.toReversed())
      t.deepEqual(await journal.list({ deadLetter: true }), entries.filter((entry) => entry.deadLetter).toReversed())
      t.deepEqual(await journal.keys(''), [...model.values.keys()].sort())
      for (const key of KEYS) t.deepEqual(await journal.read(key), model.values.get(key))
    } finally { await harness.dispose() }
  }), { numRuns: 20, seed: 20_260_101 })
})
