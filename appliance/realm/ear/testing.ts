import { ManualClock, type Clock, type Timer } from '../../contracts/clock.ts'
import type { PeerInfo, Peers } from '../peers/port.ts'

type Listener = (from: string, message: unknown) => void

/** How the links are: each message is asked for its delay in ms; undefined: it is lost. */
export interface Air {
  delayMs(from: string, to: string): number | undefined
  isOnline?(at: string, of: string): boolean
  rttMs?(at: string, of: string): number
}

/** A clock of a node that has its own zero; while it is frozen nothing runs, and what fell due does when it goes on, timers first. */
class NodeClock implements Clock {
  readonly #base: ManualClock
  readonly #offsetMs: number
  #due: (() => void)[] | undefined
  #arrived: (() => void)[] = []

  constructor(base: ManualClock, offsetMs: number) { this.#base = base; this.#offsetMs = offsetMs }

  monoMs() { return this.#base.monoMs() + this.#offsetMs }
  wallMs() { return undefined }
  setTimeout(callback: () => void, delayMs: number): Timer { return this.#base.setTimeout(() => { if (this.#due) this.#due.push(callback); else callback() }, delayMs) }
  clearTimeout(timer: Timer | undefined) { this.#base.clearTimeout(timer) }
  arrive(deliver: () => void) { if (this.#due) this.#arrived.push(deliver); else deliver() }
  freeze() { this.#due ??= [] }
  thaw() {
    const due = [...this.#due ?? []], arrived = this.#arrived.splice(0)
    this.#due = undefined
    for (const run of due) run()
    for (const run of arrived) run()
  }
}

export interface FakeNode { node: string; clock: NodeClock; peers: Peers; changed(): void; /** The node's own time of a moment of the common clock. */ at(ms: number): number }

/** Nodes on one timeline, each with a clock of its own, and links that are as `air` says. */
export function fakeNet(names: readonly string[], air: Air, offsetsMs: readonly number[] = []): { base: ManualClock; nodes: FakeNode[]; sent: { from: string; to: string; message: unknown }[] } {
  const base = new ManualClock(0)
  const listeners = new Map<string, Set<Listener>>(names.map((name) => [name, new Set()]))
  const sent: { from: string; to: string; message: unknown }[] = []
  const isOnline = (at: string, of: string) => air.isOnline?.(at, of) ?? true
  const nodes = names.map((self, i): FakeNode => {
    const offsetMs = offsetsMs[i] ?? 0
    const clock = new NodeClock(base, offsetMs)
    const watchers = new Set<() => void>()
    const send = (to: string, message: unknown) => {
      if (!isOnline(self, to)) return
      sent.push({ from: self, to, message })
      const delayMs = air.delayMs(self, to)
      if (delayMs === undefined) return
      const copy: unknown = JSON.parse(JSON.stringify(message))
      base.setTimeout(() => { nodes[names.indexOf(to)]!.clock.arrive(() => { for (const listener of listeners.get(to)!) listener(self, copy) }) }, delayMs)
    }
    const others = names.filter((name) => name !== self)
    const peers: Peers = {
      self,
      list: () => others.map((node): PeerInfo => ({ node, online: isOnline(self, node), role: 'full', address: '', version: undefined, protocol: 1, instance: undefined, rttMs: air.rttMs?.(self, node) ?? 0, lastHeardMs: 0 })),
      send: (to, _channel, message) => { for (const node of to === '*' ? others : [to]) send(node, message) },
      request: () => Promise.resolve(),
      on: (_channel, listener) => { listeners.get(self)!.add(listener); return () => { listeners.get(self)!.delete(listener) } },
      serve: () => () => {},
      onChange: (listener) => { watchers.add(listener); return () => { watchers.delete(listener) } },
    }
    return { node: self, clock, peers, changed: () => { for (const watcher of watchers) watcher() }, at: (ms) => ms + offsetMs }
  })
  return { base, nodes, sent }
}
