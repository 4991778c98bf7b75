import type { Direction, Passage } from '../../resources/realm-net.ts'
import { between, pick, type Injected, type RealmFault } from './port.ts'

const MIN_MS = 400, MAX_MS = 5_000
/** Slower than what three nodes say to each other under load, so that queues grow. */
const SLOW_BITS_PER_S = 400_000
/** A burst of lost packets and a moment in which they pass. */
const LOSS_MS = 40, PASS_MS = 160

const on = (kind: string, weight: number, directions: readonly Direction[], passage: Passage): RealmFault => ({
  kind, weight,
  async inject({ realm: { net, names }, random }): Promise<Injected | undefined> {
    if (!net.cuts) return undefined
    const node = pick(names, random)
    const all = async (passage: Passage) => { for (const direction of directions) await net.pass(node, direction, passage) }
    await all(passage)
    return { nodes: [node], lastsMs: between(MIN_MS, MAX_MS, random), what: { node }, mend: () => all('open') }
  },
})

/** A link that loses a fifth of what comes, in bursts. */
const lossy: RealmFault = {
  kind: 'lossy-link', weight: 2,
  async inject({ realm: { net, names }, random }) {
    if (!net.cuts) return undefined
    const node = pick(names, random)
    let running = true
    const loses = (async () => {
      while (running) {
        await net.pass(node, 'in', 'shut')
        await new Promise((done) => setTimeout(done, LOSS_MS))
        await net.pass(node, 'in', 'open')
        await new Promise((done) => setTimeout(done, PASS_MS))
      }
    })()
    return { nodes: [node], lastsMs: between(1_000, MAX_MS, random), what: { node }, mend: async () => { running = false; await loses } }
  },
}

export const NETWORK_FAULTS: readonly RealmFault[] = [
  on('cut', 4, ['in', 'out'], 'shut'), on('cut-in', 2, ['in'], 'shut'), on('cut-out', 2, ['out'], 'shut'),
  on('slow-link', 2, ['in', 'out'], { bitsPerS: SLOW_BITS_PER_S }), lossy,
]
