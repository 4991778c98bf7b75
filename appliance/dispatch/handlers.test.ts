import test, { type ExecutionContext } from 'ava'
import type { MqttClient } from 'mqtt'
import { inbox, json, startBus, topics } from '../bus/testing.ts'
import { ManualClock, systemClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { DeclaredIntent, Grant, HandlerReceipt, Task } from '../contracts/handlers.ts'
import { Hub } from '../contracts/hub.ts'
import { uuidv7 } from '../contracts/ids.ts'
import { declareIntents, intentDefinition, intentPolicy } from '../contracts/intents.ts'
import { Handlers } from './handlers.ts'

// Types are declared for the whole process: the tests of this file take turns.
const airlock: DeclaredIntent = { type: 'airlock.open', title: 'Open the airlock', slots: [{ name: 'side', kind: 'choice', values: ['left', 'right'], required: false }], sentences: ['open the airlock'], actuates: true, hazardous: true, repeatable: false, deadlineMs: 5_000 }
const count: DeclaredIntent = { ...airlock, type: 'samples.count', title: 'Count the samples', slots: [], sentences: ['count the samples'], actuates: false, hazardous: false, repeatable: true }

function values() {
  const stored = new Map<string, unknown>()
  return { stored, put: async (key: string, value: unknown) => { if (value === undefined) stored.delete(key); else stored.set(key, structuredClone(value)) }, read: async (key: string) => stored.get(key), keys: async (prefix: string) => [...stored.keys()].filter((key) => key.startsWith(prefix)) }
}

/** The real broker with the real handlers behind it. */
async function open(t: ExecutionContext, parts: { store?: ReturnType<typeof values>; refuse?: (intent: DeclaredIntent) => boolean } = {}) {
  const store = parts.store ?? values()
  const learned: { types: string[]; answers: readonly string[] }[] = []
  let bench: Awaited<ReturnType<typeof startBus>> | undefined
  const handlers: Handlers = new Handlers({
    hub: new Hub(systemClock, 'base'), clock: systemClock, topics, values: store, isVacant: (type) => type === 'chat.ask',
    publish: (topic, payload, options) => bench!.bus.publish(topic, payload, options),
    check: (declares) => declares.filter((intent) => parts.refuse?.(intent)).map(({ type }) => ({ type, code: 'SENTENCE_TAKEN' as const, message: 'it means something else' })),
    learn: async (declares, answers) => { learned.push({ types: declares.map(({ type }) => type), answers }); return { unknownWords: ['airlock'] } },
  })
  t.teardown(() => { handlers.stop(); declareIntents([]) })
  bench = await startBus(t, {}, { handlers })
  return { handlers, bench, store, learned }
}

/** A handler as a flow runtime is one: says what it offers, hears its tasks and grants. */
async function handler(bench: Awaited<ReturnType<typeof startBus>>, clientId: string, offer: { handles?: string[]; declares?: DeclaredIntent[]; answers?: string[] } = {}) {
  const client = await bench.client({ clientId, will: { topic: topics.handlerOffer(clientId), payload: Buffer.from('{"v":1,"online":false}'), qos: 1, retain: false } })
  const receipts = await inbox(client, topics.handlerReceipt(clientId))
  const send = (topic: string, payload: unknown) => client.publishAsync(topic, typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1 })
  const say = async (online: typeof offer): Promise<HandlerReceipt> => {
    await send(topics.handlerOffer(clientId), { v: 1, online: true, handles: [], declares: [], answers: [], ...online })
    return json(await receipts.next())
  }
  const receipt = await say(offer)
  return {
    client, receipt, receipts, say, send,
    claim: (id: string, instance = 'a', attempt = 1) => send(topics.claim(id), { v: 1, handler: clientId, instance, attempt }),
    work: (id: string, state: string, more: Record<string, unknown> = {}, instance = 'a', attempt = 1) => send(topics.work(id), { v: 1, handler: clientId, instance, attempt, state, ...more }),
  }
}

/** Everything told of intents, in order. */
async function watch(client: MqttClient) {
  const got = await inbox(client, [`${topics.root}/intent/+/task`, `${topics.root}/intent/+/grant`])
  const next = async <T>(kind: string): Promise<T> => { for (;;) { const message = await got.next(); if (message.topic.endsWith(kind)) return json(message) as T } }
  return { task: () => next<Task>('/task'), grant: () => next<Grant>('/grant') }
}

const run = (handlers: Handlers, type: string, options: { signal?: AbortSignal; progress?: (data: Record<string, unknown>) => void; id?: string } = {}) =>
  handlers.run({ id: options.id ?? uuidv7(), type, slots: {}, source: { kind: 'cli', node: 'base' } }, { deadlineMs: 5_000, signal: options.signal ?? new AbortController().signal, progress: options.progress ?? (() => {}) })

test.serial('a declared type is known with its slots and its policy, is learned, and is gone when it is withdrawn; what runs keeps its policy', async (t) => {
  const { handlers, bench, learned, store } = await open(t)
  const flow = await handler(bench, 'flows', { handles: ['airlock.open'], declares: [airlock], answers: ['green'] })
  t.like(flow.receipt, { accepted: true, problems: [], unknownWords: ['airlock'] })
  t.like(intentDefinition('airlock.open')?.policy, { actuates: true, hazardous: true, repeatable: false })
  t.deepEqual(learned.at(-1), { types: ['airlock.open'], answers: ['green'] })
  t.true(handlers.takes('airlock.open'))
  await flow.send(topics.handlerOffer('flows'), '')
  t.like(json(await flow.receipts.next()), { accepted: true })
  t.is(intentDefinition('airlock.open'), undefined)
  t.true(intentPolicy('airlock.open')?.actuates)
  t.deepEqual(learned.at(-1), { types: [], answers: [] })
  t.is(store.stored.size, 0)
})

test.serial('of many who claim exactly one gets the intent, and only that one is heard', async (t) => {
  const { handlers, bench } = await open(t)
  const [one, other] = [await handler(bench, 'one', { handles: ['samples.count'], declares: [count] }), await handler(bench, 'other', { handles: ['samples.count'] })]
  const watching = await watch(await bench.client())
  const reported: unknown[] = []
  const ended = run(handlers, 'samples.count', { progress: (data) => { reported.push(data) } })
  const { id, attempt } = await watching.task()
  await Promise.all([one.claim(id, 'a', attempt), other.claim(id, 'b', attempt), one.claim(id, 'c', attempt)])
  const grants = [await watching.grant(), await watching.grant(), await watching.grant()]
  t.is(new Set(grants.map((grant) => `${grant.handler} ${grant.instance}`)).size, 1)
  const { handler: holder, instance } = grants[0]!
  const [has, hasNot] = holder === 'one' ? [one, other] : [other, one]
  await hasNot.work(id, 'succeeded', { say: 'Mine.' }, 'z')
  await has.work(id, 'progress', { data: { counted: 1 } }, instance)
  await has.work(id, 'succeeded', { say: 'Two samples.', data: { samples: 2 } }, instance)
  t.deepEqual(await ended, { say: 'Two samples.', data: { samples: 2 } })
  t.deepEqual(reported, [{ counted: 1 }])
})

test.serial('a handler that dies with an intent: one that may be repeated goes to the next, any other ends as unknown', async (t) => {
  const { handlers, bench } = await open(t)
  const dying = await handler(bench, 'dying', { handles: ['samples.count', 'airlock.open'], declares: [count, airlock] })
  const next = await handler(bench, 'next', { handles: ['samples.count', 'airlock.open'] })
  const watching = await watch(await bench.client())
  const repeated = run(handlers, 'samples.count')
  const first = await watching.task()
  await dying.claim(first.id)
  await watching.grant()
  const once = run(handlers, 'airlock.open')
  const second = await watching.task()
  await dying.claim(second.id)
  await watching.grant()
  dying.client.stream.destroy()
  t.is((await t.throwsAsync(once) as MtorError).code, 'OUTCOME_UNKNOWN')
  const again = await watching.task()
  t.like(again, { id: first.id, attempt: 2 })
  await next.claim(again.id, 'a', 1)
  t.like(await watching.grant(), { handler: '-', attempt: 1 }, 'a claim of a former attempt is answered: nobody waits for it in vain')
  await next.claim(again.id, 'a', 2)
  t.like(await watching.grant(), { handler: 'next', attempt: 2 })
  await next.work(again.id, 'failed', { code: 'NOT_FOUND', message: 'no samples' }, 'a', 2)
  t.like(await t.throwsAsync(repeated), { code: 'NOT_FOUND', message: 'no samples' })
})

test.serial('built-in types and those of another handler cannot be taken; what is right beside them is in force', async (t) => {
  const { handlers, bench } = await open(t, { refuse: ({ type }) => type === 'bad.sentence' })
  await handler(bench, 'first', { declares: [airlock] })
  const second = await handler(bench, 'second', { handles: ['drive.move', 'chat.ask'], declares: [{ ...airlock, title: 'Other' }, { ...count, type: 'drive.move' }, { ...count, type: 'bad.sentence' }, count] })
  t.true(second.receipt.accepted)
  t.deepEqual(second.receipt.problems.map(({ type, code }) => `${type} ${code}`), ['airlock.open TYPE_TAKEN', 'drive.move TYPE_TAKEN', 'bad.sentence SENTENCE_TAKEN', 'drive.move TYPE_TAKEN'])
  t.is(intentDefinition('airlock.open')?.title, 'Open the airlock')
  t.truthy(intentDefinition('samples.count'))
  t.is(intentDefinition('bad.sentence'), undefined)
  t.true(handlers.takes('chat.ask'))
  t.false(handlers.takes('drive.move'))
  t.deepEqual((await handler(bench, 'third', { declares: [airlock] })).receipt.problems, [], 'the same declaration twice is one')
})

test.serial('a client speaks for itself only, and what is no offer is refused with what is wrong', async (t) => {
  const { bench } = await open(t)
  const flow = await handler(bench, 'flows', { handles: ['samples.count'], declares: [count] })
  const refused = await inbox(await bench.client(), topics.clientReceipt('flows'))
  await flow.send(topics.handlerOffer('somebody'), { v: 1, online: false })
  t.is(json(await refused.next()).code, 'UNAUTHORISED')
  t.like(json(await flow.receipts.next()), { accepted: false, problems: [{ code: 'UNAUTHORISED' }] })
  await flow.send(topics.claim(uuidv7()), { v: 1, handler: 'somebody', instance: 'a', attempt: 1 })
  t.is(json(await refused.next()).code, 'UNAUTHORISED')
  await flow.send(topics.handlerOffer('flows'), { v: 1, online: true, handles: [], declares: [{ type: 'x' }], answers: [] })
  t.is(json(await refused.next()).code, 'INVALID_ENVELOPE')
  t.like(json(await flow.receipts.next()), { accepted: false, problems: [{ code: 'INVALID_ENVELOPE' }] })
  t.truthy(intentDefinition('samples.count'), 'what was before is still in force')
})

test.serial('what was declared is known again after a restart, before the handler is back', async (t) => {
  const store = values()
  const first = await open(t, { store })
  await handler(first.bench, 'flows', { handles: ['airlock.open'], declares: [airlock] })
  declareIntents([])
  const second = await open(t, { store })
  await second.handlers.start()
  t.truthy(intentDefinition('airlock.open'))
  t.deepEqual(second.learned.at(-1)?.types, ['airlock.open'])
  t.deepEqual(second.handlers.status(), [{ client: 'flows', online: false, handles: ['airlock.open'], declares: ['airlock.open'] }])
  await second.handlers.forget('flows')
  t.is(intentDefinition('airlock.open'), undefined)
})

test.serial('an intent nobody is there for waits for a handler to come back, then fails with NO_HANDLER', async (t) => {
  const clock = new ManualClock()
  const shown: string[] = []
  const handlers = new Handlers({ hub: new Hub(clock, 'base'), clock, topics, values: values(), publish: (topic) => { shown.push(topic) }, check: () => [], learn: async () => ({ unknownWords: [] }), isVacant: () => false })
  t.teardown(() => { handlers.stop(); declareIntents([]) })
  await handlers.offer('flows', { v: 1, online: true, handles: ['samples.count'], declares: [count], answers: [] })
  handlers.gone('flows')
  shown.length = 0
  const failed = run(handlers, 'samples.count')
  const waiting = t.throwsAsync(failed, { code: 'NO_HANDLER' })
  await clock.advance(11_000)
  await waiting
  t.deepEqual(shown, [])
  const id = uuidv7()
  const served = run(handlers, 'samples.count', { id })
  await clock.advance(3_000)
  await handlers.offer('flows', { v: 1, online: true, handles: ['samples.count'], declares: [count], answers: [] })
  t.true(shown.includes(topics.task(id)))
  handlers.claim(id, { v: 1, handler: 'flows', instance: 'a', attempt: 1 })
  handlers.work(id, { v: 1, handler: 'flows', instance: 'a', attempt: 1, state: 'succeeded' })
  t.is((await served).say, 'Done.')
})

test.serial('a stop takes the intent away: what its holder reports afterwards is heard by nobody', async (t) => {
  const { handlers, bench } = await open(t)
  const flow = await handler(bench, 'flows', { handles: ['airlock.open'], declares: [airlock] })
  const watching = await watch(await bench.client())
  const abort = new AbortController()
  const ended = run(handlers, 'airlock.open', { signal: abort.signal })
  const { id } = await watching.task()
  await flow.claim(id)
  await watching.grant()
  abort.abort(new MtorError('STOPPED', 'stopped'))
  t.is((await t.throwsAsync(ended) as MtorError).code, 'STOPPED')
  await flow.work(id, 'succeeded')
  await flow.claim(id)
  t.like(await watching.grant(), { handler: '-' })
  await t.throwsAsync(handlers.probe('airlock.open', {}, 50), { code: 'DEADLINE' })
})
