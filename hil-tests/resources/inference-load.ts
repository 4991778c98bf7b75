import { appendFileSync } from 'node:fs'
import { basename } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { toMtorError } from '../../appliance/contracts/errors.ts'
import { topicsOf } from '../../appliance/contracts/topics.ts'
import type { Answer } from '../../appliance/inference/port.ts'
import type { Appliance } from './appliance.ts'

export const DETECTOR = 'centernet-coco'
const ECHO_PERIOD_MS = 20
/** One look at a picture, with waiting for a worker that has to be started again. */
const DEADLINE_MS = 8_000

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

/** Round trips over the broker, 50 a second: what a client of the bus feels. */
export class EchoLoad {
  readonly #o: { url: string; realm: string; logFile: string }
  #client: MqttClient | undefined
  #timer: NodeJS.Timeout | undefined
  #lines: string[] = []
  constructor(options: { url: string; realm: string; logFile: string }) { this.#o = options }

  async start(): Promise<void> {
    const { url, realm } = this.#o
    const topic = `${topicsOf(realm).root}/app/echo`
    const client = this.#client = await connectAsync(url, { clientId: 'echo', reconnectPeriod: 100 })
    client.on('error', () => { /* The library connects again. */ })
    await client.subscribeAsync(topic)
    client.on('message', (_, payload) => {
      const at = Number(payload.toString())
      this.#lines.push(JSON.stringify({ at, ms: clock.monoMs() - at }))
      if (this.#lines.length >= 100) this.#flush()
    })
    this.#timer = setInterval(() => { client.publish(topic, String(clock.monoMs())) }, ECHO_PERIOD_MS)
  }

  #flush(): void {
    if (this.#lines.length > 0) appendFileSync(this.#o.logFile, `${this.#lines.join('\n')}\n`)
    this.#lines = []
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#client?.endAsync(true)
    this.#client = undefined
    this.#flush()
  }
}
