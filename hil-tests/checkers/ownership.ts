import { readFacts } from './logs.ts'

interface ControllerFact { at: number; fact: string; line?: string; command?: string; epoch?: number; sequence?: number; to?: number; verdict?: string; intentId?: string }
interface NodeFact { kind: string; name?: string; node?: string; at?: { mono: number }; data?: { device?: string; revision?: number; owner?: string; epoch?: number } }

export interface OwnershipFiles {
  /** The controller's own log. */
  controller: string
  /** Each node's log of facts. All of one machine: their times are of one monotonic clock. */
  nodes: Readonly<Record<string, string>>
  /** Which node is at which line of the controller. */
  lines: Readonly<Record<string, string>>
  device?: string
}

export interface OwnershipVerdict {
  executions: number
  /** Changes of hands that the nodes saw. */
  changes: number
  /** What must never be, one line each; empty is good. */
  violations: string[]
}

/**
 * Judges who commanded a device, by logs alone: what the controller obeyed against what the nodes saw etcd decide.
 * 1. The controller's epochs never go back.
 * 2. Commands of one epoch come from one line, with growing sequences, each carried out once.
 * 3. In the nodes' history every epoch has one owner, the same for all of them, and epochs grow with etcd's revisions.
 * 4. Commands of an epoch come from its owner.
 * 5. Nothing of an epoch is carried out after a node saw that its owner had lost the device: a node sees it no earlier than it is so.
 */
export function judgeOwnership({ controller, nodes, lines, device = 'rover' }: OwnershipFiles): OwnershipVerdict {
  const violations: string[] = []
  const facts = readFacts<ControllerFact>(controller)
  const history = Object.values(nodes).flatMap((file) => readFacts<NodeFact>(file)).filter((fact) => fact.kind === 'system' && fact.name === 'device.owner' && fact.data?.device === device)

  // What the nodes saw, by revision of etcd.
  const byRevision = new Map<number, { owner: string | undefined; epoch: number | undefined; seenMs: number }>()
  for (const { at, data, node } of history) {
    const { revision, owner, epoch } = data as { revision: number; owner?: string; epoch?: number }
    const known = byRevision.get(revision)
    if (!known) byRevision.set(revision, { owner, epoch, seenMs: at!.mono })
    else {
      if (known.owner !== owner || known.epoch !== epoch) violations.push(`revision ${revision}: ${node} saw ${owner} with ${epoch}, another node ${known.owner} with ${known.epoch}`)
      known.seenMs = Math.min(known.seenMs, at!.mono)
    }
  }
  const revisions = [...byRevision].sort(([a], [b]) => a - b)
  const ownerOf = new Map<number, { owner: string; endsMs: number }>()
  let highest = 0
  for (const [i, [revision, { owner, epoch }]] of revisions.entries()) {
    if (owner === undefined || epoch === undefined) continue
    if (epoch <= highest) violations.push(`revision ${revision}: epoch ${epoch} after ${highest}`)
    highest = Math.max(highest, epoch)
    ownerOf.set(epoch, { owner, endsMs: revisions[i + 1]?.[1].seenMs ?? Infinity })
  }

  let obeyed = 0
  const lineOf = new Map<number, string>()
  const lastSequence = new Map<number, number>()
  const done = new Set<string>()
  const executions = facts.filter(({ fact }) => fact === 'execute')
  for (const { at, fact, epoch, to, sequence, line, command, verdict } of facts) {
    const obeys = fact === 'execute' ? epoch : fact === 'epoch' ? to : fact === 'received' && command === 'HELLO' && verdict === 'ok' ? epoch : undefined
    if (obeys === undefined) continue
    if (obeys < obeyed) violations.push(`at ${at}: the controller obeyed epoch ${obeys} after ${obeyed}${line === undefined ? '' : ` (line ${line})`}`)
    obeyed = Math.max(obeyed, obeys)
    if (fact !== 'execute' || epoch === undefined || sequence === undefined) continue
    const what = `at ${at}: ${command} ${epoch}/${sequence}`
    if (done.has(`${epoch}/${sequence}`)) violations.push(`${what} was carried out twice`)
    done.add(`${epoch}/${sequence}`)
    if (sequence <= (lastSequence.get(epoch) ?? 0)) violations.push(`${what} after sequence ${lastSequence.get(epoch)}`)
    lastSequence.set(epoch, Math.max(sequence, lastSequence.get(epoch) ?? 0))
    if (line === undefined) continue
    const first = lineOf.get(epoch) ?? line
    lineOf.set(epoch, first)
    if (first !== line) violations.push(`${what} came by ${line}, others of this epoch by ${first}`)
    const owned = ownerOf.get(epoch)
    if (!owned) { violations.push(`${what}: no node saw an owner with epoch ${epoch}`); continue }
    if (lines[line] !== owned.owner) violations.push(`${what} came from ${lines[line] ?? line}, the owner was ${owned.owner}`)
    if (at > owned.endsMs) violations.push(`${what} was carried out ${(at - owned.endsMs).toFixed(1)} ms after ${owned.owner} had lost the device`)
  }
  return { executions: executions.length, changes: Math.max(0, ownerOf.size - 1), violations }
}
