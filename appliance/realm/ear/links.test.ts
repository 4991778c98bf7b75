import test from 'ava'
import { systemClock as clock } from '../../contracts/clock.ts'
import { becomes, startNode, three } from '../testing.ts'
import { Arbiter } from './arbiter.ts'

const heardNow = (merit: number) => { const heardMs = clock.monoMs(); return { merit, heardMs, wordEndMs: heardMs - 300 } }
/** Nobody says the word twice within. */
const NEXT_WORD_MS = 750
const pause = (ms: number) => new Promise<void>((resolve) => { setTimeout(resolve, ms) })

test('over real links exactly one of three answers each word, whoever hears it first', async (t) => {
  const nodes = await three(t)
  const arbiters = nodes.map(({ peers }) => new Arbiter({ peers, clock }))
  for (const arbiter of arbiters) { arbiter.start(); t.teardown(() => arbiter.stop()) }
  const waitedMs: number[] = []
  for (let round = 0; round < 20; round++) {
    const contests = await Promise.all(arbiters.map(async (arbiter, i) => {
      await pause(((round * 7 + i * 13) % 3) * 12)
      const contest = arbiter.enter(heardNow(-30 - ((round + i) % 3)))
      await contest.decided
      return contest
    }))
    const winners = contests.filter(({ mine }) => mine)
    t.is(winners.length, 1, `round ${round}`)
    waitedMs.push(winners[0]!.decidedMs - Math.min(...contests.map(({ sinceMs }) => sinceMs)))
    for (const arbiter of arbiters) arbiter.release()
    await pause(NEXT_WORD_MS)
  }
  waitedMs.sort((a, b) => a - b)
  t.log(`from the first wake to the decision: median ${waitedMs[10]!.toFixed(1)} ms, longest ${waitedMs.at(-1)!.toFixed(1)} ms`)
})

test('a node that is gone holds nobody up, and one alone does not wait', async (t) => {
  const a = await startNode(t, 'a'), b = await startNode(t, 'b', { at: a })
  await becomes('they are linked', () => a.online().length === 1)
  const arbiter = new Arbiter({ peers: a.peers, clock })
  arbiter.start()
  t.teardown(() => arbiter.stop())
  const asked = arbiter.enter(heardNow(-30))
  t.is(asked.mine, undefined, 'the other may have heard it better')
  await b.peers.stop()
  t.true(await asked.decided)
  arbiter.release()
  await becomes('the other is offline', () => a.online().length === 0)
  await pause(NEXT_WORD_MS)
  t.true(arbiter.enter(heardNow(-30)).mine)
})
