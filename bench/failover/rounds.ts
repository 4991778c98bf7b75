import type { RealmBench } from '../../hil-tests/resources/realm-bench.ts'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import type { Moved } from '../../appliance/realm/ownership/index.ts'
import type { RealmStatus } from '../../appliance/realm/status.ts'

const GIVE_UP_MS = 20_000
const AGAIN_MS = 20

/** One loss of the owner, as a client of another node saw it: from the kill until it heard that its intent had been carried out. */
export interface Failover { led: boolean; deviceMs: number; localMs: number; refusals: number }
/** From the command to the answer that the device obeys the new node, and the part of it in which nobody commanded. */
export interface HandOver { askedMs: number; handoverMs: number }

/** Every node sees all others, all know the same leader, the boards hear, and both lines to the rover work. Resolves with the leader. */
export async function settled(bench: RealmBench, boards: readonly string[]): Promise<string> {
  await Promise.all(boards.map((name) => bench.node(name).hearing()))
  let leader: string | undefined
  await bench.until('the realm is whole', async () => {
    const all = await Promise.all([...bench.nodes.values()].map(({ control }) => control.call('GET', '/realm') as Promise<RealmStatus>))
    leader = all[0]!.leader
    if (leader === undefined || all.some((one) => one.leader !== leader || one.nodes.some(({ online }) => online !== true))) return false
    const [rover] = await bench.devices('w')
    return rover?.owner !== undefined && rover.lines.length === 2
  }, 60_000)
  return leader!
}

/** Hands the rover over as an operator does. */
export async function handOver(bench: RealmBench, from: string, to: string): Promise<HandOver> {
  const untilMs = performance.now() + GIVE_UP_MS
  for (;;) {
    const startMs = performance.now()
    try {
      const { handoverMs } = await bench.node(from).control.call('POST', '/devices/rover/move', { to, policy: 'wait' }) as Moved
      return { askedMs: performance.now() - startMs, handoverMs }
    } catch (error) {
      // A node that has just come back may have no lease yet: that is no hand-over.
      if (toMtorError(error).code !== 'NODE_UNREACHABLE' || performance.now() > untilMs) throw error
      await new Promise((done) => setTimeout(done, AGAIN_MS))
    }
  }
}

/** Submits at a node, again where it is refused, until one was carried out there; ms since `startMs`. */
async function carriedOut(bench: RealmBench, at: string, type: string, slots: Record<string, unknown>, startMs: number): Promise<{ ms: number; refusals: number }> {
  for (let refusals = 0; ; refusals++) {
    try {
      const { events } = await bench.submit(at, type, slots)
      const end = events.at(-1)
      if (end?.['state'] === 'succeeded') {
        if (end['node'] !== at) throw new MtorError('INTERNAL', `expected ${type} to be carried out by ${at}, it was by ${String(end['node'])}`)
        return { ms: performance.now() - startMs, refusals }
      }
    } catch (error) { if (toMtorError(error).code === 'INTERNAL') throw error }
    if (performance.now() - startMs > GIVE_UP_MS) throw new MtorError('DEADLINE', `${at} carried out no ${type} within ${GIVE_UP_MS} ms`)
    await new Promise((done) => setTimeout(done, AGAIN_MS))
  }
}

/**
 * Kills the owner with its etcd, or stops it for a while, and at once asks the other node for something of the rover and
 * for something of its own. It comes back when both were done: a node that is back within half a second may take its own
 * device again, and that is another measurement.
 */
export async function failover(bench: RealmBench, owner: string, other: string, led: boolean, how: 'kill' | 'pause'): Promise<Failover> {
  const node = bench.node(owner)
  const pid = node.pid!
  const startMs = performance.now()
  process.kill(pid, how === 'kill' ? 'SIGKILL' : 'SIGSTOP')
  const ended = how === 'kill' ? node.stop() : undefined
  try {
    const [device, local] = await Promise.all([
      carriedOut(bench, other, 'light.set', { on: true }, startMs),
      carriedOut(bench, other, 'time.tell', {}, startMs),
    ])
    return { led, deviceMs: device.ms, localMs: local.ms, refusals: device.refusals + local.refusals }
  } finally {
    await ended
    if (how === 'pause') process.kill(pid, 'SIGCONT')
    else await node.start()
  }
}
