import { fork, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Clock, Timer } from '../contracts/clock.ts'
import { LastWords, tied } from './child.ts'

const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A child that worked this long was healthy: the next start is immediate again. */
const HEALTHY_MS = 10_000
const STOP_MS = 2_000
/** A helper of the child may hold its stderr open. */
const LAST_WORDS_MS = 100

/** How a child ended, and when the next one starts. */
export interface Gone { reason: string; /** It was replaced on purpose, in order. */ planned: boolean; /** Until the next start, ms. */ delayMs: number }

export interface KeeperOptions<Out, In> {
  file: string
  env: Record<string, string>
  /** The child gets `env` alone, and nothing of ours. */
  bareEnv?: boolean
  execArgv?: readonly string[]
  /** Above 0 it yields to the core where processors are short: whatever it does, the bus goes on. @see nice(1) */
  niceness?: number
  /** A child that worked this long was healthy: its end is the first again; left out: 10 s. */
  healthyMs?: number
  clock: Clock
  /** Asks the child to end by itself. */
  shutdown: Out
  /** Right after each fork. */
  onStart?(pid: number | undefined): void
  onMessage(message: In): void
  /** After each end, also the unplanned; not after `stop`. A number it gives is the least pause before the next start, ms. */
  onGone(gone: Gone): number | void
}

interface Child {
  process: ChildProcess
  words: LastWords
  healthySinceMs?: number
  /** Why it was told to end, or killed. */
  ended?: { reason: string; planned: boolean }
  /** Kills it where it does not end by itself. */
  deadline?: Timer
  gone: PromiseWithResolvers<void>
}

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
  /** What the kernel says of the child; undefined where there is none. */
  get state(): ProcessState | undefined { return this.pid === undefined ? undefined : processState(this.pid) }

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
    this.#shutDown(child)
  }

  /** Ends the child for good. Resolves when it is gone; stopping twice is fine. */
  async stop(): Promise<void> {
    this.#started = false
    this.#o.clock.clearTimeout(this.#retry)
    const child = this.#child
    if (!child) return
    child.ended = { reason: 'stopped', planned: true }
    this.#shutDown(child)
    await child.gone.promise
  }

  #shutDown(child: Child): void {
    this.send(this.#o.shutdown)
    child.deadline ??= this.#o.clock.setTimeout(() => child.process.kill('SIGKILL'), STOP_MS)
  }

  #fork(): void {
    const { file, env, bareEnv, execArgv = [], niceness, onStart, onMessage } = this.#o
    const [execPath, args] = niceness === undefined ? tied(process.execPath, execArgv) : tied('nice', ['-n', String(niceness), process.execPath, ...execArgv])
    let started: ChildProcess
    // An own session: Ctrl-C in a terminal is for the core, which then ends the child in order.
    try { started = fork(file, [], { execPath, execArgv: args, detached: true, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: bareEnv ? env : { ...process.env, ...env } }) } catch (error) {
      // No memory or no process to be had: that passes.
      this.#again(`could not be started: ${String(error)}`, false)
      return
    }
    const child: Child = { process: started, words: new LastWords(started), gone: Promise.withResolvers() }
    this.#child = child
    started.on('message', (message) => { if (this.#child === child) onMessage(message as In) })
    started.on('error', (error) => { if (started.pid === undefined) this.#gone(child, `could not be started: ${error.message}`) })
    started.once('exit', (code, signal) => {
      if (child.ended || signal) return this.#gone(child, child.ended?.reason ?? `killed by ${signal}`)
      // What it said last may come after the news of its end.
      child.ended = { reason: `ended with ${code}`, planned: false }
      const told = () => this.#gone(child, `ended with ${code}: ${child.words}`)
      started.once('close', told)
      child.deadline = this.#o.clock.setTimeout(told, LAST_WORDS_MS)
    })
    onStart?.(started.pid)
  }

  #gone(child: Child, reason: string): void {
    this.#o.clock.clearTimeout(child.deadline)
    child.gone.resolve()
    if (this.#child !== child) return
    this.#child = undefined
    if (!this.#started) return
    const planned = child.ended?.planned ?? false
    if (planned || (child.healthySinceMs !== undefined && this.#o.clock.monoMs() - child.healthySinceMs >= (this.#o.healthyMs ?? HEALTHY_MS))) this.#failures = 0
    this.#again(reason, planned)
  }

  #again(reason: string, planned: boolean): void {
    const delayMs = this.#failures === 0 ? 0 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
    if (!planned) this.#failures++
    this.restarts++
    const leastMs = this.#o.onGone({ reason, planned, delayMs }) ?? 0
    if (!this.#started) return
    this.#retry = this.#o.clock.setTimeout(() => { if (this.#started && !this.#child) this.#fork() }, Math.max(delayMs, leastMs))
  }
}

export interface ProcessState {
  /** It gets no time: SIGSTOP, or a debugger. */
  stopped: boolean
  /** Memory that is really there. */
  rssBytes: number
  /** Processor time so far, user and system. */
  cpuS: number
}

/** Ticks of the times in /proc a second: USER_HZ, 100 on every architecture that Node runs on. */
const TICKS_PER_S = 100

/** What the kernel says of a process; undefined where there is none, or it has ended and only waits to be collected. @see proc(5) */
export function processState(pid: number): ProcessState | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    // In kB, whatever the page size; the field of the same name in stat counts pages.
    const rssKB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    if (rssKB === undefined) return undefined
    return { stopped: fields[0] === 'T' || fields[0] === 't', cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S, rssBytes: Number(rssKB) * 1024 }
  } catch { return undefined }
}
