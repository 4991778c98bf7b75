import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../appliance/contracts/clock.ts'
import { MtorError } from '../appliance/contracts/errors.ts'
import { SqliteJournal } from '../appliance/journal/index.ts'
import { sampleInput } from '../appliance/journal/contract.ts'
import { fdatasyncs } from './disk.ts'
import type { Measure, Row } from './harness.ts'
import { quantile } from './table.ts'

const IN_FLIGHT = [1, 16, 64, 256]
const GOAL_PER_S = 3_000
const GOAL_FSYNCS = 20

const quantileOf = (values: readonly number[], share: number) => quantile(values, share) ?? Number.NaN
const round = (value: number, digits = 2) => Number(value.toFixed(digits))

/** Durable accepts with `inFlight` waiting at any time, for `forMs`; latencies in ms. */
async function accepts(journal: SqliteJournal, inFlight: number, forMs: number): Promise<{ latencies: number[]; seconds: number }> {
  const latencies: number[] = []
  const start = performance.now()
  const end = start + forMs
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (performance.now() < end) {
      const sent = performance.now()
      const outcome = await journal.accept(sampleInput())
      if (outcome !== 'accepted') throw new MtorError('INTERNAL', `expected accepted, got ${outcome}`)
      latencies.push(performance.now() - sent)
    }
  }))
  return { latencies, seconds: (performance.now() - start) / 1000 }
}

/** The journal with group commit against the same journal with one transaction for each accept, taking turns. */
const measure: Measure = {
  name: 'journal',
  title: 'Durable accepts of the SQLite journal, with and without group commit',
  flags: [{ flag: '--dir <folder>', help: 'A folder on the disk to measure; default: the folder for temporary files' }],
  async run({ quick, flags, progress, signal }) {
    const folder = mkdtempSync(join(flags.dir ?? tmpdir(), 'mtor-bench-journal-'))
    const rounds = quick ? 3 : 10
    const forMs = quick ? 500 : 2_000
    const open = (name: string, maxGroup?: number) => new SqliteJournal({ file: join(folder, `${name}.sqlite`), clock: systemClock, maxFinished: 100_000, archiveMaxBytes: 1 << 28, maxGroup })
    const kinds = [{ name: 'group commit', journal: open('group') }, { name: 'one transaction each', journal: open('single', 1) }]
    const results = new Map<string, { latencies: number[]; seconds: number }>()
    const flushes: number[] = []
    try {
      for (const { journal } of kinds) {
        await journal.start()
        await accepts(journal, 16, 300)
      }
      for (let turn = 0; turn < rounds && !signal.aborted; turn++) {
        progress(`turn ${turn + 1} of ${rounds}`)
        flushes.push(...fdatasyncs(folder, 100))
        for (const inFlight of IN_FLIGHT) for (const { name, journal } of turn % 2 ? kinds.toReversed() : kinds) {
          const { latencies, seconds } = await accepts(journal, inFlight, forMs)
          const key = `${name}, ${inFlight} in flight`
          const sum = results.get(key) ?? { latencies: [], seconds: 0 }
          for (const latency of latencies) sum.latencies.push(latency)
          sum.seconds += seconds
          results.set(key, sum)
        }
      }
    } finally {
      for (const { journal } of kinds) await journal.stop()
      rmSync(folder, { recursive: true, force: true })
    }
    const flushMs = quantileOf(flushes, 0.5)
    const rows: Row[] = [
      { metric: 'one fdatasync of 4 KiB on this disk, p50', value: round(flushMs, 3), unit: 'ms' },
      { metric: 'one fdatasync of 4 KiB on this disk, p99', value: round(quantileOf(flushes, 0.99), 3), unit: 'ms' },
    ]
    for (const inFlight of IN_FLIGHT) for (const { name } of kinds) {
      const key = `${name}, ${inFlight} in flight`
      const sum = results.get(key)
      if (!sum) continue
      const perS = sum.latencies.length / sum.seconds
      const p99 = quantileOf(sum.latencies, 0.99)
      const judged = inFlight === 64 && name === 'group commit'
      rows.push({ metric: key, value: Math.round(perS), unit: 'accepts/s', ...(judged ? { goal: `≥ ${GOAL_PER_S}`, holds: perS >= GOAL_PER_S } : {}) })
      rows.push({ metric: `${key}, p50`, value: round(quantileOf(sum.latencies, 0.5)), unit: 'ms' })
      rows.push({ metric: `${key}, p99`, value: round(p99), unit: 'ms', ...(judged ? { goal: `≤ ${GOAL_FSYNCS} × one fdatasync = ${round(GOAL_FSYNCS * flushMs)} ms`, holds: p99 <= GOAL_FSYNCS * flushMs } : {}) })
    }
    return rows
  },
}

export default measure
