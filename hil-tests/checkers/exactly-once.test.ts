import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { judgeExactlyOnce, judgeStops } from './exactly-once.ts'
import { readFacts } from './logs.ts'

const lines = (facts: object[]) => facts.map((f) => `${JSON.stringify(f)}\n`).join('')
const execute = (intentId: string, epoch: number, sequence: number) => ({ at: 1, fact: 'execute', command: 'MOVE', intentId, epoch, sequence })
const told = (id: string, state: string) => ({ kind: 'intent', id, state })

/** Logs of a run in which A was moved, B was refused and C noted; `change` spoils them. */
function logs(t: ExecutionContext, change: { client?: object[]; core?: object[]; controller?: object[]; states?: Record<string, string> } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-judge-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = (name: string, facts: object[]) => { writeFileSync(join(dir, name), lines(facts)); return join(dir, name) }
  const client = [
    ...['A', 'B', 'C'].map((id) => ({ at: 0, fact: 'submit', id, type: id === 'C' ? 'log.record' : 'drive.move' })),
    { at: 1, fact: 'receipt', receipt: { id: 'A', accepted: true } }, { at: 1, fact: 'receipt', receipt: { id: 'B', accepted: false, code: 'EXPIRED' } },
    ...['A', 'B', 'C'].map((id) => ({ at: 1, fact: 'acknowledged', id })), ...change.client ?? [],
  ]
  const journal = join(dir, 'journal.sqlite')
  const database = new DatabaseSync(journal)
  database.exec('CREATE TABLE intent (id TEXT, state TEXT)')
  for (const [id, state] of Object.entries({ A: 'succeeded', C: 'succeeded', ...change.states })) database.prepare('INSERT INTO intent VALUES (?, ?)').run(id, state)
  database.close()
  return {
    client: file('client', client), core: [file('core', [told('A', 'succeeded'), told('C', 'succeeded'), ...change.core ?? []])], journal,
    controller: file('controller', [{ at: 0, fact: 'received', command: 'HELLO', verdict: 'ok', epoch: 2 }, execute('A', 2, 1), ...change.controller ?? []]),
  }
}

test('a good run is found good', (t) => {
  const verdict = judgeExactlyOnce(logs(t))
  t.like(verdict, { submitted: 3, accepted: 2, rejected: 1, executed: 1, lost: [], doubleFinals: [], doubleExecutions: [], phantoms: [], staleExecutions: [], finals: { succeeded: 2 } })
})

test('an accepted intent without an end is found, whether the journal lost it or never ended it', (t) => {
  t.deepEqual(judgeExactlyOnce(logs(t, { client: [{ at: 2, fact: 'acknowledged', id: 'D' }] })).lost, ['D'])
  t.deepEqual(judgeExactlyOnce(logs(t, { states: { C: 'claimed' } })).lost, ['C'])
})

test('a second final state is found, and one that the journal does not have', (t) => {
  t.is(judgeExactlyOnce(logs(t, { core: [told('A', 'failed')] })).doubleFinals.length, 1)
  t.is(judgeExactlyOnce(logs(t, { states: { C: 'failed' } })).doubleFinals.length, 1)
})

test('a motion carried out twice is found, under a new ticket or under the same', (t) => {
  t.is(judgeExactlyOnce(logs(t, { controller: [execute('A', 3, 1)] })).doubleExecutions.length, 1)
  t.is(judgeExactlyOnce(logs(t, { controller: [execute('X', 2, 1)] })).doubleExecutions.length, 1)
})

test('a command under an old epoch is found', (t) => {
  t.deepEqual(judgeExactlyOnce(logs(t, { controller: [{ at: 2, fact: 'received', command: 'HELLO', verdict: 'ok', epoch: 5 }, execute('X', 4, 9)] })).staleExecutions, ['epoch 4 after 5'])
})

test('a success the controller knows nothing of is found', (t) => {
  t.deepEqual(judgeExactlyOnce(logs(t, { client: [{ at: 0, fact: 'submit', id: 'P', type: 'drive.turn' }], states: { P: 'succeeded' } })).phantoms, ['P'])
})

test('a late stop is a miss, one while the controller was without power is counted apart', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-judge-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = (name: string, facts: object[]) => { writeFileSync(join(dir, name), lines(facts)); return join(dir, name) }
  const stop = (at: number) => ({ at, fact: 'received', command: 'STOP' })
  const verdict = judgeStops({
    probes: file('probes', [{ at: 100, by: 'daemon' }, { at: 1000, by: 'daemon' }, { at: 5000, by: 'nobody' }]),
    controller: file('controller', [stop(103), stop(1500), { at: 5400, fact: 'boot' }, stop(9000)]),
    faults: file('faults', [{ at: 4900, kind: 'kill-controller' }]),
  }, 200)
  t.deepEqual(verdict.latenciesMs, [3, 500])
  t.is(verdict.missed.length, 1)
  t.is(verdict.powerless, 1)
})

test('half a line left by a kill is passed over, a broken one in the middle is not', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-judge-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'log')
  writeFileSync(file, '{"a":1}\n{"a":2')
  t.deepEqual(readFacts(file), [{ a: 1 }])
  writeFileSync(file, '{"a":1}\n{"a":{"b{"a":3}\n{"a":4}\n')
  t.deepEqual(readFacts(file), [{ a: 1 }, { a: 3 }, { a: 4 }])
  writeFileSync(file, 'rubbish\n{"a":1}\n{"a":2}\n')
  t.throws(() => readFacts(file))
})
