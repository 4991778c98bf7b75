import type { Clock, Timer } from '../../appliance/contracts/clock.ts'
import type { DeviceTicket } from '../../appliance/contracts/events.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { CommandOptions, CommandResult, Driver, DriverEvents, PastOutcome } from '../port.ts'
import { commandMessage, measuredData, pastOutcomeOf, ROVER_COMMANDS, roverState } from './commands.ts'
import { Execution, type ExecutionLimits } from './execution.ts'
import { RoverLink } from './link.ts'
import { BOOT_CAUSE, FLAG, MESSAGES, nameOf, OUTCOME, STATUS, STOP_CAUSE, STOP_REASON, type Message, type MessageOf, type ResultFields } from './protocol.ts'
import { STOP_REPEATS } from './stop-line.ts'

export interface RoverDriverOptions {
  id: string
  /** Path of the serial port. */
  port: string
  baudRate?: number
  clock: Clock
  events?: Partial<DriverEvents>
  /** Period of the driver's tick, which sends the heartbeat, ms. */
  heartbeatMs?: number
  /** A controller that says nothing for this long is lost, ms. Telemetry comes by itself every 100 to 200 ms. */
  silenceMs?: number
  /** Pause between attempts to open the port, ms. */
  reconnectMs?: number
  /** How long `pastOutcome` waits for the controller, ms. */
  answerMs?: number
  limits?: Partial<ExecutionLimits>
  /** Asked before every heartbeat; false withholds it, and the rover stops by itself. Left out: the tick itself is the proof. */
  proofOfLife?: () => boolean
  /** Asked before everything that needs the epoch: commands, HELLO, heartbeats. False while this node may not be the one in command. */
  mayCommand?: () => boolean
}

const NOTICE_EVERY_MS = 5_000
const STOP_AGAIN_MS = 50
const STOP_ROUNDS = 20
const LATE_TICKS = 3
const keyOf = (ticket: { epoch: number; sequence: number }) => `${ticket.epoch}/${ticket.sequence}`

/**
 * Driver of the rover controller. The heartbeat is sent by a timer of the process that owns the commands, so it proves that
 * this process lives and its event loop turns (and whatever `proofOfLife` adds), nothing more: no thread or kernel keeps it up.
 */
export class RoverDriver implements Driver {
  readonly id: string
  readonly kind = 'rover'
  readonly commands = ROVER_COMMANDS
  #o: Required<Omit<RoverDriverOptions, 'limits'>>
  #limits: ExecutionLimits
  #link: RoverLink
  #epoch = 0
  /** In this connection: something valid was heard; our epoch was acknowledged; a newer epoch was found. */
  #heard = false
  #ready = false
  #fenced = false
  /** Another node is in command, or nobody is sure: this line only listens, asks and stops. */
  #standby = false
  #heardMs = 0
  #announced: boolean | undefined
  #deviceEpoch = 0
  #connection = 0
  #telemetry: { message: MessageOf<'TELEMETRY'>; atMs: number; connection: number } | undefined
  #executions = new Map<string, Execution>()
  #questions = new Map<string, Set<(result: ResultFields) => void>>()
  #waiting = new Set<() => void>()
  /** A stop after which the controller has not yet said that it stands still. */
  #stop: { reason: keyof typeof STOP_REASON; rounds: number; timer: Timer | undefined } | undefined
  #emergencies = 0
  #tickTimer: Timer | undefined
  #running = false
  #lastTickMs = 0
  #withheld = false
  #invalid = { count: 0, noticedMs: -Infinity }

  constructor(options: RoverDriverOptions) {
    this.id = options.id
    this.#o = { baudRate: 115_200, events: {}, heartbeatMs: 100, silenceMs: 1_000, reconnectMs: 250, answerMs: 3_000, proofOfLife: () => true, mayCommand: () => true, ...options }
    this.#limits = { ackMs: 150, attempts: 4, pollMs: 600, recoverMs: 5_000, ...options.limits }
    this.#link = new RoverLink({
      port: this.#o.port, baudRate: this.#o.baudRate, clock: this.#o.clock, reconnectMs: this.#o.reconnectMs,
      onOpen: () => this.#opened(), onMessage: (message) => this.#received(message), onInvalid: (error) => this.#invalidFrame(error), onClosed: (error) => this.#closed(error),
    })
  }

  get connected(): boolean { return this.#heard && (this.#epoch === 0 || this.#ready || this.#fenced || this.#standby) }

  async start(): Promise<void> {
    if (this.#running) return
    this.#running = true
    this.#link.start()
    this.#tick()
  }

  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    this.#emergencies++
    this.#o.clock.clearTimeout(this.#tickTimer)
    // Who is not in command has nothing to halt: it might be the motion of another node.
    if (this.#inCommand) this.#writeStop('shutdown')
    this.#clearStop()
    for (const execution of [...this.#executions.values()]) execution.stopped('the driver was stopped')
    this.#heard = this.#ready = false
    this.#changed()
    await this.#link.stop()
  }

  /**
   * Resolves once the controller acknowledged the epoch, however long it takes to reach it (it is told at every connection).
   * Rejects with STALE_EPOCH where a newer one is in command (`data.currentEpoch`), DEVICE_UNREACHABLE when the driver stops.
   */
  async takeCommand(epoch: number): Promise<void> {
    if (!this.#running) throw this.#unreachable('the driver is not started')
    if (epoch < this.#epoch) throw this.#stale()
    if (epoch > this.#epoch || this.#standby) {
      this.#epoch = epoch
      this.#ready = this.#fenced = this.#standby = false
      this.#hello()
    }
    await this.#until(() => this.#ready || this.#fenced || this.#standby || epoch !== this.#epoch || !this.#running)
    if (!this.#running) throw this.#unreachable(`stopped before epoch ${epoch} was acknowledged`)
    if (this.#fenced || this.#standby || epoch !== this.#epoch) throw this.#stale()
  }

  standBy(): void {
    if (this.#epoch === 0 || this.#standby) return
    this.#standby = true
    this.#fenced = false
    // Repeats would halt the motion of whoever commands now. A person's stop is repeated all the same.
    if (this.#stop && this.#stop.reason !== 'operator') this.#clearStop()
    this.#notReady()
    this.#changed()
  }

  async execute(command: string, args: Record<string, unknown>, options: CommandOptions): Promise<CommandResult> {
    const { ticket, signal } = options
    const message = commandMessage(command, args, options.intentId, ticket)
    const stopped = () => new MtorError('STOPPED', `${this.id}: ${command} was stopped before it was sent`, { cause: signal.reason })
    if (signal.aborted) throw stopped()
    if (!this.#o.mayCommand()) throw this.#stale()
    const emergencies = this.#emergencies
    if (ticket.epoch > this.#epoch) await this.#takeForNow(ticket.epoch)
    if (this.#fenced || ticket.epoch < this.#epoch || !this.#inCommand) throw this.#stale()
    // What is still being stopped must have stopped, or the repeats of that stop would end this command as well.
    if (this.#stop && !await this.#until(() => !this.#stop, STOP_AGAIN_MS * STOP_ROUNDS)) throw this.#unreachable('a stop is not confirmed yet')
    if (signal.aborted || emergencies !== this.#emergencies) throw stopped()
    if (!this.#inCommand) throw this.#stale()
    if (!this.#ready) throw this.#unreachable('not connected')
    const key = keyOf(message)
    if (this.#executions.has(key)) throw new MtorError('DEVICE_REFUSED', `${this.id}: ticket ${key} is in use`)
    const execution = new Execution(message, options, this.#o.clock, this.#limits, (m) => this.#send(m))
    const abort = () => {
      // Without command the wheels may turn for another node by now; ours has been taken over, or the dead man ends it.
      if (execution.isMotion && this.#inCommand) this.#beginStop('cancelled')
      execution.stopped('stopped on request', signal.reason)
    }
    this.#executions.set(key, execution)
    signal.addEventListener('abort', abort, { once: true })
    try {
      execution.begin()
      return await execution.finished
    } finally {
      signal.removeEventListener('abort', abort)
      this.#executions.delete(key)
    }
  }

  /** takeCommand, but no longer than a command may wait. */
  async #takeForNow(epoch: number): Promise<void> {
    const taken = this.takeCommand(epoch)
    taken.catch(() => {})
    if (!await this.#until(() => this.#ready || this.#fenced || epoch !== this.#epoch || !this.#running, this.#o.answerMs)) throw this.#unreachable(`epoch ${epoch} was not acknowledged`)
    await taken
  }

  async pastOutcome(ticket: DeviceTicket): Promise<{ outcome: PastOutcome; data?: Record<string, unknown> }> {
    const key = keyOf(ticket)
    const untilMs = this.#o.clock.monoMs() + this.#o.answerMs
    let result: ResultFields | undefined
    const listeners = this.#questions.get(key) ?? new Set()
    const listener = (answer: ResultFields) => { result = answer; this.#changed() }
    this.#questions.set(key, listeners.add(listener))
    try {
      for (let left = this.#o.answerMs; left > 0 && !result && this.#running; left = untilMs - this.#o.clock.monoMs()) {
        if (!await this.#until(() => this.connected || !this.#running, left)) break
        this.#send({ type: 'QUERY', epoch: ticket.epoch, sequence: ticket.sequence })
        await this.#until(() => result !== undefined || !this.#running, this.#limits.ackMs)
      }
    } finally {
      listeners.delete(listener)
      if (listeners.size === 0) this.#questions.delete(key)
    }
    if (!result) return { outcome: 'unknown' }
    const outcome = pastOutcomeOf(result.outcome)
    return outcome === 'never-received' || outcome === 'unknown' ? { outcome } : { outcome, data: measuredData(result) }
  }

  emergencyStop(reason: string): void {
    this.#emergencies++
    // The frame is written before anything of ours that listens could throw.
    try { this.#beginStop('operator') } catch (error) { this.#notice('error', 'stop.listener', String(error)) }
    for (const execution of [...this.#executions.values()]) execution.stopped(`emergency stop: ${reason}`)
  }

  state(): Record<string, unknown> {
    const latest = this.#telemetry
    return { connected: this.connected, ...(latest ? { ageMs: Math.max(0, this.#o.clock.monoMs() - latest.atMs), ...roverState(latest.message) } : {}),
      // A refusal tells it before the next telemetry does.
      ...(this.#fenced && this.#deviceEpoch > (latest?.message.currentEpoch ?? 0) ? { epoch: this.#deviceEpoch } : {}) }
  }

  // ---- the line

  get #inCommand(): boolean { return this.#epoch > 0 && !this.#standby && this.#o.mayCommand() }

  /** A command travels with a heartbeat before it, so that the dead man cannot refuse it. */
  #send(message: Message): boolean {
    if (message.type === 'QUERY') return this.#link.write(message)
    if (!this.#inCommand) return false
    if (!this.#o.proofOfLife()) return this.#link.write(message)
    return this.#link.write({ type: 'HEARTBEAT', epoch: this.#epoch, sequence: 0 }, message)
  }

  #hello(): void { if (this.#inCommand) this.#link.write({ type: 'HELLO', epoch: this.#epoch, sequence: 0 }) }

  #tick(): void {
    if (!this.#running) return
    this.#tickTimer = this.#o.clock.setTimeout(() => this.#tick(), this.#o.heartbeatMs)
    const now = this.#o.clock.monoMs()
    // After a tick that came late, what the controller said meanwhile is still waiting to be read.
    if (now - this.#lastTickMs > LATE_TICKS * this.#o.heartbeatMs) this.#heardMs = now
    this.#lastTickMs = now
    if (!this.#link.open) return
    const silentMs = now - this.#heardMs
    if (silentMs > this.#o.silenceMs) { this.#link.drop(this.#unreachable(`the controller has said nothing for ${Math.round(silentMs)} ms`)); return }
    if (this.#fenced || !this.#inCommand) return
    if (!this.#o.proofOfLife()) {
      if (!this.#withheld) this.#notice('error', 'heartbeat.withheld', 'the core gives no proof of life; the rover will stop by itself')
      this.#withheld = true
      return
    }
    this.#withheld = false
    if (this.#ready) this.#link.write({ type: 'HEARTBEAT', epoch: this.#epoch, sequence: 0 })
    else this.#hello()
  }

  #opened(): void {
    this.#heardMs = this.#o.clock.monoMs()
    this.#connection++
    if (this.#stop) this.#stopRound()
    this.#hello()
  }

  #closed(error: MtorError): void {
    this.#heard = false
    this.#notReady()
    if (this.#announced === undefined) this.#notice('warning', 'port.unavailable', error.message)
    this.#changed(error)
    this.#announced ??= false
  }

  #notReady(): void {
    this.#ready = false
    for (const execution of this.#executions.values()) execution.linkDown()
  }

  #received(message: Message): void {
    this.#heardMs = this.#o.clock.monoMs()
    this.#heard = true
    switch (message.type) {
      case 'REPLY': this.#reply(message); break
      case 'PROGRESS': case 'DONE': this.#executions.get(keyOf(message))?.onResult(message); break
      case 'OUTCOME':
        this.#executions.get(keyOf(message))?.onOutcome(message)
        for (const listener of this.#questions.get(keyOf(message)) ?? []) listener(message)
        break
      case 'TELEMETRY': this.#newTelemetry(message); break
      case 'STOPPED': this.#notice(message.cause === STOP_CAUSE.stop ? 'info' : 'warning', 'rover.stopped', `halted: ${nameOf(STOP_CAUSE, message.cause)}`,
        { cause: nameOf(STOP_CAUSE, message.cause), ...(message.reason ? { reason: nameOf(STOP_REASON, message.reason) } : {}), epoch: message.epoch, sequence: message.sequence }); break
      case 'BOOT': this.#rebooted(nameOf(BOOT_CAUSE, message.cause), message.bootCount); break
    }
    this.#changed()
  }

  #reply(reply: MessageOf<'REPLY'>): void {
    if (reply.command === MESSAGES.STOP.code) {
      // While it says "running" the wheels still brake; a command sent now would be refused as busy.
      if (reply.status === STATUS.ok && reply.outcome !== OUTCOME.running) this.#clearStop()
      return
    }
    if (reply.status === STATUS.staleEpoch && reply.epoch === this.#epoch && !this.#standby) this.#fence(reply.currentEpoch)
    else if (reply.command === MESSAGES.HELLO.code && reply.epoch === this.#epoch && reply.status === STATUS.ok && !this.#ready && !this.#standby) {
      this.#ready = true
      this.#fenced = false
      for (const execution of this.#executions.values()) execution.linkReady()
    }
    this.#executions.get(keyOf(reply))?.onReply(reply)
  }

  #newTelemetry(message: MessageOf<'TELEMETRY'>): void {
    const earlier = this.#telemetry
    const before = earlier?.message
    // BOOT itself may have been lost on the line, or sent while the port was closed.
    if (earlier && message.uptimeMs < earlier.message.uptimeMs) this.#rebooted('seen by its uptime', undefined, earlier.connection === this.#connection)
    this.#telemetry = { message, atMs: this.#o.clock.monoMs(), connection: this.#connection }
    if (message.currentEpoch > this.#epoch && this.#epoch > 0 && !this.#standby) this.#fence(message.currentEpoch)
    if (message.flags & FLAG.lowBattery && !((before?.flags ?? 0) & FLAG.lowBattery)) this.#notice('warning', 'battery.low', 'the battery is too low to move')
    this.#o.events.state?.(this.state())
  }

  #rebooted(cause: string, bootCount: number | undefined, sameConnection = true): void {
    // The BOOT of a controller that we never knew otherwise is no news.
    if (this.#telemetry || this.#ready) this.#notice('warning', 'rover.rebooted', `the controller began anew: ${cause}`, { cause, ...(bootCount === undefined ? {} : { bootCount }) })
    // The uptime to come is smaller; without this, the first telemetry after BOOT would count as one more reboot.
    this.#telemetry = undefined
    if (!sameConnection) return
    this.#notReady()
    this.#hello()
  }

  #fence(currentEpoch: number): void {
    this.#deviceEpoch = currentEpoch
    if (this.#fenced) return
    this.#fenced = true
    this.#ready = false
    this.#notice('error', 'epoch.refused', `epoch ${this.#epoch} is no longer in command: the rover obeys ${currentEpoch}`, { epoch: this.#epoch, currentEpoch })
  }

  #invalidFrame(error: MtorError): void {
    this.#invalid.count++
    const now = this.#o.clock.monoMs()
    if (now - this.#invalid.noticedMs < NOTICE_EVERY_MS) return
    this.#notice('warning', 'frame.invalid', error.message, { code: error.code, count: this.#invalid.count })
    this.#invalid = { count: 0, noticedMs: now }
  }

  // ---- stop

  #writeStop(reason: keyof typeof STOP_REASON): void {
    const message = { type: 'STOP', epoch: 0, sequence: 0, reason: STOP_REASON[reason] } as const
    this.#link.write(...Array.from({ length: STOP_REPEATS }, () => message))
  }

  /** Writes the stop three times at once, and again until the controller says that it stands still (also after a reconnect within that time). */
  #beginStop(reason: keyof typeof STOP_REASON): void {
    this.#clearStop()
    if (!this.#running) return
    this.#stop = { reason, rounds: 0, timer: undefined }
    this.#stopRound()
  }

  #stopRound(): void {
    const stop = this.#stop
    if (!stop) return
    this.#o.clock.clearTimeout(stop.timer)
    if (stop.rounds++ >= STOP_ROUNDS) {
      this.#clearStop()
      this.#notice('error', 'stop.unconfirmed', 'the controller did not confirm the stop; without heartbeat it stops by itself')
      return
    }
    stop.timer = this.#o.clock.setTimeout(() => this.#stopRound(), STOP_AGAIN_MS)
    this.#writeStop(stop.reason)
  }

  #clearStop(): void {
    this.#o.clock.clearTimeout(this.#stop?.timer)
    this.#stop = undefined
  }

  // ---- small things

  /** Tells connected and lost apart, and wakes who waits for a change. */
  #changed(error?: MtorError): void {
    const connected = this.connected
    if (connected !== (this.#announced ?? false)) {
      this.#announced = connected
      if (connected) this.#o.events.connected?.()
      else if (this.#running) this.#o.events.lost?.(error ?? this.#unreachable('the controller no longer answers'))
    }
    for (const wake of [...this.#waiting]) wake()
  }

  /** True once `condition` holds, false after `timeoutMs` (left out: waits for good). */
  #until(condition: () => boolean, timeoutMs?: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (value: boolean) => {
        this.#waiting.delete(wake)
        this.#o.clock.clearTimeout(timer)
        resolve(value)
      }
      const wake = () => { if (condition()) finish(true) }
      const timer = timeoutMs === undefined ? undefined : this.#o.clock.setTimeout(() => finish(false), timeoutMs)
      this.#waiting.add(wake)
    })
  }

  #notice(severity: 'info' | 'warning' | 'error', name: string, message: string, data?: Record<string, unknown>): void {
    this.#o.events.notice?.(severity, name, `${this.id}: ${message}`, data)
  }

  #unreachable(why: string): MtorError { return new MtorError('DEVICE_UNREACHABLE', `${this.id} on ${this.#o.port}: ${why}`) }
  #stale(): MtorError { return new MtorError('STALE_EPOCH', `${this.id}: ${this.#fenced ? 'a newer epoch is in command' : 'this line is not in command'}`, { data: { epoch: this.#epoch, currentEpoch: this.#deviceEpoch, sent: false } }) }
}
