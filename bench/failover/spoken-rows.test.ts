import test from 'ava'
import { spokenRows } from './spoken-rows.ts'
import type { Spoken } from './spoken.ts'

const said = (obeyedMs: number) => ({ wakeEndMs: 500, speechEndMs: 1_000, acceptedMs: 1_300, obeyedMs })
const one = (over: Partial<Spoken> = {}): Spoken => ({ led: true, sentence: 'turn left', alive: said(1_350), killed: said(1_700), killMs: 1_000, ...over })
const figures = (rounds: Spoken[]) => new Map(spokenRows(rounds, 1, 2).map(({ metric, value, holds }) => [metric.trim().replace(/^kill −9.*, (?=p50|p95|slowest)/, ''), holds === undefined ? value : [value, holds]]))

test('late is from the kill to the obeyed command, and what the kill adds is told against the same sentence', (t) => {
  const rows = figures([one(), one({ led: false, killed: said(1_400), killMs: 1_010 })])
  t.deepEqual([rows.get('p50'), rows.get('p95'), rows.get('slowest of 2')], [[0.39, true], [0.7, true], 0.7])
  t.deepEqual([rows.get('of these, owner led the realm, p50 of 1'), rows.get('of these, another node led, p50 of 1')], [0.7, 0.39])
  t.is(rows.get('what the kill adds to a sentence, p50'), 0.05)
})

test('a sentence that is not carried out over the failover misses the goals; one that was not understood before the kill says nothing', (t) => {
  const rows = figures([one({ killed: undefined }), one({ alive: undefined, killed: undefined, killMs: undefined }), one({ killed: undefined, killMs: undefined })])
  t.deepEqual([rows.get('p50'), rows.get('p95')], [[Infinity, false], [Infinity, false]])
  t.deepEqual(rows.get('sentences that were not carried out'), [1, false])
  t.is(rows.get('sentences not understood before anybody was killed, left out'), 2)
})

test('where nobody speaks there is nothing to tell', (t) => { t.deepEqual(spokenRows([], 1, 2), []) })
