import type { NodeRole } from '../list.ts'
import { inUse, isTooOld, KINDS, mismatch, type Numbers, type Versions } from './versions.ts'

/** A member, as far as this node knows it. */
export interface UpgradeNode { node: string; self: boolean; role: NodeRole; online: boolean; versions?: Versions }
/** A device, who commands it, and whose lines to it work. */
export interface UpgradeDevice { device: string; owner: string | undefined; lines: readonly string[] }
export interface Refusal { node: string; code: 'VERSION_MISMATCH' | 'NODE_UNREACHABLE' | 'NO_QUORUM'; message: string }

export interface UpgradeReport {
  realm: string
  /** True when a node with `to` can join the realm as it is now. */
  ok: boolean
  /** What is asked about: a release to come, or what this node runs. */
  to: Versions
  /** What all members understand; undefined while one of them is not known. */
  inUse?: Numbers
  nodes: UpgradeNode[]
  refused: Refusal[]
  warnings: string[]
  steps: string[]
}

export interface UpgradeQuestion {
  realm: string
  nodes: readonly UpgradeNode[]
  devices: readonly UpgradeDevice[]
  /** A release to come; left out: whether this node fits, and the order for whatever comes. */
  to?: Versions
}

const newer = (a: Versions, b: Versions): Versions => {
  const order = KINDS.reduce((sum, kind) => sum + a[kind] - b[kind], 0) || a.software.localeCompare(b.software, 'en', { numeric: true })
  return order < 0 ? b : a
}
const list = (names: readonly string[]) => names.join(', ')

/** Whether a release can join the realm, and which nodes are to be taken in which order. */
export function planUpgrade({ realm, nodes, devices, to: asked }: UpgradeQuestion): UpgradeReport {
  const own = nodes.find(({ self }) => self)!.versions!
  const to = asked ?? own
  const commands = (node: string) => devices.filter(({ owner }) => owner === node)
  const rank = ({ node, role }: UpgradeNode) => role === 'witness' ? 0 : commands(node).length === 0 ? 1 : 2
  const ordered = nodes.toSorted((a, b) => rank(a) - rank(b) || (a.node < b.node ? -1 : 1))
  const refused: Refusal[] = []
  // A release to come is new to every node here, this one too; where it is the only one, it meets nobody.
  for (const { node, self, versions } of ordered) {
    if (nodes.length === 1 || (self && !asked)) continue
    if (!versions) { refused.push({ node, code: 'NODE_UNREACHABLE', message: `what ${node} runs is not known: it is away, and was not seen since this realm registers it. Start it, or take it off the list with: mtor realm replace ${node}` }); continue }
    const why = mismatch(to, versions)
    if (why !== undefined) refused.push({ node, code: 'VERSION_MISMATCH', message: `${node} (${versions.software}) has ${why}: ${isTooOld(to, versions) ? `upgrade it to a release between ${versions.software} and ${to.software} first` : `${to.software} is too old for it`}` })
  }
  // Half way through, every node says the same of what is left, those that are still to be upgraded too.
  const known = nodes.flatMap(({ versions }) => versions ? [versions] : [])
  const target = asked ?? known.reduce(newer)
  const pending = ordered.filter(({ versions }) => versions?.software !== target.software)
  const due = pending.length === 0 && !asked ? ordered : pending
  const warnings: string[] = []
  const majority = Math.floor(nodes.length / 2) + 1
  const away = ordered.filter(({ online }) => !online).map(({ node }) => node)
  if (due.some(({ online }) => online) && nodes.length > 1 && nodes.length - away.length - 1 < majority) {
    if (nodes.length === 2) warnings.push('Two nodes have no majority when one is away: while either is upgraded nothing moves.')
    else if (asked) refused.push({ node: away[0]!, code: 'NO_QUORUM', message: `${list(away)} ${away.length === 1 ? 'is' : 'are'} away: with one more, ${nodes.length - away.length - 1} of ${nodes.length} are no majority. Bring ${away.length === 1 ? 'it' : 'them'} back first` })
    else warnings.push(`${list(away)} ${away.length === 1 ? 'is' : 'are'} away: take no other node down before ${away.length === 1 ? 'it is' : 'they are'} back.`)
  }
  const used = known.length === nodes.length ? inUse(known as [Versions, ...Versions[]]) : undefined
  if (used && target.schema > used.schema) warnings.push(`Until every member has journal schema ${target.schema}, all write ${used.schema}.`)
  return { realm, ok: refused.length === 0, to, ...(used ? { inUse: used } : {}), nodes: ordered, refused, warnings, steps: refused.length > 0 ? [] : steps(due, commands, asked || pending.length > 0 ? target.software : undefined) }
}

function steps(due: readonly UpgradeNode[], commands: (node: string) => UpgradeDevice[], software: string | undefined): string[] {
  return due.map(({ node, role }) => {
    const first = commands(node).map(({ device, lines }) => {
      // Best to one that is done already: then it is moved only once.
      const to = lines.find((other) => other !== node && commands(other).length === 0) ?? lines.find((other) => other !== node)
      return to === undefined ? `${device} stands still meanwhile, for no other node has a line to it; ` : `mtor device move ${device} ${to}; `
    }).join('')
    const kind = role === 'witness' ? 'witness' : first === '' ? 'stands by' : 'commands a device'
    return `${node} (${kind}): ${first}stop its daemon, install ${software ?? 'the new release'}, start it; go on when mtor upgrade --check shows it online${software === undefined ? '' : ` with ${software}`}`
  })
}
