import test from 'ava'
import fc from 'fast-check'
import { Arbiter, ARBITRATION_MS, type Contest } from './arbiter.ts'
import { fakeNet, type Air } from './testing.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']
/** There and back in less than the shortest time that a node waits. */
const IN_TIME_MS = 34

interface Ear { wakeMs: number; merit: number; offsetMs: number; wordErrorMs: number }
const ears = (latestMs: number) => fc.array(fc.record({
  wakeMs: fc.integer({ min: 0, max: latestMs }),
  // Few values, so that there are ties.
  merit: fc.integer({ min: -43, max: -40 }),
  offsetMs: fc.integer({ min: -1_000_000, max: 1_000_000 }),
  wordErrorMs: fc.integer({ min: -100, max: 100 }),
}), { minLength: 2, maxLength: 5 })

/** All hear one word, each when its recogniser is done with it, and everything has its time to arrive. */
async function hearOne(all: Ear[], air: Air) {
  const names = NAMES.slice(0, all.length)
  const { base, nodes } = fakeNet(names, air, all.map(({ offsetMs }) => offsetMs))
  const contests: Contest[] = []
  const arbiters = nodes.map(({ peers, clock }) => new Arbiter({ peers, clock, run: 'r' }))
  for (const arbiter of arbiters) arbiter.start()
  const decidedMs = new Map<string, number>()
  all.forEach(({ wakeMs, merit, wordErrorMs }, i) => base.setTimeout(() => {
    const nowMs = nodes[i]!.clock.monoMs()
    const contest = contests[i] = arbiters[i]!.enter({ merit, heardMs: nowMs, wordEndMs: nowMs - wakeMs - 300 + wordErrorMs })
    void contest.decided.then(() => { decidedMs.set(names[i]!, base.monoMs()) })
  }, wakeMs))
  await base.advance(10_000)
  for (const arbiter of arbiters) arbiter.stop()
  const firstMs = Math.min(...all.map(({ wakeMs }) => wakeMs))
  return { winners: contests.filter(({ mine }) => mine).map(({ node }) => node), contests, decidedMs, firstMs }
}

/** Draws from a list, again and again: a delay for each message, in the order in which they are sent. */
const drawn = <T>(list: readonly T[]) => { let at = 0; return () => list[at++ % list.length]! }
const delays = (maxMs: number) => fc.array(fc.integer({ min: 0, max: maxMs }), { minLength: 7, maxLength: 29 })

test('exactly one node answers wherever messages arrive in time, whatever their order, the clocks and who hears the word when', async (t) => {
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(ears(1_000), delays(IN_TIME_MS), delays(2 * IN_TIME_MS), async (all, waysMs, rttsMs) => {
    const way = drawn(waysMs), rtt = drawn(rttsMs)
    const { winners } = await hearOne(all, { delayMs: way, rttMs: rtt })
    return winners.length === 1
  }), { numRuns: 300 }))
})

test('within the time of the arbitration, counted from the first that heard it', async (t) => {
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(ears(300), delays(IN_TIME_MS), async (all, waysMs) => {
    const wayMs = (from: string, to: string) => waysMs[(NAMES.indexOf(from) + NAMES.indexOf(to)) % waysMs.length]!
    const { winners: [winner], decidedMs, firstMs } = await hearOne(all, { delayMs: wayMs, rttMs: (at, of) => 2 * wayMs(at, of) })
    return decidedMs.get(winner!)! - firstMs <= ARBITRATION_MS
  }), { numRuns: 5_000 }))
})

test('the one that heard it best answers, where all hear it at about the same time', async (t) => {
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(ears(30), delays(IN_TIME_MS), async (all, waysMs) => {
    const { winners } = await hearOne(all, { delayMs: drawn(waysMs) })
    const best = Math.max(...all.map(({ merit }) => merit))
    return winners.join() === NAMES[all.findIndex(({ merit }) => merit === best)]
  }), { numRuns: 200 }))
})

test('at least one node answers, whatever is lost, cut and delayed', async (t) => {
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(ears(1_500), fc.array(fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined }), { minLength: 7, maxLength: 29 }), fc.array(fc.boolean(), { minLength: 25, maxLength: 25 }), async (all, waysMs, links) => {
    const { winners } = await hearOne(all, { delayMs: drawn(waysMs), isOnline: (at, of) => links[NAMES.indexOf(at) * 5 + NAMES.indexOf(of)]! })
    return winners.length >= 1
  }), { numRuns: 300 }))
})

test('over links that are slow but lose nothing only one is left by the time that somebody has finished speaking', async (t) => {
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(ears(400), delays(450), delays(900), async (all, waysMs, rttsMs) => {
    const { winners } = await hearOne(all, { delayMs: drawn(waysMs), rttMs: drawn(rttsMs) })
    return winners.length === 1
  }), { numRuns: 200 }))
})
