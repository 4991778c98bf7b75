import type { Topics } from '../../contracts/topics.ts'

const OWN = /^(?:stop|intent\/submit|realm\/nodes|catalogue|inference\/[^/]+\/provider|handler\/[^/]+\/receipt)$/

/**
 * Whether messages on `topic` are for all nodes. Each keeps to itself: the broker's own, what the node takes over by
 * another way (submissions, stops), and what a node says of itself under a name that the others use too.
 */
export function carries({ root }: Topics, topic: string): boolean {
  if (topic.charCodeAt(0) === 36) return false // $
  if (!topic.startsWith(root) || topic[root.length] !== '/') return true
  return !OWN.test(topic.slice(root.length + 1))
}
