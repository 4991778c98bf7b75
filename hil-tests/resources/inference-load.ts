import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { toMtorError } from '../../appliance/contracts/errors.ts'
import { topicsOf } from '../../appliance/contracts/topics.ts'
import type { Answer } from '../../appliance/inference/port.ts'
import type { Appliance } from './appliance.ts'

export const DETECTOR = 'centernet-coco'
/** One look at a picture, with waiting for a worker that has to be started again. */
const DEADLINE_MS = 20_000

/** One picture through the daemon and its workers; side of the square in which the detector looks, px. */
export async function detect(appliance: Appliance, image: string, sizePx: number): Promise<Answer<'detect'>> {
  return await appliance.control.call('POST', '/inference/run', { task: 'detect', model: DETECTOR, input: { image, sizePx }, deadlineMs: DEADLINE_MS }) as Answer<'detect'>
}

/** Looks at pictures without a pause, and writes down each answer with its times. */
export class DetectLoad {
  readonly #o: { appliance: Appliance; pictures: readonly string[]; sizePx: number; logFile: string; random: () => number }
  #running: Promise<void> | undefined
  #stopped = false
  constructor(options: { appliance: Appliance; pictures: readonly string[]; sizePx: number; logFile: string; random: () => number }) { this.#o = options }

  start(): void { this.#running ??= this.#run() }

  async #run(): Promise<void> {
    const { appliance, pictures, sizePx, logFile, random } = this.#o
    while (!this.#stopped) {
      const image = pictures[Math.floor(random() * pictures.length)]!
      const asked = clock.monoMs()
      let fact: Record<string, unknown>
      try {
        const { output, attempts, provider } = await detect(appliance, image, sizePx)
        fact = { ok: true, attempts, provider, detections: output.detections }
      } catch (error) {
        fact = { ok: false, code: toMtorError(error).code }
        await new Promise((done) => setTimeout(done, 20))
      }
      appendFileSync(logFile, `${JSON.stringify({ asked, answered: clock.monoMs(), picture: basename(image), ...fact })}\n`)
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }
}

/** Round trips over the broker, 50 a second, from a process of its own: what a client of the bus feels, whatever the campaign is at. */
export class EchoLoad {
  readonly #child: ChildProcess
  constructor({ url, realm, logFile }: { url: string; realm: string; logFile: string }) {
    this.#child = fork(join(import.meta.dirname, 'echo-client.ts'), [url, topicsOf(realm).root, logFile], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  }

  /** Resolves when it is connected. */
  async start(): Promise<void> { await once(this.#child, 'message') }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.disconnect()
    await gone
  }
}
