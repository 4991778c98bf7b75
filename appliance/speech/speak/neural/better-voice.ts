import { toMtorError } from '../../../contracts/errors.ts'
import type { Hub } from '../../../contracts/hub.ts'
import type { Manifest } from '../../../inference/manifest.ts'
import type { Inference } from '../../../inference/port.ts'
import { chooseModel } from '../../choose-model.ts'

/** A sentence that takes longer than this is said by the other voice: nobody waits for a reply so long. */
export const SENTENCE_DEADLINE_MS = 2_500
const MEASURE_DEADLINE_MS = 60_000
/** Something of the length of a reply. */
const MEASURED = 'Done. I drove forward by two metres.'

/** The core's side of a neural voice: has the model say what the speech process asks for. */
export class BetterVoice {
  readonly #o: { model: string; inference: Pick<Inference, 'run' | 'warm'>; models(): Manifest[]; hub: Hub }
  #model: string | undefined

  /** @param options `model`: `speech.speak.model`, a model or 'auto' */
  constructor(options: { model: string; inference: Pick<Inference, 'run' | 'warm'>; models(): Manifest[]; hub: Hub }) { this.#o = options }

  /** The model in use; undefined while none has been found fit. */
  get model(): string | undefined { return this.#model }

  /** Until this is done the other voice speaks. Never rejects. */
  async start(): Promise<void> {
    const { model: wanted, inference, models, hub } = this.#o
    const measure = async (model: string) => {
      const { output, runMs } = await inference.run('speak', model, { text: MEASURED }, { deadlineMs: MEASURE_DEADLINE_MS, priority: 9 })
      return runMs / 1000 / output.audioS
    }
    this.#model = await chooseModel({ wanted, task: 'speak', role: 'voice', otherwise: 'flite or espeak-ng speaks', inference, models, hub, measure })
  }

  /** Writes a sentence to a WAV file. Resolves false where the other voice must say it; an event says why. Never rejects. */
  async synthesise(text: string, file: string): Promise<boolean> {
    const { inference, hub } = this.#o
    if (this.#model === undefined) return false
    try {
      await inference.run('speak', this.#model, { text, file }, { deadlineMs: SENTENCE_DEADLINE_MS, priority: 2 })
      return true
    } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      hub.system({ severity: 'info', component: 'speech', name: 'voice.passed', code, message: `${this.#model}: ${message}; the other voice says it` })
      return false
    }
  }
}
