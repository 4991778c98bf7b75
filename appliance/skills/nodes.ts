import type { NodeState } from '../contracts/telemetry.ts'
import type { Skill } from './port.ts'
import { list, quantity, sentence } from './words.ts'

/** What is known of one node of the realm. */
export type NodeSummary = Pick<NodeState, 'node' | 'online' | 'mode' | 'devices'>

/** Names the nodes of the realm and which of them are online. */
export function makeNodesSkill({ node, nodes }: { node: string; nodes(): readonly NodeSummary[] | Promise<readonly NodeSummary[]> }): Skill {
  return {
    name: 'nodes',
    types: ['node.list'],
    async run() {
      const known = await nodes()
      const named = (online: boolean) => known.filter((n) => n.online === online).map((n) => n.node === node ? `${n.node}, which is me` : n.node)
      const online = named(true)
      const offline = named(false)
      const say = [`${quantity(online.length, 'node')} online: ${list(online)}.`]
      if (offline.length > 0) say.push(`${sentence(list(offline))} ${offline.length === 1 ? 'is' : 'are'} offline.`)
      return { say: say.join(' '), data: { nodes: known } }
    },
  }
}
