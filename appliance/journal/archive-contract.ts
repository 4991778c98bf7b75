import type { ExecutionContext } from 'ava'
import { sampleInput } from './contract.ts'
import type { AcceptInput, Journal } from './port.ts'

/** At most so many finished intents stay beyond the limit until the next step of archiving. */
const ONE_STEP = 125

/**
 * For tests: what every journal promises of finished intents that have left for its archive, also after it was opened again.
 * @param parts.finished finishes so many new intents with DEADLINE @param parts.archived waits until so many are in the archive
 */
export async function archivesWhatIsFinished<J extends Journal>(t: ExecutionContext, { journal, reopen, finished, archived, count, atLeast }: {
  journal: J; reopen(): Promise<J>
  finished(journal: J, count: number, deadLetter?: boolean): Promise<AcceptInput[]>
  archived(journal: J, atLeast: number): Promise<void>
  count: number; atLeast: number
}): Promise<void> {
  const open = sampleInput()
  await journal.accept(open)
  const dead = (await finished(journal, 1, true))[0]!
  const [first] = await finished(journal, count)
  const { id } = first!.envelope
  const before = await journal.get(id)
  await archived(journal, atLeast)
  for (const now of [async () => journal, reopen]) {
    const opened = await now()
    const stats = await opened.stats()
    t.true(stats.finished - stats.archivedTotal <= ONE_STEP, 'at most one step over the limit stays')
    t.deepEqual([stats.accepted, stats.unfinished, stats.finished, stats.deadLetters], [count + 2, 1, count + 1, 1])
    t.deepEqual(await opened.get(id), before)
    t.is(before?.final?.code, 'DEADLINE')
    t.is(await opened.accept(first!), 'duplicate')
    t.is(await opened.accept({ ...first!, envelope: { ...first!.envelope, priority: 1 } }), 'conflict')
    t.false(await opened.finish(id, { state: 'succeeded' }))
    t.is(await opened.claim(id, { node: 'base' }), undefined)
    t.is((await opened.get(open.envelope.id))?.state, 'accepted', 'what is unfinished is never archived')
    t.deepEqual((await opened.list({ deadLetter: true })).map(({ envelope }) => envelope.id), [dead.envelope.id], 'nor is a dead letter')
  }
}
