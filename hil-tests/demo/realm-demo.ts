import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { toMtorError } from '../../appliance/contracts/errors.ts'
import { requestStop } from '../../appliance/guard/stop-socket.ts'
import type { Moved } from '../../appliance/realm/ownership/index.ts'
import { RealmBench } from '../resources/realm-bench.ts'
import { Watch } from './watch.ts'

export const BOARDS = ['board-a', 'board-b'] as const
export const WITNESS = 'witness'
/** A killed node is started again after this, ms. */
export const BACK_MS = 6_000
/** One that answers and is not seen by the others for this long shows as silent. */
const LINKED_MS = 15_000

/** What was done to a node, for as long as it lasts. */
export type Harm = { kind: 'killed'; backAtMs: number } | { kind: 'stopped' }

/** Three nodes that are one realm, with one simulated rover on a line to each board, and what can be done to them. */
export class RealmDemo {
  readonly bench: RealmBench
  readonly watch: Watch
  readonly harmed = new Map<string, Harm>()
  /** The last loss of the node that drove, and how long it was until another did. */
  loss: { node: string; how: string; atMs: number; by?: string; tookMs?: number } | undefined
  readonly #pending = new Set<Promise<unknown>>()
  #forward = true
  #hasEnded = false

  constructor(folder: string) {
    this.bench = new RealmBench(folder, { full: BOARDS, witness: WITNESS })
    this.watch = new Watch(this.bench.nodes)
    this.watch.onOwned = (node, _, atMs) => {
      const { loss } = this
      if (loss && loss.tookMs === undefined && node !== loss.node && atMs >= loss.atMs) Object.assign(loss, { by: node, tookMs: atMs - loss.atMs })
    }
  }

  get names(): string[] { return [...BOARDS, WITNESS] }
  get owner(): string | undefined { return this.watch.device?.owner }

  async start(): Promise<void> {
    await this.bench.start()
    this.watch.start()
  }

  /** A living node to ask; the witness where it lives, because any node will do. */
  get door(): string | undefined { return [WITNESS, ...BOARDS].find((name) => !this.harmed.has(name) && this.watch.answers(name)) }

  /** Kills the node that commands the rover, with its etcd; it is started again later. Returns its name. */
  kill(): string | undefined {
    const node = this.owner
    if (node === undefined || this.harmed.has(node)) return undefined
    const appliance = this.bench.node(node)
    const atMs = clock.monoMs()
    process.kill(appliance.pid!, 'SIGKILL')
    const gone = appliance.stop()
    this.harmed.set(node, { kind: 'killed', backAtMs: atMs + BACK_MS })
    this.loss = { node, how: 'killed', atMs }
    this.watch.tell('kill −9', node)
    this.#later(async () => {
      await gone
      await new Promise((done) => setTimeout(done, BACK_MS))
      if (this.#hasEnded) return
      this.watch.tell('is started again', node)
      await appliance.start()
      for (const untilMs = clock.monoMs() + LINKED_MS; !this.#hasEnded && !this.watch.online(node) && clock.monoMs() < untilMs;) await new Promise((done) => setTimeout(done, 50))
      this.harmed.delete(node)
    })
    return node
  }

  /** Stops the process of the owner, as a hang does; or lets the stopped one go on. Returns its name. */
  pause(): string | undefined {
    const stopped = [...this.harmed].find(([, { kind }]) => kind === 'stopped')?.[0]
    if (stopped !== undefined) {
      process.kill(this.bench.node(stopped).pid!, 'SIGCONT')
      this.harmed.delete(stopped)
      this.watch.tell('goes on (SIGCONT)', stopped)
      return stopped
    }
    const node = this.owner
    if (node === undefined || this.harmed.has(node)) return undefined
    process.kill(this.bench.node(node).pid!, 'SIGSTOP')
    this.harmed.set(node, { kind: 'stopped' })
    this.loss = { node, how: 'stopped', atMs: clock.monoMs() }
    this.watch.tell('SIGSTOP', node)
    return node
  }

  /** A planned hand-over to the other board; undefined where it was refused, which is told. */
  async move(): Promise<Moved | undefined> {
    const { owner } = this
    const to = BOARDS.find((name) => name !== owner)!
    try {
      if (owner === undefined) { this.watch.tell('nobody commands the rover, so nobody can hand it over'); return undefined }
      const moved = await this.bench.node(this.door ?? owner).control.call('POST', '/devices/rover/move', { to, policy: 'wait' }) as Moved
      this.watch.tell(`handed the rover to ${to} in ${moved.handoverMs} ms`, moved.from)
      return moved
    } catch (error) { this.watch.tell(`not handed over: ${toMtorError(error).message}`, owner); return undefined }
  }

  /** Drives half a metre forth, the next time back; resolves with the id of the intent once its end is known here. */
  async drive(distanceM = this.#forward ? 0.5 : -0.5): Promise<string | undefined> {
    this.#forward = !this.#forward
    const { door } = this
    if (door === undefined) { this.watch.tell('no node is there to take it'); return undefined }
    let id: string | undefined
    try {
      for await (const turn of this.bench.node(door).control.lines('POST', '/intents', { type: 'drive.move', slots: { distanceM } }, AbortSignal.timeout(60_000)) as AsyncIterable<{ receipt?: { id: string; accepted: boolean; code?: string; message?: string } }>) {
        if (turn.receipt?.accepted) id = turn.receipt.id
        else if (turn.receipt) this.watch.tell(`refused: ${turn.receipt.code ?? ''}: ${turn.receipt.message ?? ''}`, door)
      }
    } catch (error) { this.watch.tell(`not answered: ${toMtorError(error).message}`, door) }
    return id
  }

  /** Emergency stop, asked at one node; every node that can be reached carries it out. Resolves with when it was asked. */
  async emergencyStop(): Promise<{ at: string; askedMs: number } | undefined> {
    for (const name of [this.door, ...BOARDS]) {
      if (name === undefined || this.harmed.has(name)) continue
      const askedMs = clock.monoMs()
      const answer = await requestStop({ socketPath: this.bench.node(name).stopSocket, reason: 'demo', timeoutMs: 500 })
      if (answer) { this.watch.tell(`emergency stop, confirmed in ${answer.ms.toFixed(1)} ms`, name); return { at: name, askedMs } }
    }
    this.watch.tell('no node has confirmed the stop')
    return undefined
  }

  /** Facts of the controller's own log since then. */
  controllerLog(sinceMs: number): { at: number; fact: string; [key: string]: unknown }[] {
    return readFileSync(join(this.bench.dir, 'controller.jsonl'), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line) as { at: number; fact: string }).filter(({ at }) => at >= sinceMs)
  }

  /** Ends all that it has started. */
  async stop(): Promise<void> {
    this.#hasEnded = true
    this.watch.stop()
    // One that is stopped would not hear that it is to end.
    for (const [name, { kind }] of this.harmed) if (kind === 'stopped') process.kill(this.bench.node(name).pid!, 'SIGCONT')
    await this.bench.stop()
  }

  #later(work: () => Promise<void>): void {
    const promise = work().catch((error: unknown) => { this.watch.tell(toMtorError(error).message) }).finally(() => { this.#pending.delete(promise) })
    this.#pending.add(promise)
  }
}
