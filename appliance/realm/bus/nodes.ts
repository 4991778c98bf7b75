import type { Address } from '../../bus/listeners.ts'
import { isLoopback } from '../../bus/certificate.ts'
import type { NodeAddress } from '../../contracts/realm.ts'

const isEverywhere = (host: string) => host === '0.0.0.0' || host === '::'

/**
 * Where clients elsewhere reach the listeners of a node: one that listens everywhere is reached where the other nodes
 * reach it, one that listens on loopback only by those who are on the same machine, as all nodes of a test are.
 */
export function addressesFor(listeners: readonly Address[], nodeHost: string): NodeAddress[] {
  return listeners
    .filter(({ host }) => !isLoopback(host) || isLoopback(nodeHost))
    .map(({ kind, host, port, tls }) => ({ kind, host: isEverywhere(host) ? nodeHost : host, port, tls }))
}
