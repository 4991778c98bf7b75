import type { Code } from '../../contracts/codes.ts'
import { MtorError } from '../../contracts/errors.ts'

/**
 * unreachable: nobody listens, or the connection broke. silent: no answer in time. no-leader: the member is there and
 * says that it has no leader. refused: etcd answered, and will answer the same again.
 */
export type EtcdTrouble = 'unreachable' | 'silent' | 'no-leader' | 'refused'

/** What went wrong with one request to etcd. */
export class EtcdError extends MtorError {
  readonly trouble: EtcdTrouble
  /** True where the request may have been carried out, or still may be. */
  readonly maybeDone: boolean
  /** @see https://grpc.io/docs/guides/status-codes/ */
  readonly grpc: number | undefined

  constructor(trouble: EtcdTrouble, message: string, options: { code?: Code; maybeDone?: boolean; grpc?: number; cause?: unknown; hint?: string; data?: Record<string, unknown> } = {}) {
    const { cause, hint, data } = options
    super(options.code ?? (trouble === 'no-leader' ? 'NO_QUORUM' : 'JOURNAL_UNAVAILABLE'), message, { cause, ...(hint === undefined ? {} : { hint }), ...(data ? { data } : {}) })
    this.trouble = trouble
    this.maybeDone = options.maybeDone ?? false
    this.grpc = options.grpc
  }

  /** History up to the wanted revision is gone. */
  get compacted(): boolean { return this.grpc === GRPC.outOfRange && /compacted/.test(this.message) }
  get leaseGone(): boolean { return this.grpc === GRPC.notFound && /lease/.test(this.message) }
}

/** For whoever asked: after all attempts. What etcd and the network said is in `data`. */
export function givenUp(last: EtcdError, { attempts, ms, maybeDone }: { attempts: number; ms: number; maybeDone: boolean }): EtcdError {
  const isLeaderless = last.trouble === 'no-leader'
  const message = isLeaderless ? 'this node cannot reach a majority of the nodes' : last.trouble === 'unreachable' ? 'no node with the shared journal can be reached' : `the shared journal did not answer within ${Math.round(ms)} ms`
  return new EtcdError(last.trouble, message, { maybeDone, cause: last, data: { cause: last.message, attempts }, ...(isLeaderless ? {} : { hint: 'See which nodes are there with: mtor realm status; and look after this one with: mtor doctor' }) })
}

const GRPC = { unknown: 2, deadline: 4, notFound: 5, exhausted: 8, aborted: 10, outOfRange: 11, internal: 13, unavailable: 14 }

/** What an answer of etcd that is no success means. 3.4 and 3.5 call the text `error`, 3.6 `message`. */
export function refusalOf(status: number, reply: unknown): EtcdError {
  const { code, error, message } = (reply ?? {}) as { code?: number; error?: unknown; message?: string }
  const inner = typeof error === 'object' && error !== null ? error as { grpc_code?: number; code?: number; message?: string } : undefined
  const grpc = code ?? inner?.grpc_code ?? inner?.code
  const text = message ?? inner?.message ?? (typeof error === 'string' ? error : `HTTP status ${status}`)
  if (/no leader|leader changed|not leader|not capable/.test(text)) return new EtcdError('no-leader', text, { grpc, maybeDone: /changed/.test(text) })
  if (/space exceeded/.test(text)) return new EtcdError('refused', `${text}: raise its quota or make room, then: etcdctl alarm disarm`, { grpc, code: 'DISK_FULL' })
  if (/too large/.test(text)) return new EtcdError('refused', text, { grpc, code: 'TOO_LARGE' })
  // A change of members, refused before anything was done, until all have been connected for some seconds.
  if (/unhealthy cluster/.test(text)) return new EtcdError('refused', text, { grpc, code: 'JOURNAL_UNAVAILABLE' })
  const again = grpc === undefined || [GRPC.unknown, GRPC.deadline, GRPC.exhausted, GRPC.aborted, GRPC.internal, GRPC.unavailable].includes(grpc)
  return again ? new EtcdError('silent', text, { grpc, maybeDone: grpc !== GRPC.exhausted }) : new EtcdError('refused', text, { grpc, code: 'INTERNAL' })
}
