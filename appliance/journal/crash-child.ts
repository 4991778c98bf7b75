/**
 * For crash.test.ts: a process that uses the journal as hard as it can, and writes one JSON line for each fact after
 * its promise resolved, until it is killed. Arguments: file, seed.
 */
import { writeSync } from 'node:fs'
import { systemClock } from '../contracts/clock.ts'
import { toMtorError } from '../contracts/errors.ts'
import { sampleInput } from './contract.ts'
import { SqliteJournal } from './sqlite.ts'

const [file, seed] = [process.argv[2]!, Number(process.argv[3])]
let state = seed
/** Linear congruential generator: which way each intent takes. @see Numerical Recipes, §7.1 */
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
const say = (fact: Record<string, unknown>) => { writeSync(1, `${JSON.stringify(fact)}\n`) }

const journal = new SqliteJournal({ file, clock: systemClock, maxFinished: 100, archiveMaxBytes: 1 << 26 })
await journal.start()
const epoch = await journal.nextEpoch('rover')
say({ fact: 'epoch', epoch })

async function finish(id: string) {
  // Two at once: only one of them may have been the final one.
  const states = ['succeeded', 'aborted'] as const
  const results = await Promise.all(states.map((final) => journal.finish(id, { state: final })))
  results.forEach((first, i) => { if (first) say({ fact: 'finished', id, state: states[i] }) })
}

await Promise.all((await journal.unfinished()).map((entry) => finish(entry.envelope.id)))
await Promise.all(Array.from({ length: 24 }, async () => {
  for (;;) {
    const input = sampleInput()
    try {
      await journal.accept(input)
    } catch (error) {
      if (toMtorError(error).code !== 'JOURNAL_UNAVAILABLE') throw error
      await journal.accept(input)
      say({ fact: 'resubmitted' })
    }
    const { id } = input.envelope
    say({ fact: 'accepted', id })
    try {
      if (random() < 0.8) say({ fact: 'ticket', id, ...(await journal.claim(id, { node: 'base', device: 'rover', epoch }))!.ticket })
      if (random() < 0.8) await finish(id)
    } catch (error) { if (toMtorError(error).code !== 'JOURNAL_UNAVAILABLE') throw error }
  }
}))
