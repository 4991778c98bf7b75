import type { Config } from '../../config/schema.ts'
import type { DurableValues } from '../../guard/mode.ts'
import { FOREIGN, Hermes } from './hermes/index.ts'
import { HomeAssistant } from './home-assistant/index.ts'
import type { DialectParts } from './port.ts'

/** The dialects that live on the bus, those that are on. Each is another system's language over what is there anyway. */
export class Dialects {
  readonly #home: HomeAssistant
  readonly #hermes: Hermes | undefined

  constructor({ config, version, values, ...parts }: DialectParts & { config: Config; version: string; values: DurableValues }) {
    const { dialects: { homeAssistant, hermes }, realm, node, devices, speech, vision } = config
    const about = { prefix: homeAssistant.discoveryPrefix, realm, node, version, topics: parts.topics, devices, speech: speech.enabled, camera: vision.camera !== 'none' }
    this.#home = new HomeAssistant({ ...parts, values, enabled: homeAssistant.enabled, about })
    this.#hermes = hermes.enabled ? new Hermes({ ...parts, siteId: hermes.siteId, speech: speech.enabled, wakeWord: speech.wakeWord, answerWindowMs: speech.answerWindowMs }) : undefined
  }

  /** Before the bus starts: only then is known which topics of others it has to open. */
  async prepare(): Promise<void> { await this.#home.prepare() }

  /** Topics beyond our own root. */
  get foreign(): string[] { return [...this.#home.foreign, ...this.#hermes ? FOREIGN : []] }
  get active(): boolean { return this.foreign.length > 0 }

  async start(): Promise<void> {
    await this.#home.start()
    this.#hermes?.start()
  }

  stop(): void {
    this.#hermes?.stop()
    this.#home.stop()
  }
}
