import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { judgeRealm, judgeRealmStops, judgeRecoveries, type RealmFiles } from './realm.ts'

const BASE = '/mtor/1/bench/journal/'
interface Logs { client?: object[]; a?: object[]; b?: object[]; controller?: object[]; etcd?: Record<string, object>; faults?: object[]; probes?: object[] }

/** Logs of a run in a folder of their own. */
function written(t: ExecutionContext, { client = [], a = [], b = [], controller = [], etcd = {}, faults = [], probes = [] }: Logs): RealmFiles & { faults: string; probes: string } {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-judge-'))
  t.teardown(() => { rmSync(dir, { recursive: true, force: true }) })
  const lines = (name: string, facts: object[]) => { const file = join(dir, name); writeFileSync(file, facts.map((fact) => `${JSON.stringify(fact)}\n`).join('')); return file }
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const dump = join(dir, 'etcd.json')
  writeFileSync(dump, JSON.stringify({ kvs: Object.entries(etcd).map(([key, value]) => ({ key: base64(`${BASE}${key}`), value: base64(JSON.stringify(value)) })) }))
  return { clients: [lines('client', client)], nodes: { a: lines('a', a), b: lines('b', b) }, controller: lines('controller', controller), etcd: dump, journals: [], archives: [], faults: lines('faults', faults), probes: lines('probes', probes) }
}

const submit = (id: string, type = 'light.set') => ({ at: 1, fact: 'submit', id, type })
const receipt = (id: string, more: object = {}) => ({ at: 2, fact: 'receipt', receipt: { id, accepted: true, ...more } })
const told = (id: string, state: string, node: string, more: object = {}) => ({ kind: 'intent', id, type: 'light.set', state, node, ...more })
const execute = (intentId: string, epoch: number, sequence: number, at = 5) => ({ at, fact: 'execute', intentId, epoch, sequence })
const ended = (id: string, state = 'succeeded') => ({ [`a/${id}`]: {}, [`i/${id}/f`]: { state } })

test('a run in which every promise was kept has nothing to show', (t) => {
  const verdict = judgeRealm(written(t, {
    client: [submit('1'), receipt('1'), { at: 3, fact: 'event', id: '1', state: 'succeeded', node: 'b' }],
    // Both tell what b has ended.
    a: [told('1', 'accepted', 'a'), told('1', 'succeeded', 'b')], b: [told('1', 'succeeded', 'b')],
    controller: [{ at: 1, fact: 'received', command: 'HELLO', verdict: 'ok', epoch: 1 }, execute('1', 1, 1)], etcd: ended('1'),
  }))
  t.like(verdict, { submitted: 1, accepted: 1, executed: 1, unanswered: 0, lost: [], doubleFinals: [], doubleExecutions: [], staleExecutions: [], phantoms: [] })
  t.deepEqual(verdict.finals, { succeeded: 1 })
})

test('an accepted intent that has no end is lost, whether a client or only a node was told', (t) => {
  const { lost } = judgeRealm(written(t, { client: [submit('1'), receipt('1'), submit('2'), receipt('2')], a: [told('3', 'accepted', 'a')], etcd: { 'a/1': {} } }))
  t.deepEqual(lost, ['1 light.set: open', '2 light.set: missing', '3 light.set: missing'])
})

test('what a receipt did not promise to keep is not lost', (t) => {
  const verdict = judgeRealm(written(t, { client: [submit('1'), receipt('1', { durable: false })], a: [told('1', 'accepted', 'a', { data: { durable: false } }), told('1', 'succeeded', 'a')] }))
  t.like(verdict, { accepted: 0, undurable: 1, lost: [], unanswered: 0 })
})

test('a refusal counts only where nobody accepted it in the end', (t) => {
  const refusal = (id: string) => receipt(id, { accepted: false, code: 'NO_QUORUM' })
  const verdict = judgeRealm(written(t, { client: [submit('1'), refusal('1'), receipt('1', { duplicate: true }), submit('2'), refusal('2'), submit('3')], etcd: ended('1', 'aborted') }))
  t.like(verdict, { accepted: 1, refused: { NO_QUORUM: 1 }, unanswered: 1, lost: [] })
})

test('two ends are found: of two states, by two nodes, and another than the journal has', (t) => {
  const { doubleFinals } = judgeRealm(written(t, {
    a: [told('1', 'succeeded', 'a'), told('2', 'aborted', 'a'), told('3', 'failed', 'a')], b: [told('1', 'failed', 'a'), told('2', 'aborted', 'b')],
    etcd: { ...ended('1'), ...ended('2', 'aborted'), ...ended('3') },
  }))
  t.is(doubleFinals.length, 3)
})

test('a controller that obeys an older epoch, or carries out something again, is found', (t) => {
  const { doubleExecutions, staleExecutions } = judgeRealm(written(t, { controller: [execute('1', 2, 1), execute('2', 1, 9), execute('1', 2, 2), { at: 6, fact: 'epoch', to: 5 }, execute('3', 4, 1), execute('4', 4, 1)] }))
  t.deepEqual(doubleExecutions, ['1 × 2', 'epoch 4 sequence 1 × 2'])
  t.is(staleExecutions.length, 3)
})

test('a success that the controller knows nothing of is found', (t) => {
  t.is(judgeRealm(written(t, { client: [submit('1')], etcd: ended('1') })).phantoms.length, 1)
})

const stopAt = (node: string, at: number) => ({ kind: 'system', name: 'stop', node, at: { mono: at } })
const obeyed = (at: number) => ({ at, fact: 'received', command: 'STOP' })

test('a stop must be at the controller and at the other nodes in time', (t) => {
  const files = written(t, { probes: [{ at: 1_000, node: 'a', by: 'daemon' }, { at: 5_000, node: 'b', by: 'daemon' }], controller: [obeyed(1_010), obeyed(5_300)], b: [stopAt('b', 1_005)] })
  const { controllerMs, nodesMs, missed } = judgeRealmStops(files, ['a', 'b'], 200)
  t.deepEqual(controllerMs, [10, 300])
  t.deepEqual(nodesMs, [5, Infinity])
  t.is(missed.length, 2)
})

test('a node that has a fault need not hear of a stop, but one asked there must reach the controller by its line', (t) => {
  const files = written(t, { faults: [{ at: 900, mendedAt: 1_500, backAt: 2_000, kind: 'cut', nodes: ['a'] }], probes: [{ at: 1_000, node: 'b', by: 'daemon' }, { at: 1_400, node: 'a', by: 'line' }], controller: [obeyed(1_010)] })
  const { nodesMs, controllerMs, missed } = judgeRealmStops(files, ['a', 'b'], 200)
  t.deepEqual(nodesMs, [])
  t.deepEqual(controllerMs, [10, Infinity])
  t.is(missed.length, 1)
})

test('where nobody is and no line goes, nobody is asked', (t) => {
  const faults = [{ at: 900, mendedAt: 1_500, backAt: 2_000, kind: 'kill-core', nodes: ['w'] }, { at: 2_900, mendedAt: 3_500, backAt: null, kind: 'wipe', nodes: ['a'] }]
  const { excused, missed } = judgeRealmStops(written(t, { faults, probes: [{ at: 1_000, node: 'w', by: 'nobody' }, { at: 3_000, node: 'a', by: 'nobody' }] }), ['a', 'b'], 200)
  t.is(excused, 2)
  t.deepEqual(missed, [])
})

test('recoveries count from when a fault was mended; a realm that was not whole again is told', (t) => {
  const { kinds, recoveriesMs, notBack } = judgeRecoveries(written(t, { faults: [{ at: 1, mendedAt: 10, backAt: 110, kind: 'cut', nodes: ['a'] }, { at: 200, mendedAt: 200, backAt: null, kind: 'kill-all', nodes: ['a', 'b'] }] }).faults)
  t.deepEqual(kinds, { cut: 1, 'kill-all': 1 })
  t.deepEqual(recoveriesMs, { cut: [100] })
  t.is(notBack.length, 1)
})
