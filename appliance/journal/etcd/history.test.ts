import test from 'ava'
import { setTimeout } from 'node:timers/promises'
import { toMtorError } from '../../contracts/errors.ts'
import { mulberry32 } from '../../contracts/random.ts'
import type { DeviceTicket } from '../../contracts/events.ts'
import { sampleInput } from '../contract.ts'
import { CutProxy } from './cut-proxy.ts'
import { TestEtcd } from './harness.ts'
import type { EtcdJournal } from './journal.ts'

const SEED = 20_260_101
const INTENTS = 120
const UNKNOWN = 'unknown'

interface Fact { node: string; what: 'accept' | 'claim' | 'finish' | 'epoch'; id: string; answer: unknown; fromMs: number; toMs: number }

/** What each call was answered, with when it was made; a call without an answer may have been carried out. */
class History {
  readonly facts: Fact[] = []
  async call<T>(node: string, what: Fact['what'], id: string, work: () => Promise<T>): Promise<T | typeof UNKNOWN> {
    const fromMs = performance.now()
    const answer = await work().catch((error: unknown): typeof UNKNOWN => {
      const { code } = toMtorError(error)
      if (code === 'JOURNAL_UNAVAILABLE' || code === 'NO_QUORUM') return UNKNOWN
      throw error
    })
    this.facts.push({ node, what, id, answer, fromMs, toMs: performance.now() })
    return answer
  }
  of(what: Fact['what'], id?: string) { return this.facts.filter((fact) => fact.what === what && (id === undefined || fact.id === id)) }
}

test('three nodes under cuts, lost replies and members that stand still: one acceptance, one end and no ticket twice', async (t) => {
  const random = mulberry32(SEED)
  const etcd = await TestEtcd.make(3)
  t.teardown(() => etcd.dispose())
  const realm = 'history'
  const nodes: { node: string; proxy: CutProxy; journal: EtcdJournal }[] = []
  for (const [i, url] of etcd.endpoints.entries()) {
    const proxy = await CutProxy.to(url)
    t.teardown(() => proxy.stop())
    const node = `n${i + 1}`
    // Less patience than it takes to elect a leader, so that some outcomes stay unknown.
    const harness = await etcd.journal({ realm, node, timeoutMs: 350, etcd: { endpoints: [proxy.url, ...(i === 0 ? [] : etcd.endpoints.filter((other) => other !== url))] } })
    t.teardown(() => harness.dispose())
    nodes.push({ node, proxy, journal: harness.journal })
  }
  const history = new History()
  const inputs = Array.from({ length: INTENTS }, () => sampleInput())
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  let running = true

  const faults = (async () => {
    while (running) {
      const { proxy } = pick(nodes)
      const member = pick(etcd.members)
      const kind = random()
      if (kind < 0.5) for (let i = 0; i < 3; i++) { proxy.loseReply(); await setTimeout(30) }
      else if (kind < 0.65) proxy.holdBack(400)
      else if (kind < 0.85) { proxy.cut(); await setTimeout(random() * 300); proxy.mend() }
      else {
        const still = random() < 0.5 ? [member] : etcd.members.slice(1)
        for (const each of still) each.signal('SIGSTOP')
        await setTimeout(random() * 1_200)
        for (const each of still) each.signal('SIGCONT')
      }
      await setTimeout(random() * 150)
    }
  })()

  // Every intent is submitted, claimed and ended by all nodes at once, again and again until each has an answer.
  await Promise.all(inputs.map(async (input, n) => {
    await setTimeout(n * 25)
    const { id } = input.envelope
    await Promise.all(nodes.map(async ({ node, journal }) => {
      while (await history.call(node, 'accept', id, () => journal.accept(input)) === UNKNOWN) await setTimeout(50)
      if (n % 10 === 0) await history.call(node, 'epoch', 'rover', () => journal.nextEpoch('rover'))
      const claim = await history.call(node, 'claim', id, () => journal.claim(id, { node, device: 'rover' }))
      if (claim !== undefined) await history.call(node, 'finish', id, () => journal.finish(id, { state: 'succeeded', data: { node } }))
    }))
    while (await history.call('n2', 'finish', id, () => nodes[1]!.journal.finish(id, { state: 'aborted' })) === UNKNOWN) await setTimeout(50)
  }))
  running = false
  await faults
  for (const { proxy } of nodes) proxy.mend()

  t.true(history.facts.some(({ answer }) => answer === UNKNOWN), 'some calls had no answer: the faults were there')
  for (const { envelope: { id } } of inputs) {
    const accepted = history.of('accept', id).filter(({ answer }) => answer === 'accepted')
    t.true(accepted.length <= 1, 'accepted once at most')
    const without = history.of('accept', id).some(({ answer }) => answer === UNKNOWN)
    t.true(accepted.length === 1 || without, 'and exactly once where every call was answered')
    const ends = history.of('finish', id).filter(({ answer }) => answer === true)
    t.true(ends.length <= 1, 'ended once at most')
  }
  const found = async () => await Promise.all(nodes.map(({ journal }) => journal.list({ limit: 1_000 })))
  let lists: Awaited<ReturnType<typeof found>> | undefined
  while (!lists) lists = await found().catch(async () => { await setTimeout(100); return undefined })
  for (const list of lists) t.deepEqual(list, lists[0], 'all nodes see the same')
  t.is(lists[0]!.length, INTENTS, 'nothing acknowledged is lost, nothing is there twice')
  for (const { envelope: { id }, state, final } of lists[0]!) {
    const told = history.of('finish', id).find(({ answer }) => answer === true)
    // Whoever was told that it wrote the end finds its own there.
    if (told && state === 'succeeded') t.is(final?.data?.['node'], told.node)
  }
  const tickets = history.of('claim').flatMap(({ answer }) => (answer as { ticket?: DeviceTicket } | undefined)?.ticket ?? [])
  t.true(tickets.length >= INTENTS / 2)
  t.is(new Set(tickets.map(({ epoch, sequence }) => `${epoch}/${sequence}`)).size, tickets.length, 'no ticket twice')
  const epochs = history.of('epoch').filter(({ answer }) => answer !== UNKNOWN)
  for (const a of epochs) for (const b of epochs) if (a.toMs < b.fromMs) t.true((a.answer as number) < (b.answer as number), 'an epoch asked for later is greater')
})
