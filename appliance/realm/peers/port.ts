import type { NodeRole } from '../list.ts'
import type { Versions } from '../upgrade/versions.ts'
import type { RequestOptions } from './requests.ts'

/** What is known of another node. */
export interface PeerInfo {
  node: string
  /** Heard within `peers.offlineAfterMs`, and it hears us. */
  online: boolean
  role: NodeRole
  /** host:port of the member list. */
  address: string
  /** As it said when it was last linked. */
  version: string | undefined
  /** Likewise, all that must fit; also of one that was refused because it does not. */
  versions?: Versions
  /** Protocol that both ends of the link speak; undefined while offline. */
  protocol: number | undefined
  /** Changes whenever its process is started anew; undefined before it was first linked. */
  instance: string | undefined
  /** Time there and back, ms, smoothed. */
  rttMs?: number
  /** Milliseconds since it was last heard; Infinity when never. */
  lastHeardMs: number
  /** Whether its wall clock is known good there, how far it is ahead of ours, and ours as seen from there, ms. */
  clock?: { good: boolean; offsetMs?: number; offsetSeenThereMs?: number }
  /** Why it is offline, such as silent, unheard (one way is cut), closed, refused. */
  offline?: string
}

/**
 * The other nodes of the realm. Messages go over named channels of one authenticated link to each; `stop` goes before
 * everything. A message is anything that JSON can hold; an object may have `bytes: Uint8Array`, which goes as it is.
 */
export interface Peers {
  readonly self: string
  list(): PeerInfo[]
  /** To one node or to all others ('*'); whoever is offline, or does not keep up, misses it. @throws MtorError TOO_LARGE */
  send(to: string | '*', channel: string, message: unknown): void
  /** Asks one node. @throws MtorError NODE_UNREACHABLE, DEADLINE, CANCELLED (it may have been done all the same), BUSY, TOO_LARGE, or what the other threw */
  request(to: string, channel: string, message: unknown, options: RequestOptions): Promise<unknown>
  /** Hears what others send; returns what stops it. */
  on(channel: string, listener: (from: string, message: unknown) => void): () => void
  /** Answers what others ask; the signal aborts when the asker cancels or goes. One handler a channel. */
  serve(channel: string, handler: (from: string, message: unknown, signal: AbortSignal) => Promise<unknown>): () => void
  /** Called when a node comes, goes, joins or leaves. */
  onChange(listener: () => void): () => void
}
