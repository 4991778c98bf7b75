import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import Type, { type Static } from 'typebox'
import { toMtorError } from '../../../appliance/contracts/errors.ts'
import { validator } from '../../../appliance/contracts/validate.ts'
import { MESSAGES, type MessageType } from '../protocol.ts'
import { DIRECTIONS } from './line.ts'

const fraction = Type.Number({ minimum: 0, maximum: 1 })
const options = { additionalProperties: false }
const cable = Type.Optional(Type.Integer({ minimum: 0, maximum: 15, description: 'Which line, by its place on the command line, from 0; left out: all' }))

/** What the simulated controller can be told. One JSON object per line, one JSON answer per line. */
export const ControlCommand = Type.Union([
  Type.Object({ do: Type.Literal('line'), direction: Type.Optional(Type.Enum([...DIRECTIONS])), dropByteFraction: Type.Optional(fraction), corruptByteFraction: Type.Optional(fraction),
    dropFrameFraction: Type.Optional(fraction), delayMs: Type.Optional(Type.Number({ minimum: 0, maximum: 60_000 })), cable }, { ...options, description: 'Faults of the cable, in one or both directions; what is left out becomes 0' }),
  Type.Object({ do: Type.Literal('dropNext'), direction: Type.Enum([...DIRECTIONS]), type: Type.Enum(Object.keys(MESSAGES) as MessageType[]), count: Type.Integer({ minimum: 1, maximum: 1000 }), cable }, { ...options, description: 'The next frames of one type vanish' }),
  Type.Object({ do: Type.Literal('brownOut') }, { ...options, description: 'The supply breaks down; the controller reboots' }),
  Type.Object({ do: Type.Literal('block'), blocked: Type.Boolean() }, { ...options, description: 'Wheels blocked: motion stalls' }),
  Type.Object({ do: Type.Literal('slip'), slipFraction: fraction }, { ...options, description: 'Wheels turn but the ground does not follow' }),
  Type.Object({ do: Type.Literal('battery'), batteryFraction: Type.Optional(fraction), sagVPerW: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })) }, { ...options, description: 'Charge, and how far the voltage sags under load (a weak battery browns out by itself)' }),
  Type.Object({ do: Type.Literal('temperature'), temperatureC: Type.Number({ minimum: -60, maximum: 150 }) }, { ...options, description: 'Heats or cools it at once; from there it goes back by itself' }),
  Type.Object({ do: Type.Literal('unplug'), replugAfterMs: Type.Optional(Type.Number({ minimum: 0, maximum: 3600_000 })), cable }, { ...options, description: 'Pulls the cable; without replugAfterMs until replug' }),
  Type.Object({ do: Type.Literal('replug'), cable }, options),
  Type.Object({ do: Type.Literal('status') }, { ...options, description: 'Answers with the state of controller, motion and line' }),
])
export type ControlCommand = Static<typeof ControlCommand>

const MAX_LINE_CHARACTERS = 4096
const command = validator(ControlCommand)

/** UNIX stream socket through which the simulator is told to misbehave. */
export class ControlSocket {
  #path: string
  #carryOut: (command: ControlCommand) => Record<string, unknown>
  #server: Server | undefined
  #sockets = new Set<Socket>()

  constructor(path: string, carryOut: (command: ControlCommand) => Record<string, unknown>) {
    this.#path = path
    this.#carryOut = carryOut
  }

  start(): Promise<void> {
    rmSync(this.#path, { force: true })
    const server = this.#server = createServer((socket) => this.#serve(socket))
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(toMtorError(error)))
      server.listen(this.#path, resolve)
    })
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server?.close()
    this.#server = undefined
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let held = ''
    socket.setEncoding('utf8')
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', (text: string) => {
      held += text
      for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
        const line = held.slice(0, end)
        held = held.slice(end + 1)
        socket.write(`${JSON.stringify(this.#answer(line))}\n`)
      }
      if (held.length > MAX_LINE_CHARACTERS) socket.destroy()
    })
  }

  #answer(line: string): Record<string, unknown> {
    try {
      return { ok: true, ...this.#carryOut(command.assert(JSON.parse(line), 'INVALID_SLOTS', 'control command')) }
    } catch (error) {
      const { code, message } = toMtorError(error, 'MALFORMED')
      return { ok: false, code, message }
    }
  }
}
