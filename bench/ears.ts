import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeConfig } from '../appliance/config/load.ts'
import { systemClock } from '../appliance/contracts/clock.ts'
import { toMtorError } from '../appliance/contracts/errors.ts'
import { InferenceSupervisor } from '../appliance/inference/index.ts'
import { ModelStore } from '../appliance/inference/store/index.ts'
import { MAX_REAL_TIME_FACTOR } from '../appliance/speech/choose-model.ts'
import { textOf } from '../appliance/speech/engine.ts'
import { VoskEngine } from '../appliance/speech/engines/vosk.ts'
import { readMono } from '../appliance/speech/sounds.ts'
import { encodeWav, WavReader } from '../appliance/speech/wav.ts'
import { NOTES, recordingSets, type Recording, type RecordingSet } from './ears/recordings.ts'
import { wordErrors, wordsOf } from './ears/words.ts'
import type { Measure, MeasureContext, Row } from './harness.ts'
import { quantile } from './table.ts'

const MOST = { quick: 4, full: 60 }
const DEADLINE_MS = 120_000
/** What the engine is given at once, as from a microphone. */
const BLOCK_SAMPLES = 4_096

interface Ears { name: string; hear(samples: Int16Array): Promise<{ text: string; ms: number }> }

/** The engine as the box has it, with its whole vocabulary. */
async function vosk(): Promise<Ears & { close(): void }> {
  const engine = await VoskEngine.load()
  const recogniser = await engine.open({ kind: 'open' })
  return {
    name: 'vosk',
    async hear(samples) {
      const startedMs = performance.now()
      for (let at = 0; at < samples.length; at += BLOCK_SAMPLES) await recogniser.accept(samples.subarray(at, at + BLOCK_SAMPLES))
      const { words } = await recogniser.final()
      return { text: textOf(words), ms: performance.now() - startedMs }
    },
    close: () => engine.close(),
  }
}

/** Every transcriber and neural voice that has been pulled, in its worker, as the box has it. */
class Models {
  readonly ears: Ears[] = []
  readonly voices: string[] = []
  readonly missing: string[] = []
  readonly #file: string
  readonly #library: ModelStore
  readonly #supervisor: InferenceSupervisor

  constructor(folder: string, modelsDir = 'models') {
    const { inference: config } = makeConfig({ inference: { modelsDir } })
    this.#file = join(folder, 'sound.wav')
    this.#library = new ModelStore({ ...config, clock: systemClock, onEvent: () => {} })
    this.#supervisor = new InferenceSupervisor({ config, library: this.#library, clock: systemClock, onEvent: () => {}, stateDir: folder, cores: cpus().length })
  }

  async start(): Promise<void> {
    this.#supervisor.start()
    for (const { name, task } of this.#library.list().filter((manifest) => manifest.task === 'transcribe' || manifest.task === 'speak')) {
      try { await this.#library.trusted(name) } catch { this.missing.push(name); continue }
      await this.#supervisor.warm(name)
      if (task === 'speak') this.voices.push(name)
      else this.ears.push({ name, hear: (samples) => this.#hear(name, samples) })
    }
  }

  async #hear(name: string, samples: Int16Array): Promise<{ text: string; ms: number }> {
    await writeFile(this.#file, encodeWav(samples, { sampleRateHz: 16_000 }))
    const { output, runMs } = await this.#supervisor.run('transcribe', name, { file: this.#file }, { deadlineMs: DEADLINE_MS })
    return { text: output.text, ms: runMs }
  }

  async say(voice: string, text: string): Promise<{ samples: Int16Array; realTimeFactor: number }> {
    const { output, runMs } = await this.#supervisor.run('speak', voice, { text, file: this.#file }, { deadlineMs: DEADLINE_MS })
    return { samples: await readMono(await WavReader.open(this.#file)), realTimeFactor: runMs / 1000 / output.audioS }
  }

  async stop(): Promise<void> { await this.#supervisor.stop() }
}

async function judge(ears: Ears, set: RecordingSet, context: MeasureContext): Promise<{ errors: number; words: number; factors: number[] }> {
  let errors = 0
  let words = 0
  const factors: number[] = []
  for (const recording of set.recordings) {
    context.signal.throwIfAborted()
    const samples = await recording.samples()
    const { text, ms } = await ears.hear(samples)
    const expected = wordsOf(recording.text)
    const wrong = wordErrors(expected, wordsOf(text))
    errors += wrong
    words += expected.length
    factors.push(ms / (samples.length / 16))
    if (context.flags['verbose'] !== undefined && wrong > 0) context.progress(told(ears, recording, text, wrong))
  }
  return { errors, words, factors }
}
const told = (ears: Ears, { name, text }: Recording, got: string, wrong: number) => `${ears.name} · ${name}: ${wrong} wrong\n        said  ${text}\n        heard ${got}`

const measure: Measure = {
  name: 'ears',
  title: 'free speech: word error rate and real-time factor of the engine and of each transcriber and neural voice that is there, on the same recordings',
  flags: [{ flag: '--models DIR', help: 'the model store (default: models)' }, { flag: '--verbose', help: 'what was heard where it is not what was said' }],
  async run(context) {
    const folder = await mkdtemp(join(tmpdir(), 'mtor-ears-'))
    const rows: Row[] = []
    const most = context.quick ? MOST.quick : MOST.full
    const take = <T>(of: T[], count: number): T[] => of.map((value) => ({ value, at: context.random() })).sort((a, b) => a.at - b.at).slice(0, count).map(({ value }) => value)
    const engine = await vosk()
    const models = new Models(folder, context.flags['models'])
    try {
      await models.start()
      const all: Ears[] = [engine, ...models.ears]
      for (const name of models.missing) rows.push({ metric: `${name}: not here; bring it with: mtor models pull ${name}`, value: null, unit: '' })
      const sets = recordingSets(take, most)
      for (const voice of models.voices) {
        const factors: number[] = []
        const recordings: Recording[] = []
        for (const text of take(NOTES, most)) {
          const { samples, realTimeFactor } = await models.say(voice, text)
          factors.push(realTimeFactor)
          recordings.push({ name: `${voice} ${text}`, text, samples: async () => samples })
        }
        sets.push({ name: `notes said by ${voice}`, human: false, recordings })
        rows.push({ metric: `${voice}: seconds of work for one of speech p50`, value: quantile(factors, 0.5), unit: '', goal: `<= ${MAX_REAL_TIME_FACTOR}`, holds: quantile(factors, 0.5)! <= MAX_REAL_TIME_FACTOR }, { metric: '  … p95', value: quantile(factors, 0.95), unit: '' })
      }
      for (const set of sets) {
        if (set.recordings.length === 0) { rows.push({ metric: `${set.name}: its Debian package is not installed`, value: null, unit: '' }); continue }
        for (const one of all) {
          const { errors, words, factors } = await judge(one, set, context)
          context.progress(`${set.name}, ${one.name}: ${errors} of ${words} words wrong`)
          rows.push(
            { metric: `${set.name} (${set.human ? 'human' : 'synthetic'}, ${set.recordings.length} recordings, ${words} words): words wrong, ${one.name}`, value: 100 * errors / words, unit: '%' },
            { metric: `  seconds of work for one of sound p50, ${one.name}`, value: quantile(factors, 0.5), unit: '', ...(one.name === 'vosk' ? {} : { goal: `<= ${MAX_REAL_TIME_FACTOR}`, holds: quantile(factors, 0.5)! <= MAX_REAL_TIME_FACTOR }) },
            { metric: `  … p95, ${one.name}`, value: quantile(factors, 0.95), unit: '' },
          )
        }
      }
      return rows
    } catch (error) { throw toMtorError(error) } finally {
      engine.close()
      await models.stop()
      await rm(folder, { recursive: true, force: true })
    }
  },
}
export default measure
