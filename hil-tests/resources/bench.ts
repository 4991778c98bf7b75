import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import Type from 'typebox'
import { validator } from '../../appliance/contracts/validate.ts'
import type { ControlCommand } from '../../drivers/rover/simulator/control.ts'
import { SimulatorProcess } from '../../drivers/rover/simulator/host.ts'
import { readFacts } from '../checkers/logs.ts'
import { Appliance } from './appliance.ts'

/** What a bench consists of. A real board adds further values, and the tests stay as they are. */
const BenchFile = Type.Object({
  name: Type.String(),
  appliance: Type.Enum(['process'], { description: 'process: the daemon of this checkout, here' }),
  sound: Type.Enum(['alsa-file'], { description: 'alsa-file: WAV files through an ALSA file device' }),
  controller: Type.Enum(['simulator'], { description: 'simulator: on a pseudo-terminal' }),
  replies: Type.Enum(['folder'], { description: 'folder: WAV files and their text' }),
}, { additionalProperties: false })
const benchFile = validator(BenchFile)

export interface ControllerFact { at: number; fact: string; command?: string; intentId?: string; outcome?: string; [key: string]: unknown }

/** A bench that is set up: something to speak to, a controller to watch, replies to hear. */
export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), 'mtor-hil-'))
  readonly name: string
  readonly #controllerLog = join(this.dir, 'controller.jsonl')
  readonly #controller: SimulatorProcess
  #appliance: Appliance | undefined

  private constructor(name: string, options: { speedFactor: number }) {
    this.name = name
    this.#controller = new SimulatorProcess({ link: join(this.dir, 'rover.tty'), logFile: this.#controllerLog, speedFactor: options.speedFactor })
  }

  /**
   * Sets up the bench named by MTOR_BENCH, or `host`. @param options.speedFactor how much faster than life a simulated
   * rover moves (a real one takes its time) @throws MtorError CONFIG_INVALID for a bench file that is wrong
   */
  static async open(options: { speedFactor?: number; settings?: Record<string, unknown> } = {}): Promise<Bench> {
    const file = join(import.meta.dirname, '..', 'benches', `${process.env.MTOR_BENCH ?? 'host'}.yaml`)
    const { name } = benchFile.assert(parse(readFileSync(file, 'utf8')), 'CONFIG_INVALID', file)
    const bench = new Bench(name, { speedFactor: options.speedFactor ?? 1 })
    try {
      const { port } = await bench.#controller.start()
      bench.#appliance = new Appliance(bench.dir, { devices: [{ id: 'rover', driver: 'rover', port }], log: { level: 'debug' }, speech: { device: 'none', speak: { device: `file:${join(bench.dir, 'replies')}` } }, ...options.settings })
      await bench.#appliance.start()
      await bench.#appliance.hearing()
    } catch (error) { await bench.close(); throw error }
    return bench
  }

  get appliance(): Appliance { return this.#appliance! }

  /** Plays a WAV to the box and waits until it has answered; what the box reported meanwhile. */
  async play(file: string): Promise<Record<string, unknown>[]> {
    const heard: Record<string, unknown>[] = []
    for await (const event of this.appliance.control.lines('POST', '/listen', { file })) heard.push(event)
    return heard
  }

  /** What the controller wrote into its own log. */
  controllerFacts(): ControllerFact[] { return readFacts<ControllerFact>(this.#controllerLog) }

  /** Tells the simulated controller what befalls it: a low battery, heat, a pulled cable. A bench with a real one cannot. */
  async befall(command: ControlCommand): Promise<void> { await this.#controller.control(command) }

  /** Sentences the box has spoken, with the sound file of each. */
  replies(): { text: string; file: string }[] {
    const folder = join(this.dir, 'replies')
    try { return readFacts<{ text?: string; file: string }>(join(folder, 'spoken.jsonl')).flatMap(({ text, file }) => text === undefined ? [] : [{ text, file: join(folder, file) }]) } catch { return [] }
  }

  async close(): Promise<void> {
    await this.#appliance?.stop()
    await this.#controller.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
