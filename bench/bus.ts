import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../appliance/contracts/clock.ts'
import { PROTOCOL_VERSION } from '../appliance/contracts/envelope.ts'
import { Hub } from '../appliance/contracts/hub.ts'
import { uuidv7 } from '../appliance/contracts/ids.ts'
import { topicsOf } from '../appliance/contracts/topics.ts'
import { passThrough, submissions } from './bus/load.ts'
import { startMosquitto, startNode, type Running } from './bus/servers.ts'
import { fdatasyncs } from './disk.ts'
import type { Measure, Row } from './harness.ts'
import { quantile } from './table.ts'

const CLIENTS = [1, 10, 50]
const IN_FLIGHT = 64
const SUBMITTERS = [1, 8, 32]
const GOAL_RATIO = 0.9
const GOAL_PER_S = 3_000
const GOAL_FSYNCS = 20

const { root } = topicsOf('bench')
const round = (value: number, digits = 2) => Number(value.toFixed(digits))
const quantileOf = (values: number[], share: number) => quantile(values, share) ?? Number.NaN
const median = (values: number[]) => quantileOf(values, 0.5)
const spread = (values: number[]) => `${round(Math.min(...values))} … ${round(Math.max(...values))}`

/** The bus against aedes alone and mosquitto: each in a process of its own, taking turns within every round. */
const measure: Measure = {
  name: 'bus',
  title: 'MQTT pass-through against bare aedes and mosquitto, and durable submission',
  flags: [{ flag: '--dir <folder>', help: 'A folder on the disk to measure; default: the folder for temporary files' }],
  async run({ quick, flags, progress, signal }) {
    const folder = mkdtempSync(join(flags.dir ?? tmpdir(), 'mtor-bench-bus-'))
    const rounds = quick ? 3 : 7
    const forMs = quick ? 350 : 1_000
    const servers: Running[] = []
    const rates = new Map<string, number[]>()
    const add = (key: string, value: number) => { const list = rates.get(key); if (list) list.push(value); else rates.set(key, [value]) }
    const durable = new Map<number, { perSecond: number[]; latenciesMs: number[]; missing: number }>(SUBMITTERS.map((n) => [n, { perSecond: [], latenciesMs: [], missing: 0 }]))
    const flushes: number[] = []
    const hub = new Hub(systemClock, 'bench')
    const envelope = () => ({ v: PROTOCOL_VERSION, id: uuidv7(), type: 'log.record', slots: { text: 'a note about the soil here' }, source: { kind: 'mqtt', node: 'bench' }, issuedAt: hub.now(), ttlMs: 60_000, priority: 5 })
    try {
      const ours = await startNode('bus', 'bus', folder)
      servers.push(ours)
      servers.push(await startNode('aedes', 'aedes', folder))
      const mosquitto = await startMosquitto(folder)
      if (mosquitto) servers.push(mosquitto)
      progress('warming up')
      for (const server of servers) for (const qos of [0, 1] as const) await passThrough(server.port, root, 10, qos, quick ? 700 : 2_000)
      await submissions(ours.port, root, 8, IN_FLIGHT, 500, envelope)
      for (let turn = 0; turn < rounds && !signal.aborted; turn++) {
        progress(`round ${turn + 1} of ${rounds}`)
        // Forwards and backwards in turn, so that what drifts meets each of them alike.
        const order = turn % 2 ? servers.toReversed() : servers
        for (const clients of CLIENTS) for (const qos of [0, 1] as const) for (const server of order) {
          add(`${server.name} ${clients} ${qos}`, await passThrough(server.port, root, clients, qos, forMs))
        }
        flushes.push(...fdatasyncs(folder, quick ? 50 : 100))
        for (const clients of SUBMITTERS) {
          const sum = durable.get(clients)!
          const { perSecond, latenciesMs, receipts } = await submissions(ours.port, root, clients, IN_FLIGHT, forMs, envelope)
          sum.perSecond.push(perSecond)
          for (const latency of latenciesMs) sum.latenciesMs.push(latency)
          sum.missing += latenciesMs.length - receipts
        }
      }
    } finally {
      await Promise.all(servers.map((server) => server.stop()))
      rmSync(folder, { recursive: true, force: true })
    }
    const rows: Row[] = []
    if (!servers.some((server) => server.name === 'mosquitto')) rows.push({ metric: 'mosquitto is not installed here (Debian: mosquitto), so it was left out', value: null, unit: '' })
    for (const clients of CLIENTS) for (const qos of [0, 1] as const) {
      const cell = `pass-through QoS ${qos}, ${clients} client${clients > 1 ? 's' : ''}`
      for (const server of servers) rows.push({ metric: `${cell}: ${server.name === 'aedes' ? 'bare aedes' : server.name}`, value: Math.round(median(rates.get(`${server.name} ${clients} ${qos}`) ?? [])), unit: 'messages/s' })
      const bare = rates.get(`aedes ${clients} ${qos}`) ?? []
      const ratios = (rates.get(`bus ${clients} ${qos}`) ?? []).map((rate, i) => rate / bare[i]!)
      const ratio = median(ratios)
      rows.push({ metric: `${cell}: bus / bare aedes, median of rounds (${spread(ratios)})`, value: round(ratio), unit: '', goal: `≥ ${GOAL_RATIO}`, holds: ratio >= GOAL_RATIO })
    }
    const flushMs = median(flushes)
    rows.push({ metric: 'one fdatasync of 4 KiB on the journal\'s disk, p50', value: round(flushMs, 3), unit: 'ms' })
    rows.push({ metric: 'one fdatasync of 4 KiB on the journal\'s disk, p99', value: round(quantileOf(flushes, 0.99), 3), unit: 'ms' })
    for (const clients of SUBMITTERS) {
      const { perSecond, latenciesMs, missing } = durable.get(clients)!
      const cell = `durable submission, ${IN_FLIGHT} in flight, ${clients} client${clients > 1 ? 's' : ''}`
      const p99 = quantileOf(latenciesMs, 0.99)
      rows.push({ metric: cell, value: Math.round(median(perSecond)), unit: 'intents/s', goal: `≥ ${GOAL_PER_S}`, holds: median(perSecond) >= GOAL_PER_S })
      rows.push({ metric: `${cell}: to PUBACK, p50`, value: round(median(latenciesMs)), unit: 'ms' })
      rows.push({ metric: `${cell}: to PUBACK, p99`, value: round(p99), unit: 'ms', goal: `≤ ${GOAL_FSYNCS} × one fdatasync = ${round(GOAL_FSYNCS * flushMs)} ms`, holds: p99 <= GOAL_FSYNCS * flushMs })
      rows.push({ metric: `${cell}: acknowledged without a receipt`, value: missing, unit: 'intents', goal: '0', holds: missing === 0 })
    }
    return rows
  },
}

export default measure
