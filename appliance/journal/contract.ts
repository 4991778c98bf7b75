import { setTimeout } from 'node:timers/promises'
import type { ExecutionContext, TestFn } from 'ava'
import { PROTOCOL_VERSION, type Envelope } from '../contracts/envelope.ts'
import { uuidv7 } from '../contracts/ids.ts'
import { MtorError } from '../contracts/errors.ts'
import type { AcceptInput, Journal, JournalStats } from './port.ts'

/** One storage with a journal on it. */
export interface JournalHarness {
  journal: Journal
  /** Stops the journal and returns a started one on the same storage. */
  reopen(): Promise<Journal>
  /** Stops the journal and removes the storage. */
  dispose(): Promise<void>
}

/** An envelope as the gateways build it. */
export function sampleEnvelope(overrides: Partial<Envelope> = {}): Envelope {
  return {
    v: PROTOCOL_VERSION, id: uuidv7(), type: 'drive.move', slots: { distanceM: 2, note: 'snow ☃ and \u0000 and \ud800' },
    source: { kind: 'mqtt', node: 'base' }, issuedAt: { boot: 1, mono: 12.345 }, ttlMs: 10_000, priority: 4, ...overrides,
  }
}

/** What `accept` takes, for tests. */
export const sampleInput = (overrides: Partial<Envelope> = {}): AcceptInput =>
  ({ envelope: sampleEnvelope(overrides), client: 'console-1', acceptedAt: { boot: 3, mono: 1234.567, wall: 1_770_000_000_000 } })

/**
 * Every promise of port.ts as an AVA test, for any adapter. `make` returns a started journal on empty storage.
 * Durability against kill −9 and faults of the storage are the adapter's own tests.
 */
export function journalContract(test: TestFn, adapter: string, make: () => Promise<JournalHarness>) {
  const promise = (title: string, body: (t: ExecutionContext, harness: JournalHarness, journal: Journal) => Promise<void>) => {
    test(`${adapter}: ${title}`, async (t) => {
      const harness = await make()
      try { await body(t, harness, harness.journal) } finally { await harness.dispose() }
    })
  }

  promise('what was accepted is there with all it came with, also after a reopen', async (t, harness, journal) => {
    const input = sampleInput({ auth: { token: 'x' } })
    const noWall = { ...sampleInput(), acceptedAt: { boot: 0, mono: 0 } }
    t.is(await journal.accept(input), 'accepted')
    t.is(await journal.accept(noWall), 'accepted')
    const expected = [input, noWall].map((given) => ({ ...given, state: 'accepted', deadLetter: false }))
    t.deepEqual(await journal.unfinished() as unknown, expected)
    const reopened = await harness.reopen()
    t.deepEqual(await reopened.unfinished() as unknown, expected)
    t.deepEqual(await reopened.get(noWall.envelope.id) as unknown, expected[1])
    t.is(await reopened.get(uuidv7()), undefined)
  })

  promise('the same id is a duplicate with the same content in any key order, and a conflict with other content', async (t, harness, journal) => {
    const input = sampleInput()
    const { id, ...rest } = input.envelope
    await journal.accept(input)
    const reordered: AcceptInput = { ...input, acceptedAt: { boot: 4, mono: 1 }, client: 'other', envelope: { ...Object.fromEntries(Object.entries(rest).reverse()), id } as Envelope }
    t.is(await journal.accept(reordered), 'duplicate')
    t.is(await journal.accept({ ...input, envelope: { ...input.envelope, slots: { distanceM: 3 } } }), 'conflict')
    t.is((await journal.get(id))?.client, 'console-1', 'the first one stays as it was')
    await journal.finish(id, { state: 'succeeded' })
    const reopened = await harness.reopen()
    t.is(await reopened.accept(input), 'duplicate')
    t.is(await reopened.accept({ ...input, envelope: { ...input.envelope, ttlMs: 9 } }), 'conflict')
  })

  promise('of many submissions of one id at once exactly one is accepted', async (t, _harness, journal) => {
    const input = sampleInput()
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => journal.accept(input)))
    t.is(outcomes.filter((outcome) => outcome === 'accepted').length, 1)
    t.is(outcomes.filter((outcome) => outcome === 'duplicate').length, 49)
  })

  promise('unfinished intents come in order of acceptance', async (t, harness, journal) => {
    // Ids are made by submitters, so their order is not the order of acceptance.
    const inputs = Array.from({ length: 40 }, (_, i) => sampleInput({ id: uuidv7(1_800_000_000_000 - i) }))
    await Promise.all(inputs.map((input) => journal.accept(input)))
    await journal.finish(inputs[7]!.envelope.id, { state: 'aborted', code: 'CANCELLED' })
    await journal.claim(inputs[3]!.envelope.id, { node: 'base' })
    const expected = inputs.filter((_, i) => i !== 7).map((input) => input.envelope.id)
    t.deepEqual((await journal.unfinished()).map((entry) => entry.envelope.id), expected)
    t.deepEqual((await (await harness.reopen()).unfinished()).map((entry) => entry.envelope.id), expected)
  })

  promise('a claim belongs to one node; claiming again there is one more attempt', async (t, harness, journal) => {
    const { envelope: { id } } = await accepted(journal)
    t.deepEqual(await journal.claim(id, { node: 'base' }), { attempt: 1 })
    t.is(await journal.claim(id, { node: 'other' }), undefined)
    const reopened = await harness.reopen()
    t.is(await reopened.claim(id, { node: 'other' }), undefined)
    t.deepEqual(await reopened.claim(id, { node: 'base' }), { attempt: 2 })
    const entry = await reopened.get(id)
    t.deepEqual([entry?.state, entry?.claim], ['claimed', { node: 'base', attempt: 2 }])
    await reopened.finish(id, { state: 'failed', code: 'DEADLINE' })
    t.is(await reopened.claim(id, { node: 'base' }), undefined, 'a final intent is not claimed')
    t.is(await reopened.claim(uuidv7(), { node: 'base' }), undefined, 'an unknown intent is not claimed')
  })

  promise('of many claims by different nodes at once one wins', async (t, _harness, journal) => {
    const { envelope: { id } } = await accepted(journal)
    const claims = await Promise.all(['a', 'b', 'c', 'd'].map((node) => journal.claim(id, { node })))
    t.is(claims.filter((claim) => claim !== undefined).length, 1)
  })

  promise('a device claim gets a stored ticket whose sequence grows within the epoch', async (t, harness, journal) => {
    const epoch = await journal.nextEpoch('rover')
    const inputs = await Promise.all(Array.from({ length: 20 }, () => accepted(journal)))
    const tickets = await Promise.all(inputs.map(({ envelope }) => journal.claim(envelope.id, { node: 'base', device: 'rover', epoch })))
    tickets.forEach((claim, i) => t.deepEqual(claim?.ticket, { device: 'rover', epoch, sequence: tickets[0]!.ticket!.sequence + i }))
    const reopened = await harness.reopen()
    t.deepEqual((await reopened.get(inputs[5]!.envelope.id))?.claim, { node: 'base', ...tickets[5]! })
    const again = await reopened.claim(inputs[5]!.envelope.id, { node: 'base', device: 'rover', epoch })
    t.is(again?.attempt, 2)
    t.true(again!.ticket!.sequence > tickets[19]!.ticket!.sequence, 'a new attempt has a new ticket')
  })

  promise('a claim without an epoch takes the device’s own; an older epoch is refused and changes nothing', async (t, _harness, journal) => {
    const first = await accepted(journal); const second = await accepted(journal)
    const ticket = (await journal.claim(first.envelope.id, { node: 'base', device: 'arm' }))!.ticket!
    t.true(ticket.epoch >= 1)
    const epoch = await journal.nextEpoch('arm')
    t.true(epoch > ticket.epoch)
    const error = await t.throwsAsync(journal.claim(second.envelope.id, { node: 'base', device: 'arm', epoch: ticket.epoch }), { instanceOf: MtorError })
    t.is(error?.code, 'STALE_EPOCH')
    t.is((await journal.get(second.envelope.id))?.state, 'accepted')
    t.is((await journal.claim(second.envelope.id, { node: 'base', device: 'arm' }))?.ticket?.epoch, epoch)
  })

  promise('epochs grow strictly, per device, at once and across reopens', async (t, harness, journal) => {
    const epochs = await Promise.all(Array.from({ length: 5 }, () => journal.nextEpoch('rover')))
    const other = await journal.nextEpoch('arm')
    let reopened = await harness.reopen()
    epochs.push(await reopened.nextEpoch('rover'))
    reopened = await harness.reopen()
    epochs.push(await reopened.nextEpoch('rover'))
    for (let i = 1; i < epochs.length; i++) t.true(epochs[i]! > epochs[i - 1]!)
    t.true(await reopened.nextEpoch('arm') > other)
    t.is(await reopened.nextEpoch('rover', 1000), 1001)
    t.is(await reopened.nextEpoch('rover', 5), 1002)
  })

  promise('progress keeps the latest data, and a final intent takes no more', async (t, harness, journal) => {
    const { envelope: { id } } = await accepted(journal)
    await journal.progress(id, { distanceM: 1 })
    await journal.progress(id, { distanceM: 1.5 })
    await journal.finish(id, { state: 'succeeded', say: 'Done.' })
    await journal.progress(id, { distanceM: 9 })
    await journal.progress(uuidv7(), { distanceM: 9 })
    t.deepEqual((await (await harness.reopen()).get(id))?.progress, { distanceM: 1.5 })
  })

  promise('an intent has one final state, whoever comes first', async (t, harness, journal) => {
    const { envelope: { id } } = await accepted(journal)
    const results = await Promise.all([
      journal.finish(id, { state: 'failed', code: 'STALLED', message: 'left wheel', say: 'The wheels are stalled.', data: { wheel: 'left' } }),
      journal.finish(id, { state: 'succeeded' }),
    ])
    t.deepEqual(results, [true, false])
    const reopened = await harness.reopen()
    t.false(await reopened.finish(id, { state: 'expired' }))
    t.false(await reopened.finish(uuidv7(), { state: 'expired' }), 'an unknown intent cannot be finished')
    const entry = await reopened.get(id)
    t.is(entry?.state, 'failed')
    t.deepEqual(entry?.final, { code: 'STALLED', message: 'left wheel', say: 'The wheels are stalled.', data: { wheel: 'left' } })
    t.is(typeof entry?.finishedWall, 'number')
    t.deepEqual(await reopened.unfinished(), [])
  })

  promise('dead letters are listed until they are cleared once', async (t, harness, journal) => {
    const [dead, plain] = [await accepted(journal), await accepted(journal)]
    await journal.finish(dead.envelope.id, { state: 'failed', code: 'DEVICE_UNREACHABLE', deadLetter: true })
    await journal.finish(plain.envelope.id, { state: 'failed', code: 'INTERNAL' })
    const reopened = await harness.reopen()
    t.deepEqual((await reopened.list({ deadLetter: true })).map((entry) => entry.envelope.id), [dead.envelope.id])
    t.is((await reopened.stats()).deadLetters, 1)
    t.true(await reopened.clearDeadLetter(dead.envelope.id))
    t.false(await reopened.clearDeadLetter(dead.envelope.id))
    t.false(await reopened.clearDeadLetter(uuidv7()))
    t.deepEqual(await reopened.list({ deadLetter: true }), [])
    t.is((await reopened.get(dead.envelope.id))?.state, 'failed', 'the entry itself stays')
  })

  promise('the list is newest first and can be narrowed by state and number', async (t, _harness, journal) => {
    const ids: string[] = []
    for (let i = 0; i < 6; i++) ids.unshift((await accepted(journal)).envelope.id)
    await journal.finish(ids[1]!, { state: 'succeeded' })
    await journal.finish(ids[4]!, { state: 'succeeded' })
    const list = async (query?: Parameters<Journal['list']>[0]) => (await journal.list(query)).map((entry) => entry.envelope.id)
    t.deepEqual(await list(), ids)
    t.deepEqual(await list({ limit: 2 }), ids.slice(0, 2))
    t.deepEqual(await list({ state: 'succeeded' }), [ids[1]!, ids[4]!])
    t.deepEqual(await list({ state: 'accepted', limit: 1 }), [ids[0]!])
  })

  promise('boots are counted once per boot id', async (t, harness, journal) => {
    const first = await journal.boot('boot-a')
    t.true(first >= 1)
    t.is(await journal.boot('boot-a'), first)
    const reopened = await harness.reopen()
    t.is(await reopened.boot('boot-a'), first, 'a restart of the process is no boot')
    t.is(await reopened.boot('boot-b'), first + 1)
  })

  promise('small values are kept by key, listed by prefix and deleted by undefined', async (t, harness, journal) => {
    await journal.put('timer/tea', { dueMs: 5, name: 'tea ☕' })
    await journal.put('timer/eggs', null)
    await journal.put('timers', [1, 'two'])
    await journal.put('mode/now', 'safe')
    await journal.put('mode/now', 'normal')
    const reopened = await harness.reopen()
    t.deepEqual(await reopened.read('timer/tea'), { dueMs: 5, name: 'tea ☕' })
    t.is(await reopened.read('timer/eggs'), null)
    t.is(await reopened.read('mode/now'), 'normal')
    t.is(await reopened.read('mode/then'), undefined)
    t.deepEqual((await reopened.keys('timer/')).sort(), ['timer/eggs', 'timer/tea'])
    t.is((await reopened.keys('')).length, 4)
    await reopened.put('timer/tea', undefined)
    t.is(await reopened.read('timer/tea'), undefined)
    t.deepEqual(await reopened.keys('timer/'), ['timer/eggs'])
  })

  promise('statistics add up: accepted = unfinished + finished', async (t, harness, journal) => {
    const [first] = [await accepted(journal), await accepted(journal), await accepted(journal)]
    await journal.finish(first.envelope.id, { state: 'expired', code: 'EXPIRED' })
    // A journal of several nodes writes of its own accord too: for a moment something may wait.
    const counts = async (of: Journal): Promise<Partial<JournalStats>> => {
      // What waits needs the event loop: statistics alone would be had again and again without it.
      while ((await of.stats()).queue > 0) await setTimeout(5)
      const { accepted, unfinished, finished, queue } = await of.stats()
      return { accepted, unfinished, finished, queue }
    }
    t.deepEqual(await counts(journal), { accepted: 3, unfinished: 2, finished: 1, queue: 0 })
    const reopened = await harness.reopen()
    t.deepEqual(await counts(reopened), { accepted: 3, unfinished: 2, finished: 1, queue: 0 })
    t.true((await reopened.stats()).fileBytes > 0)
  })

  promise('a stopped journal refuses with JOURNAL_UNAVAILABLE, and stopping twice is fine', async (t, _harness, journal) => {
    await journal.stop()
    await journal.stop()
    const error = await t.throwsAsync(journal.accept(sampleInput()), { instanceOf: MtorError })
    t.is(error?.code, 'JOURNAL_UNAVAILABLE')
  })

  async function accepted(journal: Journal): Promise<AcceptInput> {
    const input = sampleInput()
    await journal.accept(input)
    return input
  }
}
