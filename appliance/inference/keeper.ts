import { fork, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Clock, Timer } from '../contracts/clock.ts'
import { LastWords, tied } from './child.ts'

const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A child that worked this long was healthy: the next start is immediate again. */
const HEALTHY_MS = 10_000
const STOP_MS = 2_000

/** How a child ended, and when the next one starts. */
export interface Gone { reason: string; /** It was replaced on purpose, in order. */ planned: boolean; /** Until the next start, ms. */ delayMs: number }

export interface KeeperOptions<Out, In> {
  file: string
  env: Record<string, string>
  execArgv?: readonly string[]
  clock: Clock
  /** Asks the child to end by itself. */
  shutdown: Out
  /** Right after each fork. */
  onStart?(pid: number | undefined): void
  onMessage(message: In): void
  /** After each end, also the unplanned; not after `stop`. */
  onGone(gone: Gone): void
}

interface Child { process: ChildProcess; words: LastWords; healthySinceMs?: number; ended?: { reason: string; planned: boolean } }

/**
 * Keeps one child process of the appliance: starts it, starts it again with bounded back-off however it ended, ends it when
 * told. A child dies with its parent, and gets no Ctrl-C of a terminal. Whoever keeps it decides what hung means.
 */
export class Keeper<Out extends object, In> {
  readonly #o: KeeperOptions<Out, In>
  #child: Child | undefined
  #retry: Timer | undefined
  #started = false
  #failures = 0
  restarts = 0

  constructor(options: KeeperOptions<Out, In>) { this.#o = options }

  get pid(): number | undefined { return this.#child?.process.pid }
  /** A child is there and nobody has asked it to end. */
  get up(): boolean { return this.#started && this.#child !== undefined && this.#child.ended === undefined }
  get started(): boolean { return this.#started }

  start(): void {
    if (this.#started) return
    this.#started = true
    this.#fork()
  }

  /** The child does its work: after long enough of that its end counts as the first again. */
  healthy(): void { if (this.#child) this.#child.healthySinceMs ??= this.#o.clock.monoMs() }

  /** False where there is nobody to take it. A child that died under our hands is told by onGone, not by a failed write. */
  send(message: Out): boolean {
    const child = this.#child?.process
    if (!child?.connected) return false
    child.send(message, () => {})
    return true
  }

  /** Ends a child that hangs or lies, at once; the next one is started. */
  kill(reason: string): void {
    const child = this.#child
    if (!child) return
    child.ended ??= { reason, planned: false }
    child.process.kill('SIGKILL')
  }

  /** Replaces a child in order, between requests. */
  renew(reason: string): void {
    const child = this.#child
    if (!child || child.ended) return
    child.ended = { reason, planned: true }
    this.send(this.#o.shutdown)
    this.#o.clock.setTimeout(() => { if (this.#child === child) child.process.kill('SIGKILL') }, STOP_MS)
  }

  /** Ends the child for good. Resolves when it is gone; stopping twice is fine. */
  async stop(): Promise<void> {
    this.#started = false
    this.#o.clock.clearTimeout(this.#retry)
    const child = this.#child
    if (!child) return
    child.ended = { reason: 'stopped', planned: true }
    const gone = new Promise<void>((done) => { child.process.once('exit', () => done()) })
    this.send(this.#o.shutdown)
    const timer = this.#o.clock.setTimeout(() => child.process.kill('SIGKILL'), STOP_MS)
    await gone
    this.#o.clock.clearTimeout(timer)
  }

  #fork(): void {
    const { file, env, execArgv = [], onStart, onMessage } = this.#o
    const [execPath, args] = tied(process.execPath, execArgv)
    // An own session: Ctrl-C in a terminal is for the core, which then ends the child in order.
    const started = fork(file, [], { execPath, execArgv: args, detached: true, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...process.env, ...env } })
    const child: Child = { process: started, words: new LastWords(started) }
    this.#child = child
    started.on('message', (message) => { if (this.#child === child) onMessage(message as In) })
    started.once('error', (error) => this.#gone(child, error.message))
    started.once('exit', (code, signal) => this.#gone(child, child.ended?.reason ?? (signal ? `killed by ${signal}` : `ended with ${code}: ${child.words}`)))
    onStart?.(started.pid)
  }

  #gone(child: Child, reason: string): void {
    if (this.#child !== child) return
    this.#child = undefined
    if (!this.#started) return
    const { clock, onGone } = this.#o
    const planned = child.ended?.planned ?? false
    if (planned || (child.healthySinceMs !== undefined && clock.monoMs() - child.healthySinceMs >= HEALTHY_MS)) this.#failures = 0
    const delayMs = this.#failures === 0 ? 0 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
    if (!planned) this.#failures++
    this.restarts++
    this.#retry = clock.setTimeout(() => { if (this.#started && !this.#child) this.#fork() }, delayMs)
    onGone({ reason, planned, delayMs })
  }
}

/** What the kernel says of a process; undefined where there is none. `stopped`: it gets no time (SIGSTOP, a debugger). @see proc(5) */
export function processState(pid: number): { stopped: boolean; rssBytes: number; cpuS: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { stopped: fields[0] === 'T' || fields[0] === 't', cpuS: (Number(fields[11]) + Number(fields[12])) / 100, rssBytes: Number(fields[21]) * 4096 }
  } catch { return undefined }
}
