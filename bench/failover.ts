import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../appliance/contracts/clock.ts'
import { PROTOCOL_VERSION } from '../appliance/contracts/envelope.ts'
import { Hub } from '../appliance/contracts/hub.ts'
import { uuidv7 } from '../appliance/contracts/ids.ts'
import { topicsOf } from '../appliance/contracts/topics.ts'
import { Appliance } from '../hil-tests/resources/appliance.ts'
import { RealmBench } from '../hil-tests/resources/realm-bench.ts'
import { submissions } from './bus/load.ts'
import { lead } from './failover/lead.ts'
import { etcdOf, rssMB, writtenBytes } from './failover/processes.ts'
import { failover, handOver, settled, type Failover, type HandOver } from './failover/rounds.ts'
import { spokenRows } from './failover/spoken-rows.ts'
import { EARS, recordings, spokenFailover, type Spoken } from './failover/spoken.ts'
import type { Measure, Row } from './harness.ts'
import { quantile } from './table.ts'

const FULL = ['a', 'b'] as const
const GOAL_P50_S = 1
const GOAL_P95_S = 2
const GOAL_HANDOVER_MS = 100
/** Until what was accepted has been carried out, ms. */
const CARRIED_OUT_MS = 90_000
/** The nodes look who leads every two seconds, ms. */
const LEADS_MS = 6_000

const { root } = topicsOf('bench')
const hub = new Hub(systemClock, 'bench')
const note = () => ({ v: PROTOCOL_VERSION, id: uuidv7(), type: 'log.record', slots: { text: 'a note about the soil here' }, source: { kind: 'mqtt', node: 'bench' }, issuedAt: hub.now(), ttlMs: 60_000, priority: 5 })
const round = (value: number | null, digits = 2) => value === null ? null : Number(value.toFixed(digits))
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))

interface Cost { latenciesMs: number[]; perSecond: number[]; bytes: number; intents: number }
const cost = (): Cost => ({ latenciesMs: [], perSecond: [], bytes: 0, intents: 0 })

/** Notes accepted at one node; what all of `nodes` write for them. */
async function load(sum: Cost, at: Appliance, nodes: readonly Appliance[], inFlight: number, forMs: number): Promise<void> {
  const written = () => nodes.reduce((all, { pid }) => all + writtenBytes(pid!), 0)
  const before = written()
  const { latenciesMs, perSecond } = await submissions(Number(new URL(at.mqttUrl).port), root, 1, inFlight, forMs, note)
  // What is written for carrying them out belongs to them too, and no later measurement is to queue behind them.
  for (const untilMs = performance.now() + CARRIED_OUT_MS; performance.now() < untilMs; await pause(50)) {
    if ((await at.control.call('GET', '/status') as { journal: { unfinished?: number } }).journal.unfinished === 0) break
  }
  sum.bytes += written() - before
  sum.intents += latenciesMs.length
  sum.perSecond.push(perSecond)
  for (const latency of latenciesMs) sum.latenciesMs.push(latency)
}

/** Two boards with a line each to one simulated rover, and a witness; all on this machine. */
const measure: Measure = {
  name: 'failover',
  title: 'A realm of three loses the node that drives: time to the next intent carried out; cost of the realm',
  flags: [{ flag: '--rounds <n>', help: 'Kills of the owner (default 20, with --quick 2)' }, { flag: '--spoken <n>', help: 'Kills of the owner while somebody speaks (default 20, with --quick 2; 0: nobody does)' }, { flag: '--kill-after <ms>', help: 'These kills so long after the last word (default 0); from 250 on they meet the intent while it is accepted, or begun' }, { flag: '--dir <folder>', help: 'A folder on the disk to measure; default: the folder for temporary files' }],
  async run({ quick, flags, progress, signal }) {
    const folder = mkdtempSync(join(flags['dir'] ?? tmpdir(), 'mtor-failover-'))
    const rounds = Number(flags['rounds'] ?? (quick ? 2 : 20))
    const spokenRounds = Number(flags['spoken'] ?? (quick ? 2 : 20))
    const eared = spokenRounds > 0 ? FULL : []
    const bench = new RealmBench(join(folder, 'realm'), { full: FULL, own: Object.fromEntries(eared.map((name) => [name, EARS])), simulator: { speedFactor: 4 } })
    const single = new Appliance(join(folder, 'single'), { speech: { enabled: false }, devices: [] })
    const spoken: Spoken[] = []
    const killed: Failover[] = []; const paused: Failover[] = []; const handOvers: HandOver[] = []
    const kinds = [{ name: 'one node, SQLite', costs: new Map<number, Cost>() }, { name: 'realm of three, etcd', costs: new Map<number, Cost>() }] as const
    const memory: Row[] = []
    const remember = (when: string) => {
      for (const [name, { pid }] of bench.nodes) {
        const etcd = etcdOf(pid!)
        const [coreMB, etcdMB] = [rssMB(pid!), etcd === undefined ? 0 : rssMB(etcd)]
        memory.push({ metric: `memory ${when}, ${name === 'w' ? 'witness' : `board ${name}`}: core + etcd (of it etcd ${Math.round(etcdMB)})`, value: Math.round(coreMB + etcdMB), unit: 'MB' })
      }
      memory.push({ metric: `memory ${when}, one node, SQLite: core`, value: Math.round(rssMB(single.pid!)), unit: 'MB' })
    }
    try {
      const sentences = await recordings(folder, quick ? Math.min(1, spokenRounds) : spokenRounds)
      progress('a realm of three starts')
      await Promise.all([bench.start(), single.start()])
      await settled(bench, eared)
      const nodes = [...bench.nodes.values()]

      let owner = (await bench.owner())!
      const other = () => FULL.find((one) => one !== owner)!
      const move = async () => { handOvers.push(await handOver(bench, owner, other())); owner = other() }
      progress('planned hand-overs')
      for (let i = 0; i < (quick ? 6 : 30) && !signal.aborted; i++) { await move(); await pause(quick ? 50 : 200) }

      remember('at rest')
      for (let turn = 0; turn < (quick ? 1 : 5) && !signal.aborted; turn++) {
        progress(`cost of an intent, turn ${turn + 1}`)
        for (const { name, costs } of turn % 2 ? kinds.toReversed() : kinds) for (const inFlight of [1, 64]) {
          const sum = costs.get(inFlight) ?? cost()
          costs.set(inFlight, sum)
          const isRealm = name !== kinds[0].name
          await load(sum, isRealm ? bench.node(FULL[turn % 2]!) : single, isRealm ? nodes : [single], inFlight, quick ? 200 : 1_000)
        }
      }
      remember('after the load')
      await single.stop()

      /** The realm is whole, and in turn in the worst case, in which it loses its leader with the owner, and in the other one. */
      const ready = async (i: number, isSpoken = false): Promise<boolean> => {
        let leader = await settled(bench, eared)
        owner = (await bench.owner())!
        const wanted = i % 2 === 0 ? owner : other()
        if (leader !== wanted && (!quick || isSpoken || leader === owner)) {
          await lead(bench.node(owner).stateDir, leader, wanted).catch(() => { /* then it is the other case once more */ })
          for (const untilMs = performance.now() + LEADS_MS; leader !== wanted && performance.now() < untilMs; await pause(100)) leader = await settled(bench, eared)
        }
        return owner === leader
      }
      for (let i = 0; i < rounds && !signal.aborted; i++) {
        const led = await ready(i)
        const seen = await failover(bench, owner, other(), led, 'kill')
        killed.push(seen)
        progress(`kill ${i + 1} of ${rounds}: ${owner}${led ? ', which led,' : ''} was replaced in ${Math.round(seen.deviceMs)} ms (own query ${Math.round(seen.localMs)} ms)${seen.refusals > 0 ? `, ${seen.refusals} refusals` : ''}`)
      }
      for (let i = 0; i < (quick ? 0 : 4) && !signal.aborted; i++) {
        const leader = await settled(bench, eared)
        owner = (await bench.owner())!
        const seen = await failover(bench, owner, other(), owner === leader, 'pause')
        paused.push(seen)
        progress(`pause ${i + 1}: ${owner} was replaced in ${Math.round(seen.deviceMs)} ms`)
      }
      for (let i = 0; i < spokenRounds && !signal.aborted; i++) {
        const led = await ready(i, true)
        const seen = await spokenFailover(bench, owner, other(), led, sentences[i % sentences.length]!, { before: quick ? spoken[0]?.alive : undefined, afterMs: Number(flags['kill-after'] ?? 0) })
        spoken.push(seen)
        if (seen.killMs !== undefined && i + 1 < spokenRounds) await bench.node(owner).start()
        progress(`sentence ${i + 1} of ${spokenRounds}, “${seen.sentence}”, kill of ${owner}${led ? ', which led' : ''}: ${seen.killed ? `obeyed ${Math.round(seen.killed.obeyedMs - seen.killMs!)} ms after it (nobody killed: ${Math.round(seen.alive!.obeyedMs - seen.alive!.speechEndMs)} ms after the last word)` : seen.why}`)
      }
    } finally {
      // Nobody needs what they would hand over to each other in an orderly end.
      await Promise.all([...[...bench.nodes.values()].map((node) => node.kill()), single.stop()])
      await bench.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    }

    const seconds = (values: readonly number[], p: number) => round((quantile(values, p) ?? Number.NaN) / 1000, 3)
    const judged = (metric: string, values: readonly number[]): Row[] => {
      const [p50, p95] = [seconds(values, 0.5)!, seconds(values, 0.95)!]
      return [
        { metric: `${metric}, p50`, value: p50, unit: 's', goal: `≤ ${GOAL_P50_S}`, holds: p50 <= GOAL_P50_S },
        { metric: `${metric}, p95`, value: p95, unit: 's', goal: `≤ ${GOAL_P95_S}`, holds: p95 <= GOAL_P95_S },
        { metric: `${metric}, slowest of ${values.length}`, value: seconds(values, 1), unit: 's' },
      ]
    }
    const rows: Row[] = [
      ...judged('kill −9 of the owner to an intent for the rover carried out by the other', killed.map(({ deviceMs }) => deviceMs)),
      ...judged('kill −9 of the owner to a query answered by the other', killed.map(({ localMs }) => localMs)),
    ]
    for (const [led, metric] of [[true, 'of these, owner led the realm: rover'], [false, 'of these, another node led: rover']] as const) {
      const values = killed.filter((one) => one.led === led).map(({ deviceMs }) => deviceMs)
      if (values.length > 0) rows.push({ metric: `${metric}, p50 of ${values.length}`, value: seconds(values, 0.5), unit: 's' })
    }
    rows.push(...spokenRows(spoken, GOAL_P50_S, GOAL_P95_S))
    rows.push({ metric: 'submissions refused meanwhile (sent again by the client)', value: killed.reduce((sum, { refusals }) => sum + refusals, 0), unit: '' })
    if (paused.length > 0) rows.push({ metric: `SIGSTOP of the owner (its lease must run out): rover, p50 of ${paused.length}`, value: seconds(paused.map(({ deviceMs }) => deviceMs), 0.5), unit: 's' })
    const asked = handOvers.map(({ askedMs }) => askedMs)
    const handoverMs = quantile(asked, 0.95)!
    rows.push(
      { metric: 'planned hand-over, command to obeyed, p50', value: round(quantile(asked, 0.5), 1), unit: 'ms' },
      { metric: 'planned hand-over, command to obeyed, p95', value: round(handoverMs, 1), unit: 'ms', goal: `≤ ${GOAL_HANDOVER_MS}`, holds: handoverMs <= GOAL_HANDOVER_MS },
      { metric: `planned hand-over, slowest of ${asked.length}`, value: round(quantile(asked, 1), 1), unit: 'ms' },
      { metric: '  of it nobody commands, p50', value: round(quantile(handOvers.map((one) => one.handoverMs), 0.5), 1), unit: 'ms' },
    )
    for (const inFlight of [1, 64]) for (const { name, costs } of kinds) {
      const sum = costs.get(inFlight)
      if (!sum) continue
      const cell = `${name}, ${inFlight} in flight`
      rows.push(
        { metric: `${cell}: accepted, p50`, value: round(quantile(sum.latenciesMs, 0.5)), unit: 'ms' },
        { metric: `${cell}: accepted, p99`, value: round(quantile(sum.latenciesMs, 0.99)), unit: 'ms' },
        { metric: `${cell}: accepts`, value: Math.round(quantile(sum.perSecond, 0.5) ?? Number.NaN), unit: 'intents/s' },
        { metric: `${cell}: written, all nodes, for each intent carried out`, value: round(sum.bytes / sum.intents / 1024, 1), unit: 'KiB' },
      )
    }
    return [...rows, ...memory]
  },
}

export default measure
