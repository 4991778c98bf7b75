import type { Row } from '../harness.ts'
import { quantile } from '../table.ts'
import type { Spoken } from './spoken.ts'

const round = (ms: number | null, digits: number) => ms === null ? null : Number(ms.toFixed(digits))
const seconds = (values: readonly number[], p: number) => round((quantile(values, p) ?? Number.NaN) / 1000, 3)!

/** Of sentences said while the owner was killed. One that was not carried out is infinitely late. */
export function spokenRows(rounds: readonly Spoken[], goalP50S: number, goalP95S: number): Row[] {
  if (rounds.length === 0) return []
  // A sentence that was not understood either while all lived, or over which nobody was killed, says nothing of a failover.
  const tried = rounds.filter(({ alive, killMs }) => alive && killMs !== undefined)
  const lateMs = ({ killed, killMs }: Spoken) => killed ? killed.obeyedMs - killMs! : Infinity
  const done = tried.filter((one) => lateMs(one) < Infinity)
  const all = tried.map(lateMs)
  const [p50, p95] = [seconds(all, 0.5), seconds(all, 0.95)]
  const metric = 'kill −9 of the owner at the end of a sentence said to the other, to the rover obeying it'
  const off = done.map(({ killed, killMs }) => killMs! - killed!.speechEndMs)
  const alive = [...new Set(tried.map((one) => one.alive!))]
  const rows: Row[] = [
    { metric: `${metric}, p50`, value: p50, unit: 's', goal: `≤ ${goalP50S}`, holds: p50 <= goalP50S },
    { metric: `${metric}, p95`, value: p95, unit: 's', goal: `≤ ${goalP95S}`, holds: p95 <= goalP95S },
    { metric: `${metric}, slowest of ${all.length}`, value: seconds(all, 1), unit: 's' },
    { metric: '  sentences that were not carried out', value: tried.length - done.length, unit: '', goal: '= 0', holds: tried.length === done.length },
  ]
  if (tried.length < rounds.length) rows.push({ metric: '  sentences not understood before anybody was killed, left out', value: rounds.length - tried.length, unit: '' })
  for (const [led, words] of [[true, 'owner led the realm'], [false, 'another node led']] as const) {
    const values = tried.filter((one) => one.led === led).map(lateMs)
    if (values.length > 0) rows.push({ metric: `  of these, ${words}, p50 of ${values.length}`, value: seconds(values, 0.5), unit: 's' })
  }
  rows.push(
    { metric: '  end of speech to accepted, p50', value: seconds(done.map(({ killed }) => killed!.acceptedMs - killed!.speechEndMs), 0.5), unit: 's' },
    { metric: '  accepted to obeyed, p50', value: seconds(done.map(({ killed }) => killed!.obeyedMs - killed!.acceptedMs), 0.5), unit: 's' },
    { metric: '  the kill came after the end of speech by, p50', value: round(quantile(off, 0.5), 0), unit: off.length === 0 ? 'ms' : `ms; ${Math.round(Math.min(...off))} to ${Math.round(Math.max(...off))}` },
    { metric: 'the same sentences with nobody killed, end of speech to obeyed, p50', value: seconds(alive.map((one) => one.obeyedMs - one.speechEndMs), 0.5), unit: 's' },
    { metric: 'the same sentences with nobody killed, end of speech to obeyed, p95', value: seconds(alive.map((one) => one.obeyedMs - one.speechEndMs), 0.95), unit: 's' },
    { metric: '  end of speech to accepted, p50', value: seconds(alive.map((one) => one.acceptedMs - one.speechEndMs), 0.5), unit: 's' },
    { metric: 'what the kill adds to a sentence, p50', value: seconds(done.map(({ alive, killed }) => (killed!.obeyedMs - killed!.speechEndMs) - (alive!.obeyedMs - alive!.speechEndMs)), 0.5), unit: 's' },
  )
  return rows
}
