import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { executedTwice } from './exactly-once.ts'
import { readFacts, readJournalStates } from './logs.ts'

interface ClientFact { at: number; fact: string; id?: string; type?: string; state?: string; node?: string; receipt?: { id: string | null; accepted: boolean; duplicate?: boolean; durable?: boolean; code?: string } }
interface NodeFact { kind: string; id?: string; type?: string; state?: string; name?: string; node?: string; source?: { kind: string }; at?: { mono: number }; data?: { durable?: boolean } }
interface ControllerFact { at: number; fact: string; command?: string; intentId?: string; epoch?: number; sequence?: number; verdict?: string; to?: number }
export interface RealmFaultFact { at: number; mendedAt: number; backAt: number | null; kind: string; nodes: string[]; [more: string]: unknown }
export interface RealmProbe { at: number; node: string; by: string }
const FINAL = new Set(['succeeded', 'failed', 'expired', 'aborted'])
const isMotion = (type: string | undefined) => type !== undefined && (type.startsWith('drive.') || type === 'light.set')

export interface RealmFiles {
  clients: readonly string[]
  /** What each node told, all its lives. */
  nodes: Readonly<Record<string, string>>
  controller: string
  /** Everything under the realm's keys, as `etcdctl get --prefix --write-out json` gives it. */
  etcd: string
  /** Of the nodes themselves, SQLite: what they had accepted alone. */
  journals: readonly string[]
  /** What the nodes have archived of the shared journal, SQLite. */
  archives: readonly string[]
}

export interface RealmVerdict {
  submitted: number
  /** Promised by a receipt, or told as accepted by a node (what was spoken, and what flows asked for). */
  accepted: number
  /** Those by who asked: mqtt, voice, cli, flow. */
  sources: Record<string, number>
  /** Carried out without a record, because there was no majority; the receipt said so. */
  undurable: number
  /** Refused for good, by code. */
  refused: Record<string, number>
  unanswered: number
  finals: Record<string, number>
  executed: number
  lost: string[]
  doubleFinals: string[]
  doubleExecutions: string[]
  staleExecutions: string[]
  phantoms: string[]
}

/** What etcd has of each intent at the end: its final state, or "open". Read without the journal's own code. */
export function readEtcdStates(file: string): Map<string, string> {
  const { kvs = [] } = JSON.parse(readFileSync(file, 'utf8')) as { kvs?: { key: string; value?: string }[] }
  const states = new Map<string, string>()
  const text = (base64 = '') => Buffer.from(base64, 'base64').toString('utf8')
  for (const { key, value } of kvs) {
    const [, , , , part, kind, id, what] = text(key).split('/')
    if (part !== 'journal' || id === undefined) continue
    if (kind === 'a' && !states.has(id)) states.set(id, 'open')
    if (kind === 'i' && what === 'f') states.set(id, (JSON.parse(text(value)) as { state: string }).state)
  }
  return states
}

/** What an archive has of each intent. Likewise. */
function readArchiveStates(file: string): Map<string, string> {
  const database = new DatabaseSync(file, { readOnly: true })
  try { return new Map((database.prepare('SELECT id, json FROM entry').all() as { id: string; json: string }[]).map(({ id, json }) => [id, (JSON.parse(json) as { state: string }).state])) } finally { database.close() }
}

/**
 * Judges a realm by logs alone: what clients were promised, what each node told, what the shared journal holds at the
 * end, and what the controller really did.
 */
export function judgeRealm(files: RealmFiles): RealmVerdict {
  const client = files.clients.flatMap((file) => readFacts<ClientFact>(file))
  const told = Object.values(files.nodes).flatMap((file) => readFacts<NodeFact>(file)).filter((fact) => fact.kind === 'intent')
  const controller = readFacts<ControllerFact>(files.controller)
  const journal = new Map([...files.journals.flatMap((file) => [...readJournalStates(file)]), ...files.archives.flatMap((file) => [...readArchiveStates(file)]), ...readEtcdStates(files.etcd)])

  const types = new Map([...told.map((f) => [f.id!, f.type!] as const), ...client.filter((f) => f.fact === 'submit').map((f) => [f.id!, f.type!] as const)])
  const submitted = new Set(client.filter((f) => f.fact === 'submit').map((f) => f.id!))
  const receipts = client.flatMap((f) => f.receipt?.id ? [f.receipt] : [])
  const undurable = new Set([...receipts.filter((r) => r.accepted && r.durable === false).map((r) => r.id!), ...told.filter((f) => f.state === 'accepted' && f.data?.durable === false).map((f) => f.id!)])
  const accepted = new Set([...receipts.filter((r) => r.accepted && r.durable !== false).map((r) => r.id!), ...told.filter((f) => f.state === 'accepted' && f.data?.durable !== false).map((f) => f.id!)])
  const refused: Record<string, number> = {}
  const answered = new Set([...accepted, ...undurable])
  const lastRefusal = new Map(receipts.filter((r) => !r.accepted).map((r) => [r.id!, r.code ?? 'unknown']))
  for (const id of submitted) {
    const code = lastRefusal.get(id)
    if (answered.has(id) || code === undefined) continue
    refused[code] = (refused[code] ?? 0) + 1
    answered.add(id)
  }

  const lost = [...accepted].filter((id) => !FINAL.has(journal.get(id) ?? 'missing')).map((id) => `${id} ${types.get(id)}: ${journal.get(id) ?? 'missing'}`)

  // One end: one node ended it, and every node and client that heard of it heard the same.
  const ends = new Map<string, { states: Set<string>; by: Set<string> }>()
  for (const { id, state, node } of [...told, ...client.filter((f) => f.fact === 'event')]) {
    if (!state || !FINAL.has(state)) continue
    const end = ends.get(id!) ?? { states: new Set(), by: new Set() }
    end.states.add(state)
    end.by.add(node ?? '?')
    ends.set(id!, end)
  }
  const doubleFinals = [...ends].filter(([id, { states, by }]) => !undurable.has(id) && (states.size > 1 || by.size > 1 || (FINAL.has(journal.get(id) ?? '') && !states.has(journal.get(id)!))))
    .map(([id, { states, by }]) => `${id} ${types.get(id)}: told ${[...states].join(', ')} by ${[...by].join(', ')}; journal ${journal.get(id)}`)

  const executions = controller.filter((f) => f.fact === 'execute')
  const doubleExecutions = executedTwice(executions)
  const done = new Set(executions.map((f) => f.intentId))
  const phantoms = [...journal].filter(([id, state]) => state === 'succeeded' && isMotion(types.get(id)) && !done.has(id)).map(([id]) => `${id} ${types.get(id)}`)

  let highest = 0
  const staleExecutions: string[] = []
  for (const f of controller) {
    if (f.fact === 'execute' && f.epoch !== undefined && f.epoch < highest) staleExecutions.push(`epoch ${f.epoch} after ${highest}, intent ${f.intentId}`)
    if (f.fact === 'execute' || (f.command === 'HELLO' && f.verdict === 'ok')) highest = Math.max(highest, f.epoch ?? 0)
    if (f.fact === 'epoch') highest = Math.max(highest, f.to ?? 0)
  }

  const sourceOf = new Map(told.flatMap((f) => f.source ? [[f.id!, f.source.kind] as const] : []))
  const sources: Record<string, number> = {}
  for (const id of accepted) { const source = sourceOf.get(id) ?? 'unknown'; sources[source] = (sources[source] ?? 0) + 1 }
  const finals: Record<string, number> = {}
  for (const id of accepted) { const state = journal.get(id) ?? 'missing'; finals[state] = (finals[state] ?? 0) + 1 }
  return { submitted: submitted.size, accepted: accepted.size, sources, undurable: undurable.size, refused, unanswered: [...submitted].filter((id) => !answered.has(id)).length, finals, executed: executions.length, lost, doubleFinals, doubleExecutions, staleExecutions, phantoms }
}

export interface RealmStops {
  /** From the request to the controller's own log, ms. */
  controllerMs: number[]
  /** From the request to each other node that could be counted on, ms. */
  nodesMs: number[]
  /** Asked where nobody was: no daemon, and no line of its own. */
  excused: number
  missed: string[]
}

/**
 * Stops asked for at any node, also while faults are there. The controller must have obeyed within the limit, unless
 * the node asked was one that nobody could count on and had no line. Every other node that could be counted on must
 * have stopped within the limit too, where the daemon of a node that could be counted on was asked.
 * @param wired nodes with a line of their own
 */
export function judgeRealmStops(files: { probes: string; controller: string; faults: string; nodes: Readonly<Record<string, string>> }, wired: readonly string[], limitMs: number): RealmStops {
  const faults = readFacts<RealmFaultFact>(files.faults)
  const isFaulty = (node: string, at: number) => faults.some((f) => f.nodes.includes(node) && at + limitMs >= f.at && at <= (f.backAt ?? Infinity))
  const isUnlined = (node: string, at: number) => faults.some((f) => f.kind === 'pull-line' && f.node === node && at + limitMs >= f.at && at <= (f.backAt ?? Infinity))
  const obeyed = readFacts<ControllerFact>(files.controller).filter((f) => f.fact === 'received' && f.command === 'STOP').map((f) => f.at)
  const heard = new Map(Object.entries(files.nodes).map(([node, file]) => [node, readFacts<NodeFact>(file).filter((f) => f.kind === 'system' && f.name === 'stop' && f.at).map((f) => f.at!.mono)]))
  const verdict: RealmStops = { controllerMs: [], nodesMs: [], excused: 0, missed: [] }
  const judge = (times: readonly number[], { at, node, by }: RealmProbe, into: number[], where: string) => {
    const latencyMs = (times.find((time) => time >= at) ?? Infinity) - at
    into.push(latencyMs)
    if (latencyMs > limitMs) verdict.missed.push(`stop at ${node} (${by}) at ${Math.round(at)}: ${Number.isFinite(latencyMs) ? `${latencyMs.toFixed(0)} ms` : 'never'} to ${where}`)
  }
  for (const probe of readFacts<RealmProbe>(files.probes)) {
    const { node, at, by } = probe
    // A wiped board is no board, and a node that is cut off or dead and has no line that works reaches nothing.
    const nobody = faults.some((f) => f.kind === 'wipe' && f.nodes.includes(node) && at + limitMs >= f.at && at <= (f.backAt ?? Infinity))
    const reaches = (wired.includes(node) && !isUnlined(node, at)) || (!isFaulty(node, at) && wired.some((other) => !isFaulty(other, at) && !isUnlined(other, at)))
    if (nobody || !reaches) verdict.excused += 1
    else judge(obeyed, probe, verdict.controllerMs, 'the controller')
    if (by !== 'daemon' || isFaulty(node, at)) continue
    for (const [other, times] of heard) if (other !== node && !isFaulty(other, at)) judge(times, probe, verdict.nodesMs, other)
  }
  return verdict
}

/** Faults by kind, with how long the realm took to be whole again after each was mended. */
export function judgeRecoveries(file: string): { kinds: Record<string, number>; recoveriesMs: Record<string, number[]>; notBack: string[] } {
  const kinds: Record<string, number> = {}, recoveriesMs: Record<string, number[]> = {}
  const notBack: string[] = []
  for (const { kind, at, mendedAt, backAt, nodes } of readFacts<RealmFaultFact>(file)) {
    kinds[kind] = (kinds[kind] ?? 0) + 1
    if (backAt === null) notBack.push(`${kind} of ${nodes.join(', ')} at ${Math.round(at)}`)
    else (recoveriesMs[kind] ??= []).push(Math.round(backAt - mendedAt))
  }
  return { kinds, recoveriesMs, notBack }
}
