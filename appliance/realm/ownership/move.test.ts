import test from 'ava'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { Moves, type MovesOptions } from './move.ts'
import type { Owner } from './registry.ts'
import type { Seat } from './seat.ts'

const owner = (node: string, epoch: number): Owner => ({ device: 'rover', node, epoch, lease: node, revision: epoch })

/** Node a commands the rover, b stands by; `b.taking` and `b.look` are what b does when it is told. */
function twoNodes(b: { seat: Seat; look?(): void }) {
  let now = owner('a', 1)
  const seats: Record<string, Seat> = { a: { mine: now, held: false, driver: { standBy() {}, state: () => ({}) } } as Partial<Seat> as Seat, b: b.seat }
  const served: Record<string, (message: unknown) => Promise<unknown>> = {}
  const moves = Object.keys(seats).map((node) => {
    const made = new Moves({
      node, clock: systemClock, busy: { idle: async () => true }, seat: () => seats[node], owner: () => now, lines: () => ['a', 'b'], isWired: () => true, leaseOf: (other) => other,
      peers: { serve: (_: string, handler: (from: string, message: unknown) => Promise<unknown>) => { served[node] = (message) => handler('?', message); return () => {} }, request: async (to: string, _: string, message: unknown) => await served[to]!(message) } as unknown as MovesOptions['peers'],
      store: () => ({ change: async (_device: string, _before: number, { node: to }: { node: string }) => { now = owner(to, now.epoch + 1); seats['a']!.mine = undefined; return { owner: now, made: true } } }) as unknown as ReturnType<MovesOptions['store']>,
      changed: () => {}, look: async () => { b.look?.() },
    })
    made.start()
    return made
  })
  return moves[0]!
}

test('a device that does not take the new node at once is asked again, as the new node does', async (t) => {
  const seat = { mine: owner('b', 2), taken: Promise.reject(new MtorError('STALE_EPOCH', 'in doubt')) } as Partial<Seat> as Seat
  seat.taken!.catch(() => {})
  const moved = twoNodes({ seat }).move('rover', 'b', 'wait')
  await pause(20)
  seat.taken = Promise.resolve()
  t.like(await moved, { from: 'a', to: 'b', epoch: 2 })
})

test('a node whose watch is stale looks for itself what it was given', async (t) => {
  const seat = {} as Partial<Seat> as Seat
  t.like(await twoNodes({ seat, look: () => { seat.mine = owner('b', 2); seat.taken = Promise.resolve() } }).move('rover', 'b', 'wait'), { to: 'b', epoch: 2 })
})
