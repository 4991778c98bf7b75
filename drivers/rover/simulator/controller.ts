import type { Clock } from '../../../appliance/contracts/clock.ts'
import { BOOT_CAUSE, FLAG, MESSAGES, nameOf, OUTCOME, STATUS, STOP_CAUSE, STOP_REASON, UNKNOWN, type Message, type MessageOf, type ResultFields } from '../protocol.ts'
import type { CommandRecord, Memory } from './memory.ts'
import { VEHICLE, type Goal, type GoalEnd, type Motion } from './motion.ts'

/** Wheels stop by themselves this long after the last heartbeat of the commanding epoch, ms. */
export const DEAD_MAN_MS = 500
/** Motion is refused below this charge. */
export const LOW_BATTERY_FRACTION = 0.1
/** A running motion is halted below this charge. */
export const CUT_OFF_BATTERY_FRACTION = 0.05
/** How long the controller is dark after a brown-out, ms. */
export const REBOOT_MS = 300
/** A tick that comes later than this means that the simulator got no processor time; the log says so. */
export const LATE_TICK_MS = 100
const TELEMETRY_MS = 100
const PROGRESS_MS = 200

type Command = MessageOf<'MOVE' | 'TURN' | 'SET_SPEED' | 'SET_LIGHT'>
type Stop = keyof typeof STOP_CAUSE

export interface ControllerParts {
  clock: Clock
  memory: Memory
  motion: Motion
  /** Model seconds per real second; dead man and messages stay on real time. */
  speedFactor?: number
  /** For tests of checkers only: a broken firmware that obeys older epochs as well. */
  ignoresEpochs?: boolean
  /** To every line. */
  send(message: Message): void
  /** One fact of the log; must be on its way to disk when it returns. */
  log(fact: string, data?: Record<string, unknown>): void
}

/** Where a message came from: answers go back there and nowhere else. `name` is told in the log where there is more than one line. */
export interface Origin { name?: string; answer(message: Message): void }

const NOTHING: ResultFields = { outcome: OUTCOME.none, refusal: 0, distanceMm: 0, angleCdeg: 0, headingCdeg: 0 }
const isCommand = (message: Message): message is Command => message.type === 'MOVE' || message.type === 'TURN' || message.type === 'SET_SPEED' || message.type === 'SET_LIGHT'

/** The firmware of the simulated rover: fencing, dead man, motion, fate of commands. Call `tick` every few milliseconds. */
export class Controller {
  #parts: ControllerParts
  /** `ending` is set while the wheels brake: the command ends, with what was measured, when they stand still. */
  #running: { record: CommandRecord; ending?: keyof typeof OUTCOME } | undefined
  #usualSpeedMmps = 500
  #lastHeartbeatMs = -Infinity
  #lastTickMs = 0
  #nextTelemetryMs = 0
  #nextProgressMs = 0
  #bootedMs = 0
  #darkUntilMs: number | undefined
  #wasMoving = false
  #stalled = false
  #brownOut = false
  /** Of the message that is being looked at. */
  #origin: Origin | undefined

  constructor(parts: ControllerParts) { this.#parts = parts }

  /** Power comes on: memory is read, what was running is recorded as interrupted, BOOT is sent. */
  powerOn(cause: keyof typeof BOOT_CAUSE = 'powerOn'): void {
    const { clock, memory, send, log } = this.#parts
    if (cause === 'powerOn') memory.load()
    const cut = memory.boot(UNKNOWN.i32)
    this.#bootedMs = this.#lastTickMs = clock.monoMs()
    this.#darkUntilMs = undefined
    this.#lastHeartbeatMs = -Infinity
    log('boot', { cause, bootCount: memory.bootCount, epoch: memory.epoch, highestSequence: memory.highestSequence,
      ...(cut.length ? { interrupted: cut.map(({ epoch, sequence, intentId }) => ({ epoch, sequence, intentId })) } : {}) })
    send({ type: 'BOOT', epoch: memory.epoch, sequence: 0, bootCount: memory.bootCount, cause: BOOT_CAUSE[cause] })
  }

  /** The supply breaks down: everything in RAM is lost, the controller is dark for REBOOT_MS and then boots. */
  brownOut(): void {
    const { clock, motion, log } = this.#parts
    const ticket = this.#ticket()
    this.#running = undefined
    log('brownout', ticket)
    if (motion.moving) log('motion.stop', { ...ticket, cause: 'brownOut', ...this.#measured() })
    if (this.#wasMoving) log('motion.standstill', this.#truth())
    this.#wasMoving = false
    motion.cutPower()
    this.#usualSpeedMmps = 500
    this.#stalled = false
    this.#brownOut = true
    this.#darkUntilMs = clock.monoMs() + REBOOT_MS
  }

  /** One message from a line. */
  receive(message: Message, origin?: Origin): void {
    if (this.#darkUntilMs !== undefined) return
    this.#origin = origin
    try { this.#take(message) } finally { this.#origin = undefined }
  }

  #take(message: Message): void {
    const { memory } = this.#parts
    const log = this.#log
    if (message.type === 'STOP') {
      log('received', { command: 'STOP', reason: nameOf(STOP_REASON, message.reason), verdict: 'ok' })
      this.#halt('stop', message.reason)
      this.#reply(message, 'ok', this.#parts.motion.moving ? { ...NOTHING, outcome: OUTCOME.running, ...this.#measured() } : NOTHING)
      return
    }
    if (message.type === 'GET_TELEMETRY') { this.#answerWith(this.#telemetry()); return }
    if (MESSAGES[message.type].code >= 0x80 || message.epoch === 0) {
      log('received', { command: message.type, epoch: message.epoch, sequence: message.sequence, verdict: 'badArgument' })
      this.#reply(message, 'badArgument')
      return
    }
    if (message.type === 'QUERY') { this.#answer(message); return }
    if (message.epoch < memory.epoch && !this.#parts.ignoresEpochs) {
      log('received', { ...facts(message), verdict: 'staleEpoch', currentEpoch: memory.epoch })
      this.#reply(message, 'staleEpoch')
      return
    }
    if (!this.#acceptEpoch(message.epoch)) { this.#reply(message, 'storageFault'); return }
    if (isCommand(message)) this.#command(message)
    else {
      this.#lastHeartbeatMs = this.#parts.clock.monoMs()
      if (message.type !== 'HELLO') return
      this.#brownOut = false
      log('received', { command: 'HELLO', epoch: message.epoch, verdict: 'ok' })
      this.#reply(message, 'ok')
    }
  }

  /** A newer epoch takes command: whatever the older one had running is halted first. False when it could not be stored. */
  #acceptEpoch(epoch: number): boolean {
    const { memory } = this.#parts
    if (epoch <= memory.epoch) return true
    this.#halt('takenOver', 0)
    this.#log('epoch', { from: memory.epoch, to: epoch })
    return this.#stored(() => memory.raiseEpoch(epoch))
  }

  #stored(write: () => void): boolean {
    try { write(); return true } catch (error) {
      this.#parts.log('memory.fault', { message: (error as Error).message })
      return false
    }
  }

  #command(message: Command): void {
    const { memory, motion, send } = this.#parts
    const log = this.#log
    if (message.epoch < memory.epoch ? memory.find(message.epoch, message.sequence) : message.sequence <= memory.highestSequence) {
      // The fate of the original is told only to a copy of it, not to another command that was given a used ticket.
      const original = memory.find(message.epoch, message.sequence)?.intentId
      const earlier = original && original !== message.intentId ? { ...NOTHING, outcome: OUTCOME.refused, refusal: STATUS.repeatedSequence } : this.#fate(message.epoch, message.sequence)
      log('received', { ...facts(message), verdict: 'repeatedSequence', outcome: nameOf(OUTCOME, earlier.outcome) })
      this.#reply(message, 'repeatedSequence', earlier)
      return
    }
    const record: CommandRecord = { epoch: message.epoch, sequence: message.sequence, command: message.type, intentId: message.intentId, ...NOTHING, outcome: OUTCOME.running }
    const goal = this.#goalOf(message)
    let verdict = this.#judge(message, goal)
    log('received', { ...facts(message), verdict })
    // The sequence is burned before anything turns, so that neither a copy nor a power cut can make it run twice.
    if (verdict === 'ok' && !this.#stored(() => memory.put(goal ? record : { ...record, outcome: OUTCOME.done, headingCdeg: this.#measured().headingCdeg }))) verdict = 'storageFault'
    if (verdict !== 'ok') {
      if (verdict === 'storageFault') log('refused', { ...facts(message), verdict })
      const refused = { ...record, outcome: OUTCOME.refused, refusal: STATUS[verdict] }
      this.#stored(() => memory.put(refused))
      this.#reply(message, verdict, refused)
      return
    }
    log('execute', facts(message))
    if (message.type === 'SET_SPEED') this.#usualSpeedMmps = message.speedMmps
    if (message.type === 'SET_LIGHT') motion.lightFraction = message.fraction255 / 255
    if (goal) {
      motion.begin(goal)
      this.#running = { record }
      this.#wasMoving = true
      this.#stalled = false
      this.#nextProgressMs = this.#parts.clock.monoMs() + PROGRESS_MS
      log('motion.start', { ...this.#ticket(), ...goal })
    }
    const now = memory.find(message.epoch, message.sequence) ?? record
    this.#reply(message, 'ok', now)
    if (!goal) send({ type: 'DONE', epoch: message.epoch, sequence: message.sequence, ...resultOf(now) })
  }

  #judge(message: Command, goal: Goal | undefined): keyof typeof STATUS {
    const { clock, motion } = this.#parts
    if (message.type === 'SET_SPEED' && (message.speedMmps === 0 || message.speedMmps > VEHICLE.maxSpeedMps * 1000)) return 'badArgument'
    if (message.type === 'MOVE' && message.speedMmps > VEHICLE.maxSpeedMps * 1000) return 'badArgument'
    if (!goal) return 'ok'
    if (clock.monoMs() - this.#lastHeartbeatMs > DEAD_MAN_MS) return 'noHeartbeat'
    if (motion.moving) return 'busy'
    return motion.batteryFraction < LOW_BATTERY_FRACTION ? 'lowBattery' : 'ok'
  }

  #goalOf(message: Command): Goal | undefined {
    if (message.type === 'MOVE') return { kind: 'move', distanceM: message.distanceMm / 1000, speedMps: (message.speedMmps || this.#usualSpeedMmps) / 1000 }
    if (message.type === 'TURN') return { kind: 'turn', angleDeg: message.angleCdeg / 100 }
    return undefined
  }

  /** What is known of a command; where it has no record: never received, or too long ago to remember. */
  #fate(epoch: number, sequence: number): ResultFields {
    const { memory } = this.#parts
    if (this.#running?.record.epoch === epoch && this.#running.record.sequence === sequence) return { ...NOTHING, outcome: OUTCOME.running, ...this.#measured() }
    return memory.find(epoch, sequence) ?? { ...NOTHING, outcome: memory.mayHaveForgotten(epoch, sequence) ? OUTCOME.unknown : OUTCOME.neverReceived }
  }

  /** QUERY: an answer of "never received" is made final by burning the sequence, should a late copy still be under way. */
  #answer(message: MessageOf<'QUERY'>): void {
    const { memory } = this.#parts
    if (message.epoch > memory.epoch && !this.#acceptEpoch(message.epoch)) { this.#reply(message, 'storageFault'); return }
    let fate = this.#fate(message.epoch, message.sequence)
    if (message.epoch === memory.epoch && message.sequence > memory.highestSequence) {
      const burned = { epoch: message.epoch, sequence: message.sequence, command: 'QUERY', intentId: '', ...fate }
      if (!this.#stored(() => memory.put(burned))) fate = { ...fate, outcome: OUTCOME.unknown }
    }
    this.#log('received', { command: 'QUERY', epoch: message.epoch, sequence: message.sequence, verdict: 'ok', outcome: nameOf(OUTCOME, fate.outcome) })
    this.#answerWith({ type: 'OUTCOME', epoch: message.epoch, sequence: message.sequence, ...resultOf(fate) })
  }

  /** Moves the model to now: motion, dead man, progress, telemetry. */
  tick(): void {
    const { clock, motion, speedFactor = 1 } = this.#parts
    const now = clock.monoMs()
    if (this.#darkUntilMs !== undefined) {
      if (now < this.#darkUntilMs) return
      this.powerOn('brownOut')
    }
    if (now - this.#lastTickMs > LATE_TICK_MS) this.#parts.log('late', { byMs: round(now - this.#lastTickMs) })
    // A late tick must not let the wheels turn past the moment at which the dead man was due.
    const deadManMs = this.#lastHeartbeatMs + DEAD_MAN_MS
    const dueInside = motion.goal && deadManMs < now
    const beforeMs = dueInside ? Math.max(this.#lastTickMs, deadManMs) : now
    const end = motion.advance(Math.max(0, beforeMs - this.#lastTickMs) / 1000 * speedFactor)
    if (end) this.#ended(end)
    else if (dueInside) this.#halt('deadMan', 0)
    else if (motion.goal && motion.batteryFraction < CUT_OFF_BATTERY_FRACTION) this.#halt('lowBattery', 0)
    if (beforeMs < now) motion.advance((now - beforeMs) / 1000 * speedFactor)
    this.#lastTickMs = now
    if (this.#darkUntilMs !== undefined) return
    this.#checkStandstill()
    if (this.#running && now >= this.#nextProgressMs) {
      this.#nextProgressMs = now + PROGRESS_MS
      const { epoch, sequence } = this.#running.record
      this.#parts.send({ type: 'PROGRESS', epoch, sequence, ...NOTHING, outcome: OUTCOME.running, ...this.#measured() })
    }
    if (now >= this.#nextTelemetryMs) {
      this.#nextTelemetryMs = now + (motion.moving ? TELEMETRY_MS : 2 * TELEMETRY_MS)
      this.#sendTelemetry()
    }
  }

  #checkStandstill(): void {
    if (!this.#wasMoving || this.#parts.motion.moving) return
    this.#wasMoving = false
    this.#parts.log('motion.standstill', this.#truth())
    if (this.#running?.ending) this.#finish(this.#running.ending)
  }

  #ended(end: GoalEnd): void {
    if (end === 'brownOut') { this.brownOut(); return }
    if (end === 'stalled') { this.#stalled = true; this.#halt('stalled', 0); return }
    this.#parts.log('motion.stop', { ...this.#ticket(), cause: 'done', ...this.#measured() })
    if (this.#running) this.#running.ending = 'done'
    this.#checkStandstill()
  }

  /** Brakes and records why; a STOP while nothing moves changes nothing. */
  #halt(cause: Stop, reason: number): void {
    const { motion, log, send, clock } = this.#parts
    if (!motion.goal || !this.#running) return
    const { epoch, sequence } = this.#ticket()
    if (cause === 'deadMan') log('deadman', { epoch, sequence, sinceHeartbeatMs: clock.monoMs() - this.#lastHeartbeatMs })
    log('motion.stop', { ...this.#ticket(), cause, ...this.#measured(), speedMps: round(motion.speedMps) })
    motion.brake()
    send({ type: 'STOPPED', epoch, sequence, cause: STOP_CAUSE[cause], reason })
    this.#running.ending = cause === 'stop' ? 'stopped' : cause
    this.#checkStandstill()
  }

  #finish(outcome: keyof typeof OUTCOME): void {
    const running = this.#running
    if (!running) return
    this.#running = undefined
    const record = { ...running.record, outcome: OUTCOME[outcome], ...this.#measured() }
    this.#stored(() => this.#parts.memory.put(record))
    this.#parts.log('done', { epoch: record.epoch, sequence: record.sequence, intentId: record.intentId, outcome, ...this.#measured(), ...this.#truth() })
    this.#parts.send({ type: 'DONE', epoch: record.epoch, sequence: record.sequence, ...resultOf(record) })
  }

  #reply(message: Message, status: keyof typeof STATUS, result: ResultFields = NOTHING): void {
    this.#answerWith({ type: 'REPLY', epoch: message.epoch, sequence: message.sequence, command: MESSAGES[message.type].code, status: STATUS[status],
      currentEpoch: this.#parts.memory.epoch, ...resultOf(result) })
  }

  /** To the line that asked; the others learn nothing of it. */
  #answerWith(message: Message): void { if (this.#origin) this.#origin.answer(message); else this.#parts.send(message) }

  /** A fact, with the line that brought it about. */
  #log = (fact: string, data: Record<string, unknown> = {}): void => { this.#parts.log(fact, this.#origin?.name === undefined ? data : { ...data, line: this.#origin.name }) }

  #sendTelemetry(): void { this.#parts.send(this.#telemetry()) }

  #telemetry(): MessageOf<'TELEMETRY'> {
    const { motion, memory, clock } = this.#parts
    const now = clock.monoMs()
    const flags = (motion.moving ? FLAG.moving : 0) | (this.#stalled ? FLAG.stalled : 0) | (now - this.#lastHeartbeatMs > DEAD_MAN_MS ? FLAG.deadMan : 0)
      | (this.#brownOut ? FLAG.brownOut : 0) | (motion.batteryFraction < LOW_BATTERY_FRACTION ? FLAG.lowBattery : 0)
    return { type: 'TELEMETRY', epoch: memory.epoch, sequence: 0, xMm: Math.round(motion.xM * 1000), yMm: Math.round(motion.yM * 1000),
      headingCdeg: Math.round(motion.headingDeg * 100), odometerMm: Math.round(motion.odometerM * 1000), speedMmps: Math.round(motion.speedMps * 1000),
      batteryMv: Math.round(motion.batteryV * 1000), batteryPermille: Math.round(motion.batteryFraction * 1000), temperatureCdegC: Math.round(motion.temperatureC * 100),
      light255: Math.round(motion.lightFraction * 255), flags, currentEpoch: memory.epoch, uptimeMs: Math.floor(now - this.#bootedMs) % 2 ** 32 }
  }

  #ticket(): { epoch: number; sequence: number; intentId?: string } {
    const record = this.#running?.record
    return record ? { epoch: record.epoch, sequence: record.sequence, intentId: record.intentId } : { epoch: 0, sequence: 0 }
  }

  /** What the wheel encoders saw of the running command. */
  #measured() {
    const { motion } = this.#parts
    return { distanceMm: Math.round(motion.travelledM * 1000), angleCdeg: Math.round(motion.turnedDeg * 100), headingCdeg: Math.round(motion.headingDeg * 100) }
  }

  /** Where the rover truly is: for the log only, a controller cannot know. */
  #truth() {
    const { motion } = this.#parts
    return { groundXM: round(motion.groundXM), groundYM: round(motion.groundYM), groundHeadingDeg: round(motion.groundHeadingDeg), groundM: round(motion.groundM), odometerM: round(motion.odometerM) }
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000
const resultOf = ({ outcome, refusal, distanceMm, angleCdeg, headingCdeg }: ResultFields): ResultFields => ({ outcome, refusal, distanceMm, angleCdeg, headingCdeg })

/** A received message as the log tells it. */
function facts(message: Message): Record<string, unknown> {
  const { type, ...rest } = message
  return { command: type, ...rest }
}
