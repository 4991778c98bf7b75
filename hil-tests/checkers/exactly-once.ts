import { readFacts, readJournalStates } from './logs.ts'

interface ClientFact { at: number; fact: string; id?: string; type?: string; receipt?: { id: string | null; accepted: boolean; duplicate?: boolean; code?: string } }
interface CoreFact { kind: string; id?: string; type?: string; state?: string; ticket?: { device: string; epoch: number; sequence: number } }
interface ControllerFact { at: number; fact: string; command?: string; intentId?: string; epoch?: number; sequence?: number; verdict?: string }
const FINAL = new Set(['succeeded', 'failed', 'expired', 'aborted'])

export interface Verdict {
  submitted: number
  acknowledged: number
  accepted: number
  rejected: number
  executed: number
  /** Accepted (a receipt said so) but unknown to the journal, or without a final state. */
  lost: string[]
  /** More than one final state was told, or another than the journal has. */
  doubleFinals: string[]
  /** One intent or one (epoch, sequence) carried out more than once by the controller. */
  doubleExecutions: string[]
  /** Called succeeded, but the controller never carried it out. */
  phantoms: string[]
  /** Carried out by the controller under an epoch older than one it had already obeyed. */
  staleExecutions: string[]
  finals: Record<string, number>
}

/** What the controller carried out more than once: an intent, or an epoch and sequence. */
export function executedTwice(executions: readonly { intentId?: string; epoch?: number; sequence?: number }[]): string[] {
  const doubles = (keyOf: (f: (typeof executions)[number]) => string | undefined) => {
    const count = new Map<string, number>()
    for (const f of executions) { const key = keyOf(f); if (key !== undefined) count.set(key, (count.get(key) ?? 0) + 1) }
    return [...count].filter(([, n]) => n > 1).map(([key, n]) => `${key} × ${n}`)
  }
  return [...doubles((f) => f.intentId), ...doubles((f) => `epoch ${f.epoch} sequence ${f.sequence}`)]
}

/**
 * Judges a run by its logs alone: the client's (what was submitted and acknowledged), the daemon's (what it told),
 * the journal file (what it made durable) and the controller's own (what really happened).
 */
export function judgeExactlyOnce(files: { client: string; core: readonly string[]; journal: string; controller: string }): Verdict {
  const client = readFacts<ClientFact>(files.client)
  const core = files.core.flatMap((file) => readFacts<CoreFact>(file)).filter((fact) => fact.kind === 'intent')
  const controller = readFacts<ControllerFact>(files.controller)
  const journal = readJournalStates(files.journal)

  const submitted = new Map(client.filter((f) => f.fact === 'submit').map((f) => [f.id!, f.type!]))
  const receipts = client.flatMap((f) => f.receipt ? [f.receipt] : [])
  // An acknowledgement without a rejecting receipt is an acceptance too: a receipt can be lost with its connection, a PUBACK is the promise.
  const refused = new Set(receipts.filter((r) => !r.accepted && r.id).map((r) => r.id!))
  const accepted = new Set([...receipts.filter((r) => r.accepted && r.id).map((r) => r.id!), ...client.filter((f) => f.fact === 'acknowledged' && !refused.has(f.id!)).map((f) => f.id!)])

  const told = new Map<string, string[]>()
  for (const fact of core) if (fact.state && FINAL.has(fact.state)) told.set(fact.id!, [...told.get(fact.id!) ?? [], fact.state])

  const lost = [...accepted].filter((id) => !FINAL.has(journal.get(id) ?? 'missing'))
  const doubleFinals = [...told].filter(([id, states]) => states.length > 1 || (journal.has(id) && journal.get(id) !== states[0])).map(([id, states]) => `${id} told ${states.join(', ')}; journal ${journal.get(id)}`)

  const executions = controller.filter((f) => f.fact === 'execute')
  const doubleExecutions = executedTwice(executions)
  const done = new Set(executions.map((f) => f.intentId))
  const moves = new Set([...submitted].filter(([, type]) => type.startsWith('drive.') || type === 'light.set').map(([id]) => id))
  const phantoms = [...journal].filter(([id, state]) => state === 'succeeded' && moves.has(id) && !done.has(id)).map(([id]) => id)

  let highest = 0
  const staleExecutions: string[] = []
  for (const f of controller) {
    if (f.fact === 'execute' && f.epoch !== undefined && f.epoch < highest) staleExecutions.push(`epoch ${f.epoch} after ${highest}`)
    if (f.fact === 'execute' || (f.command === 'HELLO' && f.verdict === 'ok')) highest = Math.max(highest, f.epoch ?? 0)
  }
  const finals: Record<string, number> = {}
  for (const id of accepted) { const state = journal.get(id) ?? 'missing'; finals[state] = (finals[state] ?? 0) + 1 }
  return { submitted: submitted.size, acknowledged: client.filter((f) => f.fact === 'acknowledged').length, accepted: accepted.size, rejected: refused.size, executed: executions.length, lost, doubleFinals, doubleExecutions, phantoms, staleExecutions, finals }
}

export interface StopProbe { at: number; by: string }

/**
 * Latency of each stop, from the request until the controller's log says it was obeyed. A controller that was without
 * power then (killed, booting) had its wheels standing anyway: counted apart, not as a miss.
 */
export function judgeStops(files: { probes: string; controller: string; faults: string }, limitMs: number): { latenciesMs: number[]; powerless: number; missed: string[] } {
  const probes = readFacts<StopProbe>(files.probes)
  const controller = readFacts<ControllerFact>(files.controller)
  const outages = readFacts<{ at: number; kind: string }>(files.faults).filter((f) => f.kind === 'kill-controller').map((f) => {
    const boot = controller.find((c) => c.fact === 'boot' && c.at > f.at)
    return { from: f.at, to: boot?.at ?? Infinity }
  })
  const obeyed = controller.filter((f) => f.fact === 'received' && f.command === 'STOP').map((f) => f.at)
  const latenciesMs: number[] = []
  const missed: string[] = []
  let powerless = 0
  for (const probe of probes) {
    const at = obeyed.find((t) => t >= probe.at)
    const latencyMs = at === undefined ? Infinity : at - probe.at
    if (latencyMs > limitMs && outages.some((o) => probe.at <= o.to && probe.at + limitMs >= o.from)) powerless += 1
    else { latenciesMs.push(latencyMs); if (latencyMs > limitMs) missed.push(`stop at ${probe.at} (${probe.by}): ${latencyMs.toFixed(0)} ms`) }
  }
  return { latenciesMs, powerless, missed }
}
