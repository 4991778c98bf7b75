import type { DeviceTicket } from '../../contracts/events.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { AcceptInput, AcceptOutcome, ClaimInput, FinishInput } from '../port.ts'
import type { Keys } from './keys.ts'
import { acceptedHead, acceptedValue, contentOf, json, type ClaimRecord, type DeviceRecord, type FinalRecord } from './records.ts'
import { absent, nested, one, present, put, remove, unchanged, type Compare, type Kv, type RequestOp, type TxnReply } from './wire.ts'
import type { Operation, Step } from './writer.ts'

/** A value with the revision it was last changed at; that of a key that is not there is 0. */
interface At<T> { record: T | undefined; revision: number }

/** What the operations know between them. All of it may be out of date: etcd compares before it writes. */
export interface Context {
  keys: Keys
  node: string
  /** A name for one request that no other has. */
  token(): string
  /** A number that grows. */
  order(): number
  leaseId(): string | undefined
  /** Content of ids that were accepted before, as a shortcut; never wrong, often missing. */
  recent: Map<string, string>
  /** Claims of this journal. */
  claims: Map<string, At<ClaimRecord>>
  devices: Map<string, At<DeviceRecord>>
  /** Names besides ours that this journal claimed for. */
  alsoNodes: Set<string>
  /** The revision of the archive's head that is known here: ids up to it are looked up without etcd. */
  archiveRevision(): number
  /** Learns what was archived since, then says what content the archive has for this id. */
  lookUpArchived(id: string): Promise<string | undefined>
}

const at = <T>(kv: Kv | undefined): At<T> => ({ record: kv && json<T>(kv), revision: kv?.modRevision ?? 0 })
const nothing = { record: undefined, revision: 0 }
const RECENT_MAX = 4_096

/** Keeps the content of an id, for the submissions that come again. */
export function remember({ recent }: Pick<Context, 'recent'>, id: string, hash: string) {
  recent.set(id, hash)
  if (recent.size > RECENT_MAX) recent.delete(recent.keys().next().value!)
}

export function acceptOperation(context: Context, input: AcceptInput): Operation<AcceptOutcome> & { bytes: number } {
  const { keys, node } = context
  const { id } = input.envelope
  const { text, hash } = contentOf(input)
  const token = context.token()
  const value = acceptedValue({ hash, client: input.client, at: input.acceptedAt, n: context.order(), node, token }, text)
  const bytes = Buffer.byteLength(value)
  return {
    bytes,
    plan() {
      const recent = context.recent.get(id)
      if (recent !== undefined) return { value: recent === hash ? 'duplicate' : 'conflict' }
      return {
        writes: [keys.accepted(id), keys.open(id)], reads: [keys.archive], bytes: bytes * 4 / 3,
        effects: [{ kind: 'put', key: keys.accepted(id) }],
        txn: {
          compare: [absent(keys.accepted(id)), unchanged(keys.archive, context.archiveRevision())],
          success: [put(keys.accepted(id), value), put(keys.open(id), '')],
          failure: [one(keys.accepted(id))],
        },
      }
    },
    async settle({ succeeded, parts }) {
      const found = succeeded ? undefined : parts[0]!.kvs[0]
      const head = found && acceptedHead(found).head
      const known = succeeded ? hash : head?.hash ?? await context.lookUpArchived(id)
      if (known === undefined) return 'again'
      remember(context, id, known)
      if (succeeded || head?.token === token) return { value: 'accepted' }
      return { value: known === hash ? 'duplicate' : 'conflict' }
    },
  }
}

/** Who must be gone for a claim to be taken over, or `undefined` where it may be changed anyway. */
const strange = (context: Context, claim: ClaimRecord | undefined, node: string): string | undefined =>
  claim && claim.node !== node && !context.alsoNodes.has(claim.node) ? claim.node : undefined

export function claimOperation(context: Context, id: string, { node, device, epoch }: ClaimInput): Operation<{ attempt: number; ticket?: DeviceTicket } | undefined> {
  const { keys } = context
  const token = context.token()
  let claim: At<ClaimRecord> = context.claims.get(id) ?? nothing
  let planned: ClaimRecord | undefined
  let refuse: MtorError | undefined
  const holderOf = ({ record }: At<ClaimRecord>) => record && record.node !== node ? record.node : undefined
  /** The node whose claim this is at present, and that must be gone. */
  let holder = holderOf(claim)
  const result = ({ attempt, ticket }: ClaimRecord) => ({ value: { attempt, ...(ticket ? { ticket } : {}) } })
  return {
    plan() {
      const known = device === undefined ? nothing : context.devices.get(device) ?? nothing
      const ticket = device === undefined ? undefined : nextTicket(device, known.record, epoch)
      // An epoch only grows, so one that is old for what is known is old.
      refuse = ticket && known.record && ticket.epoch < known.record.epoch ? new MtorError('STALE_EPOCH', `Device ${device} has epoch ${known.record.epoch}, the claim came with ${ticket.epoch}`) : undefined
      planned = { node, attempt: (claim.record?.attempt ?? 0) + 1, ...(ticket ? { ticket } : {}), token }
      const compare: Compare[] = [present(keys.open(id)), unchanged(keys.claim(id), claim.revision)]
      const success: RequestOp[] = refuse ? [] : [put(keys.claim(id), JSON.stringify(planned))]
      const failure: RequestOp[] = [one(keys.claim(id)), one(keys.open(id))]
      const step: Step = { txn: { compare, success, failure }, writes: [keys.claim(id)], reads: [keys.open(id)] }
      if (ticket) {
        compare.push(unchanged(keys.device(ticket.device), known.revision))
        failure.push(one(keys.device(ticket.device)))
        step.writes.push(keys.device(ticket.device))
        if (!refuse) success.push(put(keys.device(ticket.device), JSON.stringify({ epoch: ticket.epoch, sequence: ticket.sequence, token } satisfies DeviceRecord)))
      }
      if (holder !== undefined) {
        compare.push(absent(keys.node(holder)))
        failure.push(one(keys.node(holder)))
        step.reads!.push(keys.node(holder))
      }
      const lease = context.leaseId()
      if (node !== context.node && lease !== undefined) {
        // Somebody else's claims live as long as this journal does.
        success.push(nested({ compare: [absent(keys.node(node))], success: [put(keys.node(node), context.node, lease)], failure: [] }))
        step.writes.push(keys.node(node))
      }
      return step
    },
    settle({ succeeded, revision, parts }) {
      if (succeeded) {
        if (refuse) throw refuse
        context.claims.set(id, { record: planned, revision })
        if (planned!.ticket) context.devices.set(device!, { record: { ...planned!.ticket, token }, revision })
        if (node !== context.node) context.alsoNodes.add(node)
        return result(planned!)
      }
      const [claimed, open, third, fourth] = parts.map((part) => part.kvs[0])
      const now = at<ClaimRecord>(claimed)
      if (device !== undefined) context.devices.set(device, at<DeviceRecord>(third))
      if (now.record?.token === token) {
        context.claims.set(id, now)
        return result(now.record)
      }
      if (!open) return { value: undefined }
      const lives = (device === undefined ? third : fourth) !== undefined
      claim = now
      const before = holder
      holder = holderOf(now)
      if (holder !== undefined && holder === before && lives) return { value: undefined }
      return 'again'
    },
  }
}

/** A fresh right to send one command: the next sequence of the epoch, or the first of a newer one. */
function nextTicket(device: string, known: DeviceRecord | undefined, wanted: number | undefined): DeviceTicket {
  const epoch = wanted ?? known?.epoch ?? 1
  return { device, epoch, sequence: known?.epoch === epoch ? known.sequence + 1 : 1 }
}

/** What a change by this node must find: the intent open, and its claim as this journal made it, or by nobody. */
function guard(context: Context, id: string, claim: At<ClaimRecord>): { compare: Compare[]; reads: string[] } {
  const { keys } = context
  return { compare: [present(keys.open(id)), unchanged(keys.claim(id), claim.revision)], reads: [keys.claim(id)] }
}

/**
 * False where another node that lives has the claim: it was taken over from this one, or never was ours, and the
 * final state is for that node to write.
 */
export function finishOperation(context: Context, id: string, { deadLetter = false, ...input }: FinishInput, wall: number | undefined, progress: string | undefined): Operation<boolean> {
  const { keys, node } = context
  const token = context.token()
  const record: FinalRecord = { ...input, ...(wall === undefined ? {} : { wall }), node, token }
  const value = JSON.stringify(record)
  const own = context.claims.get(id)
  let claim: At<ClaimRecord> = own ?? nothing
  let holder: string | undefined
  return {
    plan() {
      const { compare, reads } = guard(context, id, claim)
      const failure: RequestOp[] = [one(keys.final(id)), one(keys.open(id)), one(keys.claim(id))]
      if (holder !== undefined) {
        compare.push(absent(keys.node(holder)))
        failure.push(one(keys.node(holder)))
        reads.push(keys.node(holder))
      }
      const success = [put(keys.final(id), value), remove(keys.open(id)), ...(deadLetter ? [put(keys.dead(id), '')] : []), ...(progress ? [put(keys.progress(id), progress)] : [])]
      return {
        txn: { compare, success, failure }, reads, bytes: value.length * 4 / 3,
        writes: [keys.final(id), keys.open(id), keys.dead(id), keys.progress(id)],
        effects: [...(deadLetter ? [{ kind: 'put' as const, key: keys.dead(id) }] : []), { kind: 'put', key: keys.final(id) }],
      }
    },
    settle({ succeeded, parts }) {
      if (succeeded) return ended(true)
      const [final, open, claimed, held] = parts.map((part) => part.kvs[0])
      if (final) return ended(json<FinalRecord>(final).token === token)
      if (!open) return { value: false }
      const now = at<ClaimRecord>(claimed)
      const before = holder
      holder = strange(context, now.record, node)
      if (holder !== undefined && (own || (holder === before && held))) return { value: false }
      claim = now
      return 'again'
    },
  }
  function ended(value: boolean) {
    context.claims.delete(id)
    return { value }
  }
}

/** Nothing happens where the intent has ended or was taken over. */
export function progressOperation({ keys, claims }: Context, id: string, value: string): Operation<void> {
  return {
    plan() {
      const own = claims.get(id)
      return {
        writes: [keys.progress(id)], reads: [keys.open(id), keys.claim(id)], bytes: value.length * 4 / 3,
        txn: { compare: [present(keys.open(id)), ...(own ? [unchanged(keys.claim(id), own.revision)] : [])], success: [put(keys.progress(id), value)], failure: [] },
      }
    },
    settle: () => ({ value: undefined }),
  }
}

export function clearDeadLetterOperation({ keys }: Context, id: string): Operation<boolean> {
  return {
    plan: () => ({ writes: [keys.dead(id)], effects: [{ kind: 'delete', key: keys.dead(id) }], txn: { compare: [present(keys.dead(id))], success: [remove(keys.dead(id))], failure: [] } }),
    settle: ({ succeeded }) => ({ value: succeeded }),
    lost() { throw new MtorError('JOURNAL_UNAVAILABLE', 'The answer of etcd was lost; the outcome is unknown') },
  }
}

export function nextEpochOperation(context: Context, device: string, above: number): Operation<number> {
  const { keys } = context
  const token = context.token()
  let planned: DeviceRecord
  return {
    plan() {
      const known = context.devices.get(device) ?? nothing
      planned = { epoch: Math.max(known.record?.epoch ?? 0, above) + 1, sequence: 0, token }
      return { writes: [keys.device(device)], txn: { compare: [unchanged(keys.device(device), known.revision)], success: [put(keys.device(device), JSON.stringify(planned))], failure: [one(keys.device(device))] } }
    },
    settle({ succeeded, revision, parts }) {
      const now: At<DeviceRecord> = succeeded ? { record: planned, revision } : at<DeviceRecord>(parts[0]!.kvs[0])
      context.devices.set(device, now)
      return succeeded || now.record?.token === token ? { value: now.record!.epoch } : 'again'
    },
  }
}

/**
 * Boots are numbered over the whole realm: then a boot's number says whose monotonic clock a time was read from, and
 * nobody takes a time of another board for one of its own.
 */
export function bootOperation({ keys, node }: Context, bootId: string): Operation<number> {
  interface Boot { bootId: string; boot: number }
  let all: At<number> | undefined
  let own: At<Boot> | undefined
  const read = [one(keys.boots), one(keys.boot(node))]
  return {
    plan() {
      const writes = [keys.boots, keys.boot(node)]
      if (!all || !own) return { writes, txn: { compare: [], success: read, failure: [] } }
      const boot = (all.record ?? 0) + 1
      return { writes, txn: { compare: [unchanged(keys.boots, all.revision), unchanged(keys.boot(node), own.revision)], success: [put(keys.boots, String(boot)), put(keys.boot(node), JSON.stringify({ bootId, boot }))], failure: read } }
    },
    settle({ succeeded, parts }: TxnReply) {
      if (all && own && succeeded) return { value: (all.record ?? 0) + 1 }
      all = at<number>(parts[0]!.kvs[0])
      own = at<Boot>(parts[1]!.kvs[0])
      return own.record?.bootId === bootId ? { value: own.record.boot } : 'again'
    },
  }
}

/** `value` undefined deletes. */
export function putOperation(key: string, value: string | undefined): Operation<void> {
  return {
    plan: () => ({ writes: [key], bytes: (value?.length ?? 0) * 4 / 3, txn: { compare: [], success: [value === undefined ? remove(key) : put(key, value)], failure: [] } }),
    settle: () => ({ value: undefined }),
  }
}
