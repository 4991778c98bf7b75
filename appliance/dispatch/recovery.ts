import type { Driver } from '../../drivers/port.ts'
import type { Clock } from '../contracts/clock.ts'
import type { Hub } from '../contracts/hub.ts'
import { intentPolicy } from '../contracts/intents.ts'
import type { FinishInput, Journal, JournalEntry } from '../journal/port.ts'
import type { Dispatcher, Job } from './dispatcher.ts'

/** What is to be done with an intent that an earlier life of the core, or another node, had accepted. */
export type Verdict = { run: Job } | { finish: FinishInput }

/** How much of the ttl is left, ms; undefined when no common clock tells (other boot, wall clock not known good). */
export function ttlLeftMs(entry: JournalEntry, boot: number, clock: Clock): number | undefined {
  const { acceptedAt, envelope } = entry
  if (acceptedAt.boot === boot) return envelope.ttlMs - (clock.monoMs() - acceptedAt.mono)
  const wall = clock.wallMs()
  if (acceptedAt.wall !== undefined && wall !== undefined) return envelope.ttlMs - (wall - acceptedAt.wall)
  return undefined
}

export interface JudgeOptions {
  dispatcher: Dispatcher; drivers: readonly Driver[]; hub: Hub; clock: Clock
  /** Resolves once the device was given our epoch, or false when it could not be reached in time. */
  reachable(device: string): Promise<boolean>
  /** How much of the ttl is left, ms; undefined when nobody can tell. Left out: by the clocks of this board. */
  leftMs?(entry: JournalEntry): number | undefined
}

/**
 * After a restart: every accepted intent is resumed or ended, by policy.
 * - Never started: resumed while its ttl lasts, else expired. An actuation whose age cannot be told is expired.
 * - Started, with a device: the device is asked what became of the command. Only one that it never received may be sent
 *   again; where it cannot tell, the end is OUTCOME_UNKNOWN, never a second execution.
 * - Started, without a device: carried out again where the type may be repeated, else INTERRUPTED.
 * The device must already have been given a newer epoch, so that no frame of the former life can still arrive.
 */
export async function recover(options: JudgeOptions & { journal: Journal }): Promise<{ resumed: number; ended: number }> {
  const { journal, dispatcher, hub } = options
  const entries = await journal.unfinished()
  const counts = { resumed: 0, ended: 0 }
  // Those without a device need not wait for one.
  await Promise.all(entries.map(async (entry) => {
    const verdict = await judge(entry, options)
    if ('run' in verdict) { counts.resumed += 1; dispatcher.enqueue(verdict.run) } else { counts.ended += 1; await dispatcher.finish({ id: entry.envelope.id, envelope: entry.envelope }, verdict.finish) }
  }))
  if (entries.length) hub.system({ severity: 'info', component: 'dispatch', name: 'recovered', message: `${counts.resumed} intents resumed, ${counts.ended} ended after the restart`, data: counts })
  return counts
}

/**
 * After the journal was unavailable: an intent it had got all the same, though its submitter was told
 * JOURNAL_UNAVAILABLE, is ended rather than carried out late and unexpectedly.
 */
export async function endUntold(journal: Journal, dispatcher: Dispatcher, unfinished: () => Promise<JournalEntry[]> = () => journal.unfinished()): Promise<number> {
  let ended = 0
  for (const { envelope, state } of await unfinished()) {
    if (state !== 'accepted' || dispatcher.has(envelope.id)) continue
    ended += 1
    const done = dispatcher.unjournalled(envelope.id)
    if (done) {
      // Its end was told already.
      await journal.finish(envelope.id, done)
      dispatcher.journalled(envelope.id)
      continue
    }
    await dispatcher.finish({ id: envelope.id, envelope }, { state: 'failed', code: 'JOURNAL_UNAVAILABLE', message: 'it was answered as not accepted while the journal was unavailable' })
  }
  return ended
}

/** Does so whenever the journal is back: durable again, its thread started again, or its disk answering again. */
export function endUntoldWhenBack({ journal, dispatcher, hub, unfinished }: { journal: Journal; dispatcher: Dispatcher; hub: Hub; unfinished?: () => Promise<JournalEntry[]> }): () => void {
  return hub.onSystem(({ component, name }) => {
    // Where this fails the journal is gone once more, and will be back once more.
    if (component === 'journal' && (name === 'journal.recovered' || name === 'journal.resumed')) void endUntold(journal, dispatcher, unfinished).catch(() => {})
  })
}

export async function judge(entry: JournalEntry, { dispatcher, drivers, hub, clock, reachable, leftMs: leftOf }: JudgeOptions): Promise<Verdict> {
  const { envelope, claim } = entry
  const policy = intentPolicy(envelope.type)
  if (!policy) return { finish: { state: 'failed', code: 'UNKNOWN_TYPE', message: `${envelope.type} was declared by a flow that has been withdrawn`, deadLetter: true } }
  const leftMs = leftOf ? leftOf(entry) : ttlLeftMs(entry, hub.boot, clock)
  const expired: Verdict = { finish: { state: 'expired', code: 'EXPIRED', message: leftMs === undefined ? 'its age cannot be told after the reboot' : 'its time to live ran out while the box was down' } }
  const resume = (attempt: number): Verdict => {
    // A harmless query whose age nobody knows is served with a fresh ttl rather than dropped.
    const left = leftMs ?? (policy.actuates ? -1 : envelope.ttlMs)
    return left < 0 ? expired : { run: dispatcher.jobOf(envelope, clock.monoMs() + left, attempt) }
  }
  if (entry.state === 'accepted' || !claim) return resume(0)
  if (!claim.ticket) {
    if (policy.repeatable) return resume(claim.attempt)
    return { finish: { state: 'failed', code: 'INTERRUPTED', message: 'the box restarted while this was being done', deadLetter: true } }
  }
  const { ticket } = claim
  const driver = drivers.find((d) => d.id === ticket.device)
  const unknown = (message: string): Verdict => ({ finish: { state: 'failed', code: 'OUTCOME_UNKNOWN', message, deadLetter: true } })
  if (!driver) return unknown(`device ${ticket.device} is no longer configured`)
  if (!await reachable(ticket.device)) return unknown(`device ${ticket.device} cannot be reached to ask`)
  const past = await driver.pastOutcome(ticket)
  const data = past.data ? { data: past.data } : {}
  switch (past.outcome) {
    case 'succeeded': return { finish: { state: 'succeeded', message: 'it was done while the box restarted', say: 'That was done.', ...data } }
    case 'failed': case 'running': return { finish: { state: 'failed', code: 'INTERRUPTED', message: 'the device stopped it when the box restarted', deadLetter: true, ...data } }
    case 'never-received': return resume(claim.attempt)
    case 'unknown': return unknown('the device cannot tell what became of it')
  }
}
