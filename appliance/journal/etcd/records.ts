import { MtorError } from '../../contracts/errors.ts'
import type { DeviceTicket } from '../../contracts/events.ts'
import { canonicalJson, contentHash } from '../content.ts'
import type { AcceptInput, FinishInput, JournalEntry } from '../port.ts'
import type { Row } from '../rows.ts'
import type { Keys } from './keys.ts'
import type { Kv } from './wire.ts'

/** The head of an accepted intent's value; the envelope follows in the next line, exactly as its checksum knows it. */
export interface AcceptedHead {
  hash: string
  client: string
  at: JournalEntry['acceptedAt']
  /** Order within one transaction: those of one transaction have one revision. */
  n: number
  /** Who accepted it. */
  node: string
  /** Names the request that wrote it, so that a repeated attempt knows its own work. */
  token: string
}
export interface ClaimRecord { node: string; attempt: number; ticket?: DeviceTicket; token: string }
export interface FinalRecord extends Omit<FinishInput, 'deadLetter'> { wall?: number; node: string; token: string }
export interface DeviceRecord { epoch: number; sequence: number; token: string }

export const json = <T>(kv: Kv): T => JSON.parse(kv.value.toString('utf8')) as T

/** The text of an envelope with its checksum. */
export function contentOf({ envelope }: AcceptInput): { text: string; hash: string } {
  const text = canonicalJson(envelope)
  return { text, hash: contentHash(text).toString('base64') }
}

export const acceptedValue = (head: AcceptedHead, text: string) => `${JSON.stringify(head)}\n${text}`

export function acceptedHead(kv: Kv): { head: AcceptedHead; text: string } {
  const value = kv.value.toString('utf8')
  const end = value.indexOf('\n')
  return { head: JSON.parse(value.slice(0, end)) as AcceptedHead, text: value.slice(end + 1) }
}

/** One intent with everything that etcd has of it. */
export interface Found { entry: JournalEntry; node: string; revision: number; n: number }

/** The port's view of an intent, from its accepted key, the keys under it, and whether it is a dead letter. Throws JOURNAL_CORRUPT when the envelope is not what was accepted. */
export function foundOf(keys: Keys, accepted: Kv, parts: readonly Kv[], deadLetter: boolean): Found {
  const { head, text } = acceptedHead(accepted)
  const id = accepted.key.slice(keys.acceptedAll.length)
  if (contentHash(text).toString('base64') !== head.hash) throw new MtorError('JOURNAL_CORRUPT', `The stored envelope of ${id} does not match its checksum`)
  const part = <T>(key: string): T | undefined => {
    const kv = parts.find((candidate) => candidate.key === key)
    return kv && json<T>(kv)
  }
  const claim = part<ClaimRecord>(keys.claim(id))
  const progress = part<Record<string, unknown>>(keys.progress(id))
  const final = part<FinalRecord>(keys.final(id))
  const { state, wall, node: _node, token: _token, ...told } = final ?? {} as Partial<FinalRecord>
  return {
    node: head.node, revision: accepted.createRevision, n: head.n,
    entry: {
      envelope: JSON.parse(text) as JournalEntry['envelope'],
      state: state ?? (claim ? 'claimed' : 'accepted'),
      acceptedAt: head.at,
      client: head.client,
      ...(claim ? { claim: { node: claim.node, attempt: claim.attempt, ...(claim.ticket ? { ticket: claim.ticket } : {}) } } : {}),
      ...(progress ? { progress } : {}),
      ...(final ? { final: told } : {}),
      deadLetter,
      ...(wall === undefined ? {} : { finishedWall: wall }),
    },
  }
}

export const inOrder = (a: Found, b: Found) => a.revision - b.revision || a.n - b.n

/** An intent as a row of the SQLite journal, which is what an archive takes. */
export function rowOf({ envelope, client, acceptedAt, state, claim, progress, final, finishedWall, deadLetter }: JournalEntry): Row {
  const text = canonicalJson(envelope)
  return {
    id: envelope.id, hash: new Uint8Array(contentHash(text)), envelope: text, client, boot: acceptedAt.boot, mono: acceptedAt.mono, wall: acceptedAt.wall ?? null, state,
    node: claim?.node ?? null, attempt: claim?.attempt ?? 0, device: claim?.ticket?.device ?? null, epoch: claim?.ticket?.epoch ?? null, sequence: claim?.ticket?.sequence ?? null,
    progress: progress ? JSON.stringify(progress) : null, final: final ? JSON.stringify(final) : null, finishedWall: finishedWall ?? null, deadLetter: Number(deadLetter),
  }
}
