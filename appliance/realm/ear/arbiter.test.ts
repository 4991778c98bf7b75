import test from 'ava'
import { Arbiter, ARBITRATION_MS, type Contest } from './arbiter.ts'
import { meritOf } from './messages.ts'
import { fakeNet, type Air } from './testing.ts'

/** Arbiters of several nodes; word ends are 300 ms before a node notices the word. */
function realm(names: string[], air: Partial<Air> = {}, offsetsMs: number[] = names.map((_, i) => i * 1e6)) {
  const net = fakeNet(names, { delayMs: () => 1, ...air }, offsetsMs)
  const abdicated: string[] = []
  const arbiters = net.nodes.map(({ node, peers, clock }) => new Arbiter({ peers, clock, run: 'r', onAbdicated: () => { abdicated.push(node) } }))
  for (const arbiter of arbiters) arbiter.start()
  const wake = (i: number, merit: number, sinceWordMs = 300): Contest => {
    const nowMs = net.nodes[i]!.clock.monoMs()
    return arbiters[i]!.enter({ merit, heardMs: nowMs, wordEndMs: nowMs - sinceWordMs })
  }
  return { ...net, arbiters, wake, abdicated }
}

test('a node alone answers at once', (t) => {
  const { wake } = realm(['a'])
  t.true(wake(0, -30).mine)
})

test('a node whose peers are all offline answers at once', (t) => {
  const { wake } = realm(['a', 'b'], { isOnline: () => false })
  t.true(wake(0, -30).mine)
})

test('of two that hear the word the louder one answers, with clocks that have nothing in common', async (t) => {
  const { base, wake } = realm(['a', 'b'])
  const a = wake(0, meritOf({ confidence: 1, levelDb: -40 }))
  await base.advance(20)
  const b = wake(1, meritOf({ confidence: 1, levelDb: -28 }))
  await base.advance(ARBITRATION_MS)
  t.deepEqual([a.mine, b.mine, a.winner, b.winner], [false, true, 'b', 'b'])
})

test('a word that was heard in doubt is left to a node that is sure, although it is louder', (t) => {
  t.true(meritOf({ confidence: 0.6, levelDb: -20 }) < meritOf({ confidence: 1, levelDb: -35 }))
})

test('of equals the one whose name comes first answers', async (t) => {
  const { base, wake } = realm(['b', 'a', 'c'])
  const contests = [wake(0, -30), wake(1, -30), wake(2, -30)]
  await base.advance(ARBITRATION_MS)
  t.deepEqual(contests.map(({ mine }) => mine), [false, true, false])
})

test('a node that does not answer holds nobody up', async (t) => {
  const { base, wake } = realm(['a', 'b'], { delayMs: () => undefined })
  const contest = wake(0, -30)
  await base.advance(60)
  t.is(contest.mine, undefined)
  await base.advance(20)
  t.true(contest.mine)
})

test('with slow links a node waits longer, but never beyond the time of the arbitration', async (t) => {
  for (const [rttMs, waits] of [[70, 100], [100, 125], [5_000, 125]] as const) {
    const { base, wake } = realm(['a', 'b'], { rttMs: () => rttMs, delayMs: () => undefined })
    const contest = wake(0, -30)
    await base.advance(waits)
    t.is(contest.mine, undefined, `${rttMs}`)
    await base.advance(ARBITRATION_MS - waits)
    t.true(contest.mine, `${rttMs}`)
  }
})

test('a late claim loses, however loud, and also once the conversation is over', async (t) => {
  const { base, wake, arbiters } = realm(['a', 'b', 'c'])
  const a = wake(0, -50)
  await base.advance(90)
  t.true(a.mine)
  const b = wake(1, -10, 390)
  await base.advance(10)
  t.deepEqual([b.mine, b.winner], [false, 'a'])
  arbiters[0]!.release()
  await base.advance(300)
  const c = wake(2, -10, 700)
  t.deepEqual([c.mine, c.winner], [false, 'a'])
})

test('whoever hears a word too late to be heard by those who have claimed it does not claim it', async (t) => {
  const { base, wake, sent } = realm(['a', 'b', 'c'], { rttMs: () => 86, delayMs: (from) => from === 'a' ? 1 : 86 })
  const a = wake(0, -50)
  await base.advance(80)
  sent.length = 0
  t.false(wake(1, -10, 380).mine)
  t.deepEqual(sent, [])
  await base.advance(ARBITRATION_MS)
  t.true(a.mine)
})

test('while a conversation goes on at one node no other begins one, and afterwards any may', async (t) => {
  const { base, wake, arbiters } = realm(['a', 'b'])
  const a = wake(0, -30)
  await base.advance(ARBITRATION_MS)
  t.true(a.mine)
  await base.advance(5_000)
  const refused = wake(1, -10)
  await base.advance(ARBITRATION_MS)
  t.deepEqual([refused.mine, refused.winner], [false, 'a'])
  const again = wake(0, -60)
  t.true(again.mine, 'the one that has it answers at once')
  arbiters[0]!.release()
  await base.advance(5_000)
  const later = wake(1, -30)
  await base.advance(ARBITRATION_MS)
  t.true(later.mine)
})

test('two nodes that cannot hear each other arbitrate through a third that hears both', async (t) => {
  const isCut = (from: string, to: string) => [from, to].sort().join('') === 'ab'
  const { base, wake } = realm(['a', 'b', 'w'], { isOnline: (at, of) => !isCut(at, of) })
  const a = wake(0, -40), b = wake(1, -30)
  await base.advance(ARBITRATION_MS)
  t.deepEqual([a.mine, b.mine], [false, true])
  await base.advance(2_000)
  const refused = wake(0, -10)
  await base.advance(ARBITRATION_MS)
  t.deepEqual([refused.mine, refused.winner], [false, 'b'])
})

test('where no way leads from one to the other both answer', async (t) => {
  const { base, wake } = realm(['a', 'b'], { delayMs: () => undefined })
  const a = wake(0, -40), b = wake(1, -30)
  await base.advance(ARBITRATION_MS)
  t.deepEqual([a.mine, b.mine], [true, true])
})

test('two that decided over a link that was too slow: the lesser gives way before it has acted', async (t) => {
  const { base, wake, abdicated, arbiters } = realm(['a', 'b'], { delayMs: () => 300 })
  const a = wake(0, -40), b = wake(1, -30)
  await base.advance(ARBITRATION_MS)
  t.deepEqual([a.mine, b.mine], [true, true])
  await base.advance(400)
  t.deepEqual([a.take(), b.take(), a.winner], [false, true, 'b'])
  t.deepEqual(abdicated, ['a'])
  t.false(arbiters[0]!.isHolding)
})

test('but what was acted on stays acted on', async (t) => {
  const { base, wake, abdicated } = realm(['a', 'b'], { delayMs: () => 300 })
  const a = wake(0, -40)
  wake(1, -30)
  await base.advance(ARBITRATION_MS)
  t.true(a.take())
  await base.advance(400)
  t.true(a.take())
  t.deepEqual(abdicated, [])
})

test('a node that was frozen after its claim learns first what the others decided', async (t) => {
  const { base, nodes, wake } = realm(['a', 'b'])
  const a = wake(0, -40)
  nodes[0]!.clock.freeze()
  await base.advance(10)
  const b = wake(1, -30)
  await base.advance(3_000)
  nodes[0]!.clock.thaw()
  await base.advance(2_000)
  t.deepEqual([a.mine, b.mine], [false, true])
})

test('a node that was frozen while the word was said does not answer it seconds later, though its links have to come back first', async (t) => {
  let isLinked = true
  const { base, nodes, wake, arbiters } = realm(['a', 'b'], { isOnline: () => isLinked })
  nodes[0]!.clock.freeze()
  const wordMs = base.monoMs()
  const b = wake(1, -50)
  await base.advance(ARBITRATION_MS)
  t.true(b.mine)
  arbiters[1]!.release()
  isLinked = false
  await base.advance(3_000)
  nodes[0]!.clock.thaw()
  const a = arbiters[0]!.enter({ merit: -10, heardMs: nodes[0]!.at(wordMs), wordEndMs: nodes[0]!.at(wordMs - 300) })
  await base.advance(500)
  isLinked = true
  nodes[0]!.changed()
  await base.advance(2_000)
  t.deepEqual([a.mine, a.winner], [false, 'b'])
})

test('a node that was frozen and is the only one that heard the word answers it late', async (t) => {
  const { base, nodes, wake } = realm(['a', 'b'])
  const a = wake(0, -40)
  nodes[0]!.clock.freeze()
  await base.advance(3_000)
  nodes[0]!.clock.thaw()
  await base.advance(2_000)
  t.true(a.mine)
})

test('but not what was said long ago', async (t) => {
  const { base, nodes, wake, arbiters } = realm(['a', 'b'])
  const a = wake(0, -40)
  nodes[0]!.clock.freeze()
  await base.advance(20_000)
  nodes[0]!.clock.thaw()
  await base.advance(2_000)
  t.false(a.mine)
  const nowMs = nodes[1]!.clock.monoMs()
  t.false(arbiters[1]!.enter({ merit: -40, heardMs: nowMs - 20_000, wordEndMs: nowMs - 20_300 }).mine)
})

test('another word, said before or after, has nothing to do with it', async (t) => {
  const { base, wake, arbiters } = realm(['a', 'b'])
  const a = wake(0, -40)
  await base.advance(ARBITRATION_MS)
  arbiters[0]!.release()
  await base.advance(800)
  const b = wake(1, -50, 100)
  await base.advance(ARBITRATION_MS)
  t.deepEqual([a.mine, b.mine], [true, true])
})

test('what is no message of the ear is passed over', async (t) => {
  const { base, nodes, wake } = realm(['a', 'b'])
  const a = wake(0, -40)
  for (const rubbish of [null, 7, {}, { op: 'won' }, { op: 'claim', id: 'x', node: 'b', reach: [], claim: 'y', merit: 'loud', wordAgeMs: 0, claimAgeMs: 0 }]) nodes[1]!.peers.send('a', 'ear', rubbish)
  await base.advance(ARBITRATION_MS)
  t.true(a.mine)
})

test('stopped, it decides nothing any more; stopping twice is fine', async (t) => {
  const { base, wake, arbiters } = realm(['a', 'b'])
  const a = wake(0, -40)
  arbiters[0]!.stop()
  arbiters[0]!.stop()
  t.false(await a.decided)
  await base.advance(ARBITRATION_MS)
  t.false(a.mine)
})
