import type { Clock, Timer } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { CommandOptions, CommandResult } from '../port.ts'
import { failure, measuredData, refusal, type CommandMessage } from './commands.ts'
import { MESSAGES, OUTCOME, STATUS, type Message, type MessageOf, type ResultFields } from './protocol.ts'

export interface ExecutionLimits {
  /** Pause before an unacknowledged command is sent again, and between questions, ms. */
  ackMs: number
  /** How often one command is sent at the most. */
  attempts: number
  /** Silence about a running command after which the controller is asked, ms. */
  pollMs: number
  /** Silence after which the outcome counts as unknown, ms. */
  recoverMs: number
}

/**
 * One command on its way. It is sent again with the same ticket until it is acknowledged; the controller burns the
 * ticket when it takes it, so a copy is harmless. Once that fails, or the link was down, it is only asked about, never sent.
 */
export class Execution {
  readonly message: CommandMessage
  readonly finished: Promise<CommandResult>
  #options: CommandOptions
  #clock: Clock
  #limits: ExecutionLimits
  #send: (message: Message) => boolean
  #settle!: { resolve(result: CommandResult): void; reject(error: MtorError): void }
  #phase: 'sent' | 'asking' | 'running' | 'ended' = 'sent'
  #sent = 0
  #started = false
  #newsMs: number
  #last: Record<string, unknown> = {}
  #timer: Timer | undefined

  constructor(message: CommandMessage, options: CommandOptions, clock: Clock, limits: ExecutionLimits, send: (message: Message) => boolean) {
    this.message = message
    this.#options = options
    this.#clock = clock
    this.#limits = limits
    this.#send = send
    this.#newsMs = clock.monoMs()
    this.finished = new Promise((resolve, reject) => { this.#settle = { resolve, reject } })
  }

  get isMotion(): boolean { return this.message.type === 'MOVE' || this.message.type === 'TURN' }
  get #what(): string { return `${this.message.type} ${this.message.epoch}/${this.message.sequence}` }

  begin(): void {
    this.#newsMs = this.#clock.monoMs()
    this.#sent = 1
    if (this.#send(this.message)) this.#arm()
    else this.fail(new MtorError('DEVICE_UNREACHABLE', `${this.#what}: the line does not take it`))
  }

  /** The link went down or the controller rebooted: from now on the command is only asked about. */
  linkDown(): void { if (this.#phase === 'sent') this.#phase = 'asking' }

  /** The controller obeys us again: ask at once. */
  linkReady(): void { if (this.#phase === 'asking' || this.#phase === 'running') this.#ask() }

  onReply(reply: MessageOf<'REPLY'>): void {
    if (reply.command !== MESSAGES[this.message.type].code) return
    this.#newsMs = this.#clock.monoMs()
    if (reply.status === STATUS.ok || (reply.status === STATUS.repeatedSequence && reply.outcome !== OUTCOME.neverReceived)) this.onResult(reply)
    else this.fail(refusal(this.#what, reply.status))
  }

  /** The answer to QUERY; one that comes before this command was asked about belongs to an earlier question. */
  onOutcome(outcome: MessageOf<'OUTCOME'>): void { if (this.#phase !== 'sent') this.onResult(outcome) }

  onResult(result: ResultFields): void {
    if (this.#phase === 'ended') return
    this.#newsMs = this.#clock.monoMs()
    const executed = result.outcome !== OUTCOME.refused && result.outcome !== OUTCOME.neverReceived
    if (executed && !this.#started) {
      this.#started = true
      this.#options.onStarted?.()
    }
    if (result.outcome === OUTCOME.running) {
      this.#phase = 'running'
      this.#last = measuredData(result)
      this.#options.onProgress(this.#last)
      return
    }
    const error = failure(this.#what, result, this.#last)
    if (error) { this.fail(error); return }
    if (this.#end()) this.#settle.resolve({ data: this.isMotion ? measuredData(result) : {} })
  }

  /** Ends it with STOPPED; whoever calls has told the controller. */
  stopped(reason: string, cause?: unknown): void {
    this.fail(new MtorError('STOPPED', `${this.#what}: ${reason}`, { cause, data: this.#last }))
  }

  fail(error: MtorError): void { if (this.#end()) this.#settle.reject(error) }

  #end(): boolean {
    if (this.#phase === 'ended') return false
    this.#phase = 'ended'
    this.#clock.clearTimeout(this.#timer)
    return true
  }

  #arm(): void {
    this.#clock.clearTimeout(this.#timer)
    if (this.#phase !== 'ended') this.#timer = this.#clock.setTimeout(() => this.#due(), this.#limits.ackMs)
  }

  #due(): void {
    const silentMs = this.#clock.monoMs() - this.#newsMs
    if (silentMs >= this.#limits.recoverMs) {
      this.fail(new MtorError('OUTCOME_UNKNOWN', `${this.#what}: no answer for ${Math.round(silentMs)} ms; the rover stops by itself when it hears no heartbeat`, { data: this.#last }))
      return
    }
    if (this.#phase === 'sent' && this.#sent < this.#limits.attempts) {
      this.#sent++
      this.#send(this.message)
    } else if (this.#phase !== 'running' || silentMs >= this.#limits.pollMs) this.#ask()
    this.#arm()
  }

  #ask(): void {
    if (this.#phase === 'sent') this.#phase = 'asking'
    this.#send({ type: 'QUERY', epoch: this.message.epoch, sequence: this.message.sequence })
  }
}
