import { openSync, rmSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../../../appliance/contracts/clock.ts'
import { MtorError, toMtorError } from '../../../appliance/contracts/errors.ts'
import { mulberry32 } from '../../../appliance/contracts/random.ts'
import { ControlSocket, type ControlCommand } from './control.ts'
import { Controller, LATE_TICK_MS } from './controller.ts'
import { DIRECTIONS, Line, NO_FAULTS } from './line.ts'
import { Memory } from './memory.ts'
import { Motion } from './motion.ts'
import { Pty } from './pty.ts'

const HELP = `Simulated rover controller on a pseudo-terminal.

  node drivers/rover/simulator/main.ts --link PATH [options]

  --link PATH         symbolic link to make; open it as a serial port. Given again: one more line to the same controller
  --state FILE        epochs and fate of commands, kept as a controller's flash would
  --log FILE          one JSON line per fact, appended (left out: standard error)
  --control PATH      UNIX socket for faults (left out: the link with .control)
  --speed-factor N    motion runs N times as fast (1)
  --seed N            of slip and line faults (1)
  --battery F         charge at the start, 0 to 1 (1)
  --ignore-epochs     a broken firmware that obeys older epochs, for tests of checkers

When ready it prints one JSON line. SIGTERM and SIGINT end it.
`
/** While wheels turn, and while they do not, ms. */
const TICK_MOVING_MS = 10
const TICK_IDLE_MS = 25
const FORMER_TIMEOUT_MS = 5_000

function number(text: string | undefined, name: string, fallback: number, low: number, high: number): number {
  const value = text === undefined ? fallback : Number(text)
  if (!(value >= low && value <= high)) throw new MtorError('USAGE', `--${name}: expected a number ${low} to ${high}, got ${text}`)
  return value
}

/** Two controllers must not share one memory: waits until a former simulator with this control socket has ended. */
function formerGone(controlPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlPath)
    socket.setTimeout(FORMER_TIMEOUT_MS, () => reject(new MtorError('BUSY', `another simulator is running on ${controlPath}`)))
    // Nobody there, or there no longer.
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
  })
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: {
    link: { type: 'string', multiple: true }, 'ignore-epochs': { type: 'boolean' }, log: { type: 'string' }, state: { type: 'string' }, control: { type: 'string' },
    'speed-factor': { type: 'string' }, seed: { type: 'string' }, battery: { type: 'string' }, help: { type: 'boolean', short: 'h' },
  } })
  if (values.help) { process.stdout.write(HELP); return }
  const [link] = values.link ?? []
  if (link === undefined) throw new MtorError('USAGE', `--link is required\n\n${HELP}`)
  const controlPath = values.control ?? `${link}.control`
  const clock = systemClock
  const random = mulberry32(number(values.seed, 'seed', 1, 0, 2 ** 32 - 1))
  const logFd = values.log === undefined ? 2 : openSync(values.log, 'a', 0o644)
  const memory = new Memory(values.state)
  const motion = new Motion(random)
  motion.batteryFraction = number(values.battery, 'battery', 1, 0, 1)

  const log = (fact: string, data: Record<string, unknown> = {}) => {
    writeSync(logFd, `${JSON.stringify({ at: clock.monoMs(), fact, pid: process.pid, bootCount: memory.bootCount, ...data })}\n`)
  }
  const links = values.link!
  const controller = new Controller({
    clock, memory, motion, log,
    speedFactor: number(values['speed-factor'], 'speed-factor', 1, 0.1, 100),
    ...(values['ignore-epochs'] ? { ignoresEpochs: true } : {}),
    send: (message) => { for (const { line } of cables) line.send(message) },
  })
  const cables = links.map((path, index) => cable(path, links.length > 1 ? { name: basename(path) } : {}, index))
  function cable(path: string, named: { name?: string }, index: number) {
    const pty = new Pty(path, (bytes) => line.fromHost(bytes))
    const line: Line = new Line({
      clock, random,
      onMessage: (message) => {
        if (message instanceof MtorError) log('frame.invalid', { message: message.message, ...named })
        else {
          // The model is brought up to now first, so that a message meets the controller as it is at this moment. Not for a heartbeat:
          // if this process got no time, heartbeats that came in time are still waiting here, and a real controller would have seen them.
          if (message.type !== 'HEARTBEAT') controller.tick()
          controller.receive(message, { ...named, answer: (reply) => line.send(reply) })
        }
        schedule()
      },
      write: (bytes) => pty.write(bytes),
    })
    return { pty, line, named, index, replug: undefined as NodeJS.Timeout | undefined }
  }
  /** Those that a command means: one by its number, or all. */
  const meant = (cable: number | undefined) => cables.filter(({ index }) => cable === undefined || cable === index)
  const plug = (one: typeof cables[number]) => {
    clearTimeout(one.replug)
    if (one.pty.plugged) return
    one.pty.plug()
    log('replug', { slave: one.pty.slavePath, ...one.named })
  }
  const carryOut = (command: ControlCommand): Record<string, unknown> => {
    if (command.do !== 'status') log('control', { ...command })
    switch (command.do) {
      case 'line': {
        const { do: _, direction, cable: which, ...faults } = command
        for (const { line } of meant(which)) for (const d of direction ? [direction] : DIRECTIONS) Object.assign(line.faults[d], NO_FAULTS, faults)
        break
      }
      case 'dropNext': for (const { line } of meant(command.cable)) line.dropNext(command.direction, command.type, command.count); break
      case 'brownOut': controller.tick(); controller.brownOut(); break
      case 'block': motion.blocked = command.blocked; break
      case 'slip': motion.slipFraction = command.slipFraction; break
      case 'battery':
        motion.batteryFraction = command.batteryFraction ?? motion.batteryFraction
        motion.sagVPerW = command.sagVPerW ?? motion.sagVPerW
        break
      case 'temperature': motion.temperatureC = command.temperatureC; break
      case 'unplug':
        for (const one of meant(command.cable)) {
          clearTimeout(one.replug)
          if (one.pty.plugged) log('unplug', one.named)
          one.pty.unplug()
          if (command.replugAfterMs !== undefined) one.replug = setTimeout(() => plug(one), command.replugAfterMs)
        }
        break
      case 'replug': for (const one of meant(command.cable)) plug(one); break
      case 'status':
        return { epoch: memory.epoch, highestSequence: memory.highestSequence, bootCount: memory.bootCount, moving: motion.moving, groundXM: motion.groundXM, groundYM: motion.groundYM,
          groundHeadingDeg: motion.groundHeadingDeg, odometerM: motion.odometerM, batteryFraction: motion.batteryFraction, plugged: cables.every(({ pty }) => pty.plugged), overrunBytes: cables.reduce((sum, { pty }) => sum + pty.overrunBytes, 0), faults: cables[0]!.line.faults }
    }
    return {}
  }
  const control = new ControlSocket(controlPath, carryOut)

  let timer: NodeJS.Timeout | undefined
  let parentGone = false
  const tick = () => {
    clearTimeout(timer)
    timer = undefined
    const lateMs = clock.monoMs() - dueMs
    // Late timers run before what has arrived is read; see above for why reading must come first then.
    if (lateMs > LATE_TICK_MS) { dueMs = Infinity; setImmediate(tick); return }
    controller.tick()
    if (parentGone && !motion.moving) end('parent gone')
    schedule()
  }
  let timerMs = 0
  let dueMs = 0
  // A motion that has just begun must not wait out the longer idle tick.
  function schedule(): void {
    const wantedMs = motion.moving ? TICK_MOVING_MS : TICK_IDLE_MS
    if (timer && timerMs <= wantedMs) return
    clearTimeout(timer)
    timerMs = wantedMs
    dueMs = clock.monoMs() + wantedMs
    timer = setTimeout(tick, wantedMs)
  }
  const end = (signal: string) => {
    clearTimeout(timer)
    for (const one of cables) clearTimeout(one.replug)
    controller.tick()
    log('exit', { signal, moving: motion.moving })
    control.stop()
    for (const { pty } of cables) pty.unplug()
    rmSync(controlPath, { force: true })
    process.exit(0)
  }

  await formerGone(controlPath)
  controller.powerOn()
  for (const { pty } of cables) pty.plug()
  await control.start()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end(signal))
  // Standard input closes when the parent dies. A simulator does not outlive its parent for long, but its wheels come to rest
  // the way a real rover's would: by the dead man.
  if (process.env.MTOR_SIMULATOR_CHILD) {
    const gone = () => { parentGone = true }
    process.stdin.on('end', gone).on('error', gone).resume()
  }
  schedule()
  process.stdout.write(`${JSON.stringify({ ready: true, port: link, slave: cables[0]!.pty.slavePath, control: controlPath, bootCount: memory.bootCount })}\n`)
}

main().catch((error: unknown) => {
  const { code, message } = toMtorError(error)
  process.stderr.write(`${code}: ${message}\n`)
  process.exit(code === 'USAGE' ? 2 : 1)
})
