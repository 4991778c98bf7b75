import { nameOf, type FlowNode, type Flows } from './flow.ts'

export interface Change { id: string; type: string; name: string; /** Label of the tab or subflow it stands on. */ on?: string }
export interface FlowDiff {
  added: Change[]
  removed: Change[]
  changed: (Change & { properties: string[] })[]
  /** Nodes that only stand elsewhere on the canvas. */
  moved: number
}

/** Where a node stands on the canvas changes nothing of what it does. */
const PLACE = new Set(['x', 'y', 'w', 'h'])
const SUMMARY_LENGTH = 300

/** What differs from one flow file to the other. */
export function diffFlows(before: Flows, after: Flows): FlowDiff {
  const old = new Map(before.map((node) => [node.id, node]))
  const now = new Map(after.map((node) => [node.id, node]))
  const diff: FlowDiff = { added: [], removed: [], changed: [], moved: 0 }
  for (const node of after) {
    const was = old.get(node.id)
    if (!was) { diff.added.push(changeOf(node, now)); continue }
    const properties = [...new Set([...Object.keys(was), ...Object.keys(node)])].filter((key) => JSON.stringify(was[key]) !== JSON.stringify(node[key]))
    if (properties.some((key) => !PLACE.has(key))) diff.changed.push({ ...changeOf(node, now), properties: properties.filter((key) => !PLACE.has(key)) })
    else if (properties.length > 0) diff.moved++
  }
  for (const node of before) if (!now.has(node.id)) diff.removed.push(changeOf(node, old))
  return diff
}

function changeOf(node: FlowNode, all: ReadonlyMap<string, FlowNode>): Change {
  const on = node.z === undefined ? undefined : all.get(node.z)
  const label = on?.['label'] ?? on?.name
  return { id: node.id, type: node.type, name: nameOf(node), ...(typeof label === 'string' && label !== '' ? { on: label } : {}) }
}

const some = (word: string, changes: readonly Change[]) => changes.length === 0 ? [] : [`${word} ${changes.map(({ name }) => name).join(', ')}`]

/** The same in a sentence for the log and the list of deploys. */
export function summaryOf(diff: FlowDiff): string {
  const text = [...some('added', diff.added), ...some('removed', diff.removed), ...some('changed', diff.changed), ...(diff.moved > 0 ? [`${diff.moved} moved`] : [])].join('; ') || 'nothing changed'
  if (text.length <= SUMMARY_LENGTH) return text
  const counts = [[diff.added, 'added'], [diff.removed, 'removed'], [diff.changed, 'changed']] as const
  return counts.filter(([changes]) => changes.length > 0).map(([changes, word]) => `${changes.length} ${word}`).join(', ')
}

/** The same in lines, as people know it from other tools. */
export function diffLines(diff: FlowDiff): string[] {
  const where = ({ id, on }: Change) => `${on === undefined ? '' : ` on “${on}”`} (${id})`
  return [
    ...diff.removed.map((change) => `- ${change.name}${where(change)}`),
    ...diff.added.map((change) => `+ ${change.name}${where(change)}`),
    ...diff.changed.map((change) => `~ ${change.name}${where(change)}: ${change.properties.join(', ')}`),
    ...(diff.moved > 0 ? [`  ${diff.moved} only moved on the canvas`] : []),
  ]
}
