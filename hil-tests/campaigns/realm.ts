import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import { stopAllLines } from '../../appliance/guard/last-resort.ts'
import { requestStop } from '../../appliance/guard/stop-socket.ts'
import { quantile } from '../../bench/table.ts'
import type { Measure, MeasureContext, Row } from '../../bench/harness.ts'
import { judgeOwnership } from '../checkers/ownership.ts'
import { readFacts } from '../checkers/logs.ts'
import { judgeRealm, judgeRealmStops, judgeRecoveries } from '../checkers/realm.ts'
import { REALM_FAULTS } from '../faults/realm/index.ts'
import { pick, type RealmFault } from '../faults/realm/port.ts'
import type { Appliance } from '../resources/appliance.ts'
import { GOOD_FLOW } from '../resources/good-flow.ts'
import { clearLeftovers, noteLeftovers } from '../resources/leftovers.ts'
import { RealmClient } from '../resources/realm-load.ts'
import { makeNet, namesOf } from '../resources/realm-net.ts'
import { CLIENT, REALM, RealmNodes } from '../resources/realm-nodes.ts'
import { synthetic } from '../resources/sounds.ts'

const FULL = ['a', 'b'] as const, WITNESS = 'w'
const SPOKEN_TO = 'a', FLOWS_AT = 'b'
const FULL_FAULTS = 200, QUICK_MS = 12_000
const QUICK_KINDS = ['kill-core', 'kill-etcd', 'freeze-core', 'cut', 'cut-in', 'pull-line']
const STOP_LIMIT_MS = 200
/** A realm that is not whole again by then is not back. */
const BACK_MS = 90_000
const SETTLE_MS = 120_000
/** Room for what etcd sets aside for its log, and little more. */
const SMALL_DISK_MB = 420

interface Files { clients: string[]; controller: string; faults: string; probes: string; etcd: string; played: string; flow: string }

/** Faults of processes, links, disks and clocks of three nodes under load; the judge reads only logs. */
const realm: Measure = {
  name: 'realm',
  title: 'three nodes under load: processes killed and stopped, links cut and slowed, disks full and lost: nothing lost, nothing done twice, stop everywhere within 200 ms',
  flags: [
    { flag: 'faults', help: `how many faults (default ${FULL_FAULTS})` }, { flag: 'kinds', help: 'only these kinds, by comma' },
    { flag: 'keep', help: 'folder in which all logs are kept' }, { flag: 'no-speech', help: 'without somebody who speaks' }, { flag: 'no-flows', help: 'without flows' },
  ],
  async run(context) {
    const dir = resolve(context.flags.keep ?? mkdtempSync(join(tmpdir(), 'mtor-realm-')))
    mkdirSync(dir, { recursive: true })
    const isSpoken = context.flags['no-speech'] === undefined && !context.quick
    const hasFlows = context.flags['no-flows'] === undefined && !context.quick
    for (const cleared of await clearLeftovers()) context.progress(cleared)
    const cleanedUp = noteLeftovers({ dir, isTemporary: context.flags.keep === undefined, ...namesOf([...FULL, WITNESS]) })
    const net = await makeNet([...FULL, WITNESS])
    const nodes = new RealmNodes(dir, {
      net, full: FULL, witness: WITNESS, seed: context.seed, smallDisk: { node: FLOWS_AT, megabytes: SMALL_DISK_MB },
      settings: { ...(isSpoken ? { [SPOKEN_TO]: { speech: { device: 'none', speak: { device: 'none' } } } } : {}), ...(hasFlows ? { [FLOWS_AT]: { flows: { port: 0 } } } : {}) },
    })
    const files: Files = { clients: ['one', 'two', 'three'].map((name) => join(dir, `client-${name}.jsonl`)), controller: join(dir, 'controller.jsonl'), faults: join(dir, 'faults.jsonl'), probes: join(dir, 'stops.jsonl'), etcd: join(dir, 'etcd.json'), played: join(dir, 'played.jsonl'), flow: join(dir, 'flow.jsonl') }
    for (const file of [files.faults, files.probes, files.played, files.flow]) writeFileSync(file, '')
    const over = new AbortController()
    const clients: RealmClient[] = []
    const loads: Promise<void>[] = []
    try {
      if (!net.cuts) context.progress('no network namespaces here: nothing is cut or slowed')
      await nodes.start((text) => { context.progress(text) })
      await whole(context, nodes, FULL[0], 60_000)
      if (isSpoken) {
        await nodes.node(SPOKEN_TO).hearing()
        loads.push(speak(nodes.node(SPOKEN_TO), await synthetic(dir, 'computer. what time is it'), files.played, over.signal))
      }
      if (hasFlows) loads.push(useFlow(nodes, dir, files.flow, over.signal))
      const urls = nodes.names.map((name) => nodes.url(name))
      for (const [i, logFile] of files.clients.entries()) {
        const client = new RealmClient({ name: `client-${i}`, urls, credentials: CLIENT, realm: REALM, logFile, random: context.random, perSecond: context.quick ? 3 : 2 }, i)
        clients.push(client)
        client.start()
      }
      context.progress('three nodes work as one')
      await injectAll(context, nodes, files)
      over.abort()
      await Promise.all(loads)
      context.progress('waiting for what is under way')
      const drained = (await Promise.all(clients.map((client) => client.drain(60_000)))).every(Boolean)
      await settled(nodes)
      await nodes.dumpEtcd(files.etcd)
      for (const client of clients) client.stop()
      await nodes.stop()
      return rowsOf(context, nodes, files, { drained, hops: clients.reduce((sum, { hops }) => sum + hops, 0), cuts: net.cuts })
    } finally {
      over.abort()
      for (const client of clients) client.stop()
      await nodes.stop()
      await net.stop()
      cleanedUp()
      if (!context.flags.keep) rmSync(dir, { recursive: true, force: true })
      else context.progress(`logs are in ${dir}`)
    }
  },
}
export default realm

const pause = (ms: number, signal?: AbortSignal) => new Promise<void>((done) => {
  const timer = setTimeout(done, ms)
  signal?.addEventListener('abort', () => { clearTimeout(timer); done() }, { once: true })
})

/** When the realm was whole again; null where it did not come to that. */
async function whole(context: MeasureContext, nodes: RealmNodes, through: string, withinMs = BACK_MS): Promise<number | null> {
  const untilMs = performance.now() + withinMs
  while (performance.now() < untilMs) {
    context.signal.throwIfAborted()
    if (await nodes.isWhole(through)) return clock.monoMs()
    await pause(100, context.signal)
  }
  return null
}

function chosen(context: MeasureContext): readonly RealmFault[] {
  const asked = context.flags.kinds?.split(',')
  const faults = REALM_FAULTS.filter(({ kind }) => asked ? asked.includes(kind) : !context.quick || QUICK_KINDS.includes(kind))
  if (faults.length === 0) throw new MtorError('USAGE', `--kinds: there are ${REALM_FAULTS.map(({ kind }) => kind).join(', ')}`)
  return faults
}

async function injectAll(context: MeasureContext, nodes: RealmNodes, files: Files): Promise<void> {
  const { random } = context
  const wanted = Number(context.flags.faults ?? FULL_FAULTS)
  const faults = chosen(context)
  const total = faults.reduce((sum, { weight }) => sum + weight, 0)
  const untilMs = context.quick ? performance.now() + QUICK_MS : Infinity
  const skipped = new Set<string>()
  for (let done = 0, tries = 0; done < wanted && performance.now() < untilMs; tries++) {
    context.signal.throwIfAborted()
    await pause(200 + random() * 800, context.signal)
    // Each kind once at first, then by weight.
    let left = random() * total
    const fault = (context.quick ? undefined : faults[tries]) ?? faults.find(({ weight }) => (left -= weight) < 0) ?? faults[0]!
    const at = clock.monoMs()
    const injected = await fault.inject({ realm: nodes, random })
    if (!injected) {
      if (!skipped.has(fault.kind)) context.progress(`nothing to do here: ${fault.kind}`)
      skipped.add(fault.kind)
      if (skipped.size === faults.length) throw new MtorError('NOT_FITTED', 'none of these faults can be injected here')
      continue
    }
    // While it is there, coming up, or gone.
    const probing = (async () => { await pause(random() * Math.max(1_000, injected.lastsMs)); await probe(nodes, pick(nodes.names, random), files.probes) })()
    await pause(injected.lastsMs, context.signal)
    let trouble: string | undefined
    await injected.mend?.().catch((error: unknown) => { trouble = toMtorError(error).message })
    const mendedAt = clock.monoMs()
    await probing
    const through = injected.nodes.find((node) => nodes.full.includes(node)) ?? pick(nodes.full, random)
    const backAt = await whole(context, nodes, through)
    appendFileSync(files.faults, `${JSON.stringify({ at, mendedAt, backAt, kind: fault.kind, nodes: injected.nodes, ...injected.what, ...(trouble === undefined ? {} : { trouble }) })}\n`)
    done += 1
    context.progress(`${done}${context.quick ? '' : ` of ${wanted}`}: ${fault.kind} ${JSON.stringify({ ...(injected.nodes.length ? { nodes: injected.nodes.join(' ') } : {}), ...injected.what })} for ${Math.round(mendedAt - at)} ms, ${backAt === null ? 'NOT BACK' : `whole ${Math.round(backAt - mendedAt)} ms later`}${trouble === undefined ? '' : `; ${trouble}`}`)
    if (backAt === null) await whole(context, nodes, nodes.full[0]!)
    else await probe(nodes, pick(nodes.names, random), files.probes)
  }
}

async function probe(nodes: RealmNodes, node: string, log: string): Promise<void> {
  const { stopSocket, runFile } = nodes.node(node)
  const at = clock.monoMs()
  const answer = await requestStop({ socketPath: stopSocket, reason: 'campaign', lastResort: () => stopAllLines(runFile) }).catch(() => undefined)
  appendFileSync(log, `${JSON.stringify({ at, node, by: answer?.by ?? 'nobody', ms: answer?.ms })}\n`)
}

/** Somebody asks for the time, again and again. */
async function speak({ control }: Appliance, file: string, log: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const from = clock.monoMs()
    let failed = false
    try { for await (const _ of control.lines('POST', '/listen', { file }, signal)) { /* Until it is answered. */ } } catch { failed = true }
    if (signal.aborted) return
    appendFileSync(log, `${JSON.stringify({ from, to: clock.monoMs(), failed })}\n`)
    await pause(failed ? 1_000 : 2_000, signal)
  }
}

/** Somebody asks for what a flow does, again and again; a board that has lost its flows is given them again. */
async function useFlow(nodes: RealmNodes, dir: string, log: string, signal: AbortSignal): Promise<void> {
  const file = join(dir, 'flow.json')
  writeFileSync(file, JSON.stringify(GOOD_FLOW))
  while (!signal.aborted) {
    const at = clock.monoMs()
    const { accepted, state, code } = await nodes.ask(FLOWS_AT, 'samples.count')
    if (signal.aborted) return
    appendFileSync(log, `${JSON.stringify({ at, accepted, state, code })}\n`)
    if (code === 'UNKNOWN_TYPE') await nodes.node(FLOWS_AT).control.call('POST', '/flows/import', { file }).catch(() => { /* Node-RED is not there yet. */ })
    await pause(state === 'succeeded' ? 1_500 : 3_000, signal)
  }
}

/** Waits until no node has anything unfinished any more. */
async function settled(nodes: RealmNodes): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS
  while (performance.now() < untilMs) {
    const unfinished = await Promise.all(nodes.names.map(async (name) => (await nodes.node(name).control.call('GET', '/status').catch(() => undefined) as { journal?: { unfinished?: number } } | undefined)?.journal?.unfinished))
    if (unfinished.every((count) => count === 0)) return
    await pause(200)
  }
}

function rowsOf(context: MeasureContext, nodes: RealmNodes, files: Files, { drained, hops, cuts }: { drained: boolean; hops: number; cuts: boolean }): Row[] {
  const facts = Object.fromEntries(nodes.names.map((name) => [name, nodes.factsOf(name)]))
  const verdict = judgeRealm({ clients: files.clients, nodes: facts, controller: files.controller, etcd: files.etcd, journals: nodes.ownJournals(), archives: nodes.archives() })
  const stops = judgeRealmStops({ probes: files.probes, controller: files.controller, faults: files.faults, nodes: facts }, FULL, STOP_LIMIT_MS)
  const { kinds, recoveriesMs, notBack } = judgeRecoveries(files.faults)
  for (const [name, list] of Object.entries({ ...verdict, notBack, missed: stops.missed }).filter(([, value]) => Array.isArray(value)) as [string, string[]][]) for (const item of list.slice(0, 10)) context.progress(`${name}: ${item}`)
  const none = (metric: string, list: readonly string[]): Row => ({ metric, value: list.length, unit: '', goal: '= 0', holds: list.length === 0 })
  const counts = (record: Record<string, number>) => Object.entries(record).map(([name, n]) => `${n} ${name}`).join(', ')
  const worst = (values: readonly number[]): Row['value'] => values.length > 0 && Number.isFinite(Math.max(...values)) ? Math.max(...values) : null
  const ownership = judgeOwnership({ controller: files.controller, nodes: facts, lines: Object.fromEntries(FULL.map((name) => [`line-${name}`, name])) })
  for (const item of ownership.violations.slice(0, 10)) context.progress(`ownership: ${item}`)
  const played = readFacts<{ failed: boolean }>(files.played), asked = readFacts<{ state?: string }>(files.flow)
  const faults = Object.values(kinds).reduce((sum, n) => sum + n, 0)
  const recoveries = Object.values(recoveriesMs).flat()
  return [
    { metric: 'faults injected', value: faults, unit: counts(kinds), ...(context.quick || context.flags.faults !== undefined ? {} : { goal: `>= ${FULL_FAULTS}`, holds: faults >= FULL_FAULTS }) },
    { metric: 'links that can be cut', value: String(cuts), unit: cuts ? 'a network namespace a node' : 'all on the loopback' },
    { metric: 'intents submitted', value: verdict.submitted, unit: `${hops} changes of node` },
    { metric: 'accepted', value: verdict.accepted, unit: counts(verdict.finals) },
    { metric: 'of those, by who asked', value: '', unit: counts(verdict.sources) },
    ...(played.length === 0 ? [] : [{ metric: 'spoken requests', value: played.length, unit: `${played.filter(({ failed }) => failed).length} while nobody could hear` }]),
    ...(asked.length === 0 ? [] : [{ metric: 'asked of a flow', value: asked.length, unit: `${asked.filter(({ state }) => state === 'succeeded').length} done` }]),
    { metric: 'carried out without a record, and said so', value: verdict.undurable, unit: '' },
    { metric: 'refused', value: Object.values(verdict.refused).reduce((sum, n) => sum + n, 0), unit: counts(verdict.refused) },
    { metric: 'everything answered in the end', value: String(drained), unit: verdict.unanswered > 0 ? `${verdict.unanswered} not` : '', goal: 'true', holds: drained },
    { metric: 'commands carried out', value: verdict.executed, unit: '' },
    none('accepted intents lost', verdict.lost),
    none('intents with more than one end', verdict.doubleFinals),
    none('device commands executed twice', verdict.doubleExecutions),
    none('commands executed under an old epoch', verdict.staleExecutions),
    none('against what the nodes saw of the ownership', ownership.violations),
    { metric: 'changes of hands', value: ownership.changes, unit: '' },
    none('successes the controller knows nothing of', verdict.phantoms),
    none('faults after which the realm was not whole again', notBack),
    { metric: 'whole again, p50', value: quantile(recoveries, 0.5), unit: 'ms' },
    ...Object.entries(recoveriesMs).map(([kind, values]): Row => ({ metric: `  after ${kind}, p50`, value: quantile(values, 0.5), unit: `ms; slowest of ${values.length}: ${Math.max(...values)}` })),
    { metric: 'stops probed', value: stops.controllerMs.length, unit: stops.excused > 0 ? `${stops.excused} more where nobody could hear` : '' },
    { metric: 'stop at the controller p50', value: quantile(stops.controllerMs, 0.5), unit: 'ms' },
    { metric: 'stop at the controller worst', value: worst(stops.controllerMs), unit: 'ms', goal: `<= ${STOP_LIMIT_MS}`, holds: stops.controllerMs.length > 0 && Math.max(...stops.controllerMs) <= STOP_LIMIT_MS },
    { metric: 'stop at the other nodes p50', value: quantile(stops.nodesMs, 0.5), unit: `ms, of ${stops.nodesMs.length}` },
    { metric: 'stop at the other nodes worst', value: worst(stops.nodesMs), unit: 'ms', goal: `<= ${STOP_LIMIT_MS}`, holds: stops.nodesMs.every((ms) => ms <= STOP_LIMIT_MS) },
  ]
}
