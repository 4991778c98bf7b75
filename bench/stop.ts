import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MtorError } from '../appliance/contracts/errors.ts'
import type { FromSpeech } from '../appliance/speech/messages.ts'
import { concatenate, silence, synthesise, type TestVoice } from '../appliance/speech/sounds.ts'
import { StopRule, STOP_TUNING } from '../appliance/speech/stop/rule.ts'
import { StopSpotter } from '../appliance/speech/stop/spotter.ts'
import { PAUSE_S, PipelineEars, said, sample, wavFiles, type Sound } from './ears/pipeline-ears.ts'
import type { Measure, MeasureContext, Row } from './harness.ts'
import { amplified, inNoise, overVoice, soundEndS } from '../appliance/speech/testing-mixing.ts'
import { quantile } from './table.ts'

/** The box's own voice: the default of `speech.speak.voice`. */
const OWN_VOICE: TestVoice = 'flite:rms'
/** None of these is among the sentences the head was trained with. */
const OWN_SENTENCES = [
  'Moved two metres forward, and the battery is at eighty percent.',
  'I could not make that out. Please say it again more slowly.',
  'Say confirm to arm the drive and start the motors.',
  'The device has not answered for ten seconds; the lights are on in the north hall.',
  'It is ten past four, and the temperature is twenty one degrees.',
  'Stopped.',
]
const VOICES: TestVoice[] = ['flite:rms', 'flite:slt', 'flite:awb', 'flite:kal16', 'espeak-ng:en-us+f1', 'espeak-ng:en-us+m7', 'espeak-ng:en-gb+m3', 'espeak-ng:en-gb-scotland+f3', 'espeak-ng:en-us+croak', 'espeak-ng:en-us+whisper']
const NEAR = ['start', 'top', 'step', 'shop', 'spot', 'stock', 'star', 'drop', 'stand', 'story', 'start the motor', 'turn left at the top', 'one step back', 'go to the shop']
/** Forms of the word: to stop for them is not counted as a mistake. */
const FORMS = ['stopped', 'stops', 'it has stopped', "don't stop"]
const COMMANDS = ['computer, drive forward two metres', 'computer, turn left ninety degrees', 'computer, what do you see', 'computer, set mode safe', 'computer, start the patrol', 'computer, turn the top light on', 'log: the third step is broken', 'computer, what is the status']
const IN_SENTENCES = ['computer, stop', 'stop now', 'please stop', 'oh no, stop', 'stop stop stop', 'emergency stop', 'computer, please stop now']
/** Prompts of a telephone exchange, one human speaker: Debian's asterisk-core-sounds-en-wav. */
const PROMPTS = '/usr/share/asterisk/sounds/en_US_f_Allison'
const THRESHOLDS = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995]
const GAINS_DB = [-20, 10, 20, 30]
const NOISE_DB = 10
const OWN_DB = [6, 0]
/** The word begins so long after the sentence it is laid over. */
const OVER_FROM_S = 0.7
const QUICK = { people: 2, synthetic: 2, sentences: 2, otherS: 6 }
const GOAL = 97
const OWN_GOAL = 95

/** What is to be heard in which way. */
interface Way {
  name: string
  change(samples: Int16Array, index: number): Int16Array
  /** What the box says meanwhile. */
  own?(index: number): Int16Array
  /** Per cent. */
  goal?: number
}
interface Trial {
  isHeard: boolean
  /** Scores of the head, one each 50 ms. */
  scores: number[]
}
const percentOf = (part: number, whole: number) => whole === 0 ? null : Math.round(1000 * part / whole) / 10
const stopsIn = (messages: readonly FromSpeech[]) => messages.filter((message) => message.kind === 'stop-word')

class StopBench {
  readonly #context: MeasureContext
  readonly #ears: PipelineEars
  readonly #spotter: StopSpotter
  /** What people say, or synthetic voices where there are none, and what nobody means: for the curve. */
  readonly trials: Trial[] = []
  readonly others: { stops: number; scores: number[]; seconds: number }[] = []
  readonly delaysMs: number[] = []

  constructor(context: MeasureContext, ears: PipelineEars, spotter: StopSpotter) {
    this.#context = context
    this.#ears = ears
    this.#spotter = spotter
  }

  async heard(what: string, sounds: readonly Sound[], ways: readonly Way[], isForCurve: boolean): Promise<Row[]> {
    const rows: Row[] = []
    for (const { name, change, own, goal } of ways) {
      let heard = 0
      for (const [index, sound] of sounds.entries()) {
        this.#context.signal.throwIfAborted()
        const original = await sound.load()
        const samples = change(original, index)
        const [stop] = stopsIn(await this.#ears.hear(samples, own ? { isSpeaking: true, own: own(index) } : {}))
        if (stop) heard++
        else this.#context.progress(`missed, ${what}, ${name}: ${sound.name}`)
        if (isForCurve) this.trials.push({ isHeard: stop !== undefined, scores: await this.#scores(samples) })
        if (stop && samples.length === original.length) this.delaysMs.push(stop.atMs - this.#ears.soundFromMs - 1000 * soundEndS(original))
      }
      const percent = percentOf(heard, sounds.length)
      rows.push({ metric: `${what}, ${name}`, value: percent, unit: `% of ${sounds.length}`, ...goal === undefined ? {} : { goal: `>= ${goal}`, holds: percent !== null && percent >= goal } })
    }
    this.#context.progress(`${what}: done`)
    return rows
  }

  async falseStops(what: string, sounds: readonly Sound[], { isSpeaking = false, isForCurve = false, limit }: { isSpeaking?: boolean; isForCurve?: boolean; limit?: number } = {}): Promise<Row[]> {
    let stops = 0, seconds = 0
    for (const sound of sounds) {
      this.#context.signal.throwIfAborted()
      if (this.#context.quick && seconds > QUICK.otherS) break
      const samples = await sound.load()
      const found = stopsIn(await this.#ears.hear(samples, isSpeaking ? { isSpeaking, own: samples } : {})).length
      const lengthS = samples.length / 16_000 + 2 * PAUSE_S
      if (found > 0) this.#context.progress(`stopped by, ${what}: ${sound.name}`)
      stops += found
      seconds += lengthS
      if (isForCurve) this.others.push({ stops: found, scores: await this.#scores(samples), seconds: lengthS })
    }
    const rate = Math.round(36_000 * stops / seconds) / 10
    return [{ metric: `false stops, ${what}`, value: rate, unit: `/h (${stops} in ${(seconds / 60).toFixed(1)} min)`, ...limit === undefined ? {} : { goal: `<= ${limit}`, holds: rate <= limit } }]
  }

  async #scores(samples: Int16Array): Promise<number[]> {
    this.#spotter.reset()
    const scores: number[] = []
    const audio = concatenate([silence(PAUSE_S), samples, silence(PAUSE_S)])
    for (let i = 0; i < audio.length; i += 512) scores.push(...await this.#spotter.push(audio.subarray(i, i + 512)))
    return scores
  }

  /** The head alone at each threshold: how many are heard, and how often it stops for other speech. */
  curve(what: string): Row[] {
    const hours = this.others.reduce((sum, { seconds }) => sum + seconds, 0) / 3600
    return THRESHOLDS.map((threshold) => {
      const fires = (scores: readonly number[]) => { const rule = new StopRule(); return scores.filter((score) => rule.push(score, threshold) !== undefined).length }
      const heard = this.trials.filter(({ scores }) => fires(scores) > 0).length
      const wrong = this.others.reduce((sum, { scores }) => sum + fires(scores), 0)
      return { metric: `the head alone at ${threshold}${threshold === STOP_TUNING.threshold ? ' (in use)' : ''}: ${what} heard, false stops of other speech`, value: `${percentOf(heard, this.trials.length)} %`, unit: hours === 0 ? '' : `${(wrong / hours).toFixed(1)} /h` }
    })
  }
}

/** The folder of recordings of the word. */
const stopFolder = (dir: string) => [join(dir, 'data/data_train/stop'), join(dir, 'stop')].find(existsSync) ?? dir

const stop: Measure = {
  name: 'stop',
  title: 'the word "stop": how many are heard, loud, quiet, in noise and over the box\'s own voice; false stops; faster than real time, on audio time',
  flags: [
    { flag: '--human DIR', help: 'recordings of people who say "stop" (WAV of any rate); of a data set its folder data/data_train/stop or stop' },
    { flag: '--other DIR', help: 'folder with other speech, which is no stop' },
    { flag: '--engine NAME', help: 'vosk or pocketsphinx; left out: the first that works' },
  ],
  async run(context) {
    const { human, other, engine } = context.flags
    const ears = await PipelineEars.open(engine)
    const spotter = await StopSpotter.load()
    const bench = new StopBench(context, ears, spotter)
    try {
      const own = await Promise.all(OWN_SENTENCES.slice(0, -1).map((text) => synthesise(text, OWN_VOICE)))
      const ways = (hasGoal: boolean): Way[] => {
        const goal = hasGoal ? { goal: GOAL } : {}
        return [
          { name: 'as recorded', change: (x) => x, ...goal },
          ...GAINS_DB.map((gainDb) => ({ name: `${gainDb > 0 ? '+' : ''}${gainDb} dB${gainDb > 0 ? ', clipped' : ''}`, change: (x: Int16Array) => amplified(x, gainDb), ...goal })),
          ...OWN_DB.map((louderDb) => ({ name: `over its own voice, ${louderDb} dB louder`, change: (x: Int16Array, index: number) => overVoice(x, own[index % own.length]!, louderDb, OVER_FROM_S), own: (index: number) => own[index % own.length]!, ...hasGoal && louderDb > 0 ? { goal: OWN_GOAL } : {} })),
          { name: `in noise, ${NOISE_DB} dB`, change: (x) => inNoise(x, NOISE_DB, context.random) },
        ]
      }
      const rows: Row[] = [{ metric: 'engine', value: ears.engine, unit: '' }]
      if (human === undefined) rows.push(...ways(true).map(({ name }) => ({ metric: `people, ${name}`, value: null, unit: 'not measured: --human DIR' })))
      else {
        const people = await wavFiles(stopFolder(human))
        if (people.length === 0) throw new MtorError('NOT_FOUND', `${stopFolder(human)} holds no WAV files`)
        rows.push(...await bench.heard('people', sample(context, people, QUICK.people), ways(true), true))
      }
      const synthetic = sample(context, VOICES, QUICK.synthetic).map((voice) => said('stop', voice))
      rows.push(...await bench.heard('synthetic voices', synthetic, ways(false), human === undefined))
      const sentences = sample(context, VOICES.slice(0, 6).flatMap((voice) => IN_SENTENCES.map((text) => said(text, voice))), QUICK.sentences)
      rows.push(...await bench.heard('synthetic sentences', sentences, [{ name: 'as spoken', change: (x) => x }, { name: 'shouted: +20 dB, clipped', change: (x) => amplified(x, 20) }], false))
      rows.push({ metric: 'end of the word to stop, half of them', value: quantile(bench.delaysMs, 0.5), unit: 'ms' }, { metric: 'end of the word to stop, 95 %', value: quantile(bench.delaysMs, 0.95), unit: 'ms' })
      const near = sample(context, VOICES.slice(0, 6).flatMap((voice) => NEAR.map((text) => said(text, voice))), 4 * QUICK.sentences)
      rows.push(...await bench.falseStops('words that sound alike', near))
      const commands = sample(context, VOICES.slice(0, 6).flatMap((voice) => COMMANDS.map((text) => said(text, voice))), 2 * QUICK.sentences)
      rows.push(...await bench.falseStops('commands', commands, { isForCurve: true }))
      rows.push(...await bench.falseStops('its own sentences while it speaks', OWN_SENTENCES.slice(0, -1).map((text) => said(text, OWN_VOICE)), { isSpeaking: true, limit: 0 }))
      if (!context.quick) rows.push(...(await bench.falseStops('forms of the word (no mistake)', VOICES.slice(0, 3).flatMap((voice) => FORMS.map((text) => said(text, voice))))).map(({ metric, value, unit }) => ({ metric, value, unit })))
      if (other !== undefined) rows.push(...await bench.falseStops('other speech', sample(context, await wavFiles(other), 10_000), { isForCurve: true }))
      if (existsSync(PROMPTS)) rows.push(...await bench.falseStops('telephone prompts', sample(context, await wavFiles(PROMPTS), 10_000), { isForCurve: true }))
      rows.push(...bench.curve(human === undefined ? 'synthetic voices' : 'people, all ways,'))
      return rows
    } finally {
      ears.close()
      await spotter.close()
    }
  },
}
export default stop
