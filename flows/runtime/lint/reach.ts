import type { FlowNode, Flows } from '../flow.ts'

const ids = (value: unknown): string[] => Array.isArray(value) ? value.flat().filter((id): id is string => typeof id === 'string') : []

/** Where a message that leaves `from` may come to: along wires, links and subflows, and by nodes that watch others. */
export function reachable(from: FlowNode, flows: Flows, byId: ReadonlyMap<string, FlowNode>): Set<string> {
  const seen = new Set<string>()
  const open = [...ids(from.wires)]
  while (open.length > 0) {
    const id = open.pop()!
    const node = byId.get(id)
    if (!node || seen.has(id)) continue
    seen.add(id)
    open.push(...ids(node.wires), ...ids(node['links']), ...inside(node, byId), ...outside(node, flows), ...watchers(node, flows))
  }
  return seen
}

/** An instance of a subflow: what its input is wired to. */
function inside({ type }: FlowNode, byId: ReadonlyMap<string, FlowNode>): string[] {
  if (!type.startsWith('subflow:')) return []
  const input = byId.get(type.slice(8))?.['in']
  return Array.isArray(input) ? (input as { wires?: { id?: unknown }[] }[]).flatMap(({ wires }) => (wires ?? []).flatMap(({ id }) => typeof id === 'string' ? [id] : [])) : []
}

/** A link out that returns: every caller goes on behind its call. */
function outside({ type, mode }: FlowNode, flows: Flows): string[] {
  return type === 'link out' && mode === 'return' ? flows.filter((node) => node.type === 'link call').flatMap(({ wires }) => ids(wires)) : []
}

/** Nodes that send when this one fails, is done, or changes its status. */
function watchers({ id, z, g }: FlowNode, flows: Flows): string[] {
  return flows.filter(({ type, scope, z: tab, g: group }) => {
    if (type !== 'catch' && type !== 'complete' && type !== 'status') return false
    if (Array.isArray(scope)) return scope.includes(id)
    return type !== 'complete' && tab === z && (scope !== 'group' || group === g)
  }).map((node) => node.id)
}
