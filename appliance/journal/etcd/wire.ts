/**
 * The words of etcd's JSON gateway: requests as it takes them, replies as the rest of the journal reads them.
 * Keys and values travel in base64, 64-bit numbers as strings, and what is zero is left out. The names are those of
 * the protocol files, which versions 3.4, 3.5 and 3.6 share.
 * @see https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/
 * @see https://github.com/etcd-io/etcd/blob/release-3.4/etcdserver/etcdserverpb/rpc.proto
 */
export interface Kv { key: string; value: Buffer; createRevision: number; modRevision: number; lease: string }

export type Compare = Record<string, string>
export type RequestOp = Record<string, unknown>
export interface Txn { compare: Compare[]; success: RequestOp[]; failure: RequestOp[] }

export interface RangeOptions {
  /** Keys without values. */
  keysOnly?: boolean
  countOnly?: boolean
  limit?: number
  /** As it was then, while that is not compacted. */
  revision?: number
  order?: 'created' | 'newest'
  /** Only keys made at this revision or before. */
  maxCreateRevision?: number
}

/** One part of a transaction's reply, or the reply to a range. */
export interface Part { kvs: Kv[]; count: number; deleted: number; more: boolean; txn?: TxnReply }
export interface TxnReply { succeeded: boolean; revision: number; parts: Part[] }

const base64 = (value: string | Uint8Array) => (typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value.buffer, value.byteOffset, value.byteLength)).toString('base64')

/** The first key after all that begin with `prefix`; every key for an empty one. */
function prefixEnd(prefix: string): Buffer {
  const bytes = Buffer.from(prefix, 'utf8')
  for (let i = bytes.length - 1; i >= 0; i--) {
    if (bytes[i]! === 0xff) continue
    bytes[i]!++
    return bytes.subarray(0, i + 1)
  }
  return Buffer.from([0])
}

export const absent = (key: string): Compare => ({ key: base64(key), target: 'CREATE', result: 'EQUAL', create_revision: '0' })
export const present = (key: string): Compare => ({ key: base64(key), target: 'CREATE', result: 'GREATER', create_revision: '0' })
/** A key that is as it was at `revision`; 0: it is not there. */
export const unchanged = (key: string, revision: number): Compare => ({ key: base64(key), target: 'MOD', result: 'EQUAL', mod_revision: String(revision) })
export const holds = (key: string, value: string): Compare => ({ key: base64(key), target: 'VALUE', result: 'EQUAL', value: base64(value) })

export const put = (key: string, value: string | Uint8Array, lease?: string): RequestOp =>
  ({ request_put: { key: base64(key), value: base64(value), ...(lease === undefined ? {} : { lease }) } })
export const remove = (key: string): RequestOp => ({ request_delete_range: { key: base64(key) } })
export const removeAll = (prefix: string): RequestOp => ({ request_delete_range: prefixed(prefix) })
export const one = (key: string, options: RangeOptions = {}): RequestOp => ({ request_range: { key: base64(key), ...optionsOf(options) } })
export const all = (prefix: string, options: RangeOptions = {}): RequestOp => ({ request_range: { ...prefixed(prefix), ...optionsOf(options) } })
/** Keys from `first` up to, but not with, `end`. */
export const between = (first: string, end: string, options: RangeOptions = {}): RequestOp => ({ request_range: { key: base64(first), range_end: base64(end), ...optionsOf(options) } })
export const nested = (txn: Txn): RequestOp => ({ request_txn: txn })

export function prefixed(prefix: string): { key: string; range_end: string } {
  return { key: prefix === '' ? base64(Buffer.from([0])) : base64(prefix), range_end: base64(prefixEnd(prefix)) }
}

function optionsOf({ keysOnly, countOnly, limit, revision, order, maxCreateRevision }: RangeOptions) {
  return {
    ...(keysOnly ? { keys_only: true } : {}), ...(countOnly ? { count_only: true } : {}),
    ...(limit === undefined ? {} : { limit: String(limit) }), ...(revision === undefined ? {} : { revision: String(revision) }),
    ...(order === undefined ? {} : { sort_target: 'CREATE', sort_order: order === 'created' ? 'ASCEND' : 'DESCEND' }),
    ...(maxCreateRevision === undefined ? {} : { max_create_revision: String(maxCreateRevision) }),
  }
}

export interface RawKv { key: string; value?: string; create_revision?: string; mod_revision?: string; lease?: string }
interface RawPart { kvs?: RawKv[]; count?: string; deleted?: string; more?: boolean }
export interface RawTxn { header?: { revision?: string }; succeeded?: boolean; responses?: Record<string, RawPart & RawTxn>[] }

export const kvOf = (raw: RawKv): Kv => ({
  key: Buffer.from(raw.key, 'base64').toString('utf8'), value: Buffer.from(raw.value ?? '', 'base64'),
  createRevision: Number(raw.create_revision ?? 0), modRevision: Number(raw.mod_revision ?? 0), lease: raw.lease ?? '0',
})

export const partOf = (raw: RawPart): Part => ({ kvs: (raw.kvs ?? []).map(kvOf), count: Number(raw.count ?? 0), deleted: Number(raw.deleted ?? 0), more: raw.more === true })

/** Nested transactions have an empty header: theirs is the revision of the whole. */
export function txnReplyOf(raw: RawTxn, revision = Number(raw.header?.revision ?? 0)): TxnReply {
  return {
    succeeded: raw.succeeded === true, revision,
    parts: (raw.responses ?? []).map((response) => {
      const [kind, part] = Object.entries(response)[0]!
      return kind === 'response_txn' ? { kvs: [], count: 0, deleted: 0, more: false, txn: txnReplyOf(part, revision) } : partOf(part)
    }),
  }
}
