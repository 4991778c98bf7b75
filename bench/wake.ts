import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MtorError } from '../appliance/contracts/errors.ts'
import type { FromSpeech } from '../appliance/speech/messages.ts'
import type { TestVoice } from '../appliance/speech/sounds.ts'
import { PipelineEars, said, sample, wavFiles, type Sound } from './ears/pipeline-ears.ts'
import type { Measure, MeasureContext, Row } from './harness.ts'

const VOICES: TestVoice[] = ['flite:rms', 'flite:slt', 'flite:awb', 'espeak-ng:en-us+f1', 'espeak-ng:en-us+m7', 'espeak-ng:en-gb+m7', 'espeak-ng:en-us+f2', 'espeak-ng:en-us+m3']
const NEAR_MISSES = ['commuter', 'compute', 'computers', 'pewter', 'competitor', 'the computer said so', 'my computer is broken', 'come here Peter', 'community', 'conference']
/** Prompts of a telephone exchange, one human speaker: Debian's asterisk-core-sounds-en-wav. */
const PROMPTS = '/usr/share/asterisk/sounds/en_US_f_Allison'
const RATE_HZ = 16_000
const QUICK = { files: 50, negativeS: 240 }

const woke = (messages: readonly FromSpeech[]) => messages.some(({ kind }) => kind === 'wake')

async function recall(context: MeasureContext, ears: PipelineEars, sounds: readonly Sound[], what: string, isGoal: boolean): Promise<Row[]> {
  let heard = 0
  for (const [index, sound] of sounds.entries()) {
    context.signal.throwIfAborted()
    if (woke(await ears.hear(await sound.load()))) heard++
    else context.progress(`missed: ${sound.name}`)
    if (index % 20 === 19) context.progress(`${what}: ${index + 1} of ${sounds.length}`)
  }
  const percent = Math.round(1000 * heard / sounds.length) / 10
  return [
    { metric: `wake word, ${what}: recall`, value: percent, unit: '%', ...isGoal ? { goal: '>= 98', holds: percent >= 98 } : {} },
    { metric: `wake word, ${what}: recordings`, value: `${heard} of ${sounds.length}`, unit: '' },
  ]
}

async function falseAccepts(context: MeasureContext, ears: PipelineEars, sounds: readonly Sound[], what: string, isGoal: boolean): Promise<Row[]> {
  let wakes = 0, stops = 0
  const limitS = context.quick ? QUICK.negativeS : Infinity
  const beforeS = ears.audioS, beforeCpuS = ears.cpuS
  for (const [index, sound] of sounds.entries()) {
    context.signal.throwIfAborted()
    if (ears.audioS - beforeS > limitS) break
    const messages = await ears.hear(await sound.load())
    if (woke(messages)) { wakes++; context.progress(`woken by: ${sound.name}`) }
    stops += messages.filter(({ kind }) => kind === 'stop-word').length
    if (index % 50 === 49) context.progress(`${what}: ${index + 1} of ${sounds.length}`)
  }
  const hours = (ears.audioS - beforeS) / 3600
  const rate = Math.round(100 * wakes / hours) / 100
  return [
    { metric: `${what}: false accepts`, value: rate, unit: '/h', ...isGoal ? { goal: '<= 0.1', holds: rate <= 0.1 } : {} },
    { metric: `${what}: false accepts, counted`, value: wakes, unit: `in ${hours.toFixed(2)} h` },
    { metric: `${what}: stop word spotted`, value: stops, unit: `in ${hours.toFixed(2)} h` },
    { metric: `${what}: CPU of listening`, value: Math.round(1e4 * (ears.cpuS - beforeCpuS) / (ears.audioS - beforeS)) / 1e4, unit: 'cores' },
  ]
}

/** A quiet room: noise at about −60 dBFS. */
async function quiet(context: MeasureContext, ears: PipelineEars): Promise<Row> {
  const before = { cpuS: ears.cpuS, audioS: ears.audioS }
  await ears.hear(Int16Array.from({ length: 60 * RATE_HZ }, () => (context.random() - 0.5) * 100))
  const cores = Math.round(1e4 * (ears.cpuS - before.cpuS) / (ears.audioS - before.audioS)) / 1e4
  return { metric: 'quiet room: CPU of listening', value: cores, unit: 'cores', goal: '<= 0.05', holds: cores <= 0.05 }
}

const wake: Measure = {
  name: 'wake',
  title: 'wake word: recall, false accepts per hour, CPU, memory; faster than real time, on audio time',
  flags: [
    { flag: '--human DIR', help: 'folder with computer/ (recordings of the wake word) and other/ (other speech), WAV of any rate, subfolders too' },
    { flag: '--negative DIR', help: 'folder with further speech that must not wake' },
    { flag: '--engine NAME', help: 'vosk or pocketsphinx; left out: the first that works' },
  ],
  async run(context) {
    const { human, negative, engine } = context.flags
    const ears = await PipelineEars.open(engine)
    context.progress(`engine: ${ears.engine}`)
    try {
      const rows: Row[] = [{ metric: 'engine', value: ears.engine, unit: '' }, await quiet(context, ears)]
      if (human !== undefined) {
        const computer = await wavFiles(join(human, 'computer'))
        if (computer.length === 0) throw new MtorError('NOT_FOUND', `${join(human, 'computer')} holds no WAV files`)
        rows.push(...await recall(context, ears, sample(context, computer, QUICK.files), 'people', true))
        if (existsSync(join(human, 'other'))) rows.push(...await falseAccepts(context, ears, sample(context, await wavFiles(join(human, 'other')), QUICK.files), 'other words', true))
      } else {
        rows.push(...await recall(context, ears, VOICES.map((voice) => said('computer', voice)), 'synthetic voices', false))
        const near = sample(context, VOICES.slice(0, 5).flatMap((voice) => NEAR_MISSES.map((text) => said(text, voice))), QUICK.files / 2)
        rows.push(...await falseAccepts(context, ears, near, 'synthetic near misses', false))
      }
      if (negative !== undefined) rows.push(...await falseAccepts(context, ears, sample(context, await wavFiles(negative), 10_000), 'further speech', true))
      else if (existsSync(PROMPTS)) rows.push(...await falseAccepts(context, ears, sample(context, await wavFiles(PROMPTS), 10 * QUICK.files), 'telephone prompts', true))
      rows.push({ metric: 'memory of the process', value: Math.round(process.memoryUsage.rss() / 1e6), unit: 'MB', goal: '<= 350', holds: process.memoryUsage.rss() <= 350e6 })
      return rows
    } finally { ears.close() }
  },
}
export default wake
