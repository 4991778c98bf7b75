import type { Command } from 'commander'
import { join, resolve } from 'node:path'
import { inStateDir } from '../config/load.ts'
import { systemClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { table } from '../gateway/table.ts'
import type { LearnProgress } from '../inference/learn/learner.ts'
import type { LearnedNormal, LearnedWord, WordOptions } from '../inference/learn/messages.ts'
import type { ModelStore } from '../inference/store/index.ts'
import type { CliContext } from './context.ts'

interface WordFlags { from?: string; record?: string; other?: string; examples: string; epochs?: string; threshold?: string; maxMiss: string; maxFalse: string; device?: string; quick?: boolean; seed: string }
interface NormalFlags { from?: string; minutes?: string; maxFalse: string; minNoticed: string; epochs: string; seed: string }

/** `mtor learn …`: works without the daemon; TensorFlow.js runs in a process of its own. */
export function addLearnCommands(program: Command, context: CliContext): void {
  const learn = program.command('learn').description('teach the box a word, or what is normal for it; works without the daemon')

  learn.command('word').argument('<name...>', 'the word as it is spelled, such as lantern; up to about a second long')
    .description('learn to hear a word: from synthesised voices, recordings, or the microphone; it is measured before it may be used')
    .option('--from <dir>', 'folder of WAV recordings of the word; subfolders are taken for people, else each file is somebody else').option('--record <n>', 'record this many examples through the microphone first')
    .option('--other <dir>', 'folder of WAV recordings of other speech, best of the place it is for').option('--device <name>', 'ALSA capture device for --record (default: speech.device of the configuration)')
    .option('--examples <n>', 'synthesised examples to train on', '280').option('--epochs <n>', 'at the most')
    .option('--threshold <p>', 'score from which it counts, 0 to 1; left out: chosen on voices it was not trained on')
    .option('--max-miss <percent>', 'it is refused if it misses the word more often', '15').option('--max-false <n>', 'it is refused if it hears the word wrongly more often, per hour', '2')
    .option('--quick', 'fewer examples, half a minute, and worse').option('--seed <n>', 'of all that is random', '1')
    .action(async (name: string[], flags: WordFlags) => { await learnWord(name.join(' '), flags, context) })

  learn.command('normal').description('learn what is normal of the telemetry that the box has recorded; departures then raise an event')
    .option('--minutes <n>', 'only the last so many minutes').option('--from <file>', 'another file than that of the state folder')
    .option('--max-false <n>', 'it is refused with more false alarms than this, per hour', '1').option('--min-noticed <percent>', 'it is refused if it notices fewer of the departures that are tried', '60')
    .option('--epochs <n>', 'at the most', '150').option('--seed <n>', 'of all that is random', '1')
    .action(async (flags: NormalFlags) => { await learnNormal(flags, context) })
}

function number(flag: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= low && value <= high)) throw new MtorError('USAGE', `${flag}: expected a number from ${low} to ${high}, got ${text}`)
  return value
}
const whole = (flag: string, text: string, low: number, high: number) => {
  const value = number(flag, text, low, high)
  if (!Number.isInteger(value)) throw new MtorError('USAGE', `${flag}: expected a whole number, got ${text}`)
  return value
}

async function openStore(context: CliContext): Promise<ModelStore> {
  const { ModelStore } = await import('../inference/store/index.ts')
  return new ModelStore({
    ...context.config().inference, clock: systemClock,
    onEvent: ({ name, message, severity }) => { if (!context.json() && severity !== 'info') process.stderr.write(`${name}: ${message}\n`) },
  })
}

/** On stderr: the result alone goes to stdout. */
const progressTo = (context: CliContext) => (progress: LearnProgress) => {
  if (!context.json()) process.stderr.write(`${progress.stage.padEnd(9)} ${progress.message}\n`)
}

async function learnWord(spelled: string, flags: WordFlags, context: CliContext): Promise<void> {
  const { modelOfWord } = await import('../inference/learn/names.ts')
  const word = spelled.trim().toLowerCase()
  const model = modelOfWord(word)
  const quick = flags.quick === true
  if (flags.from !== undefined && flags.record !== undefined) throw new MtorError('USAGE', 'give --from or --record; recordings of --record are kept in the state folder, where --from finds them again')
  const options: WordOptions = {
    word, quick, seed: whole('--seed', flags.seed, 0, 2 ** 31), examples: quick ? Math.min(80, whole('--examples', flags.examples, 10, 5_000)) : whole('--examples', flags.examples, 10, 5_000),
    epochs: flags.epochs === undefined ? (quick ? 8 : 26) : whole('--epochs', flags.epochs, 1, 500), batches: 40,
    limits: { falseRejectPercent: number('--max-miss', flags.maxMiss, 0, 100), falseAcceptsPerHour: number('--max-false', flags.maxFalse, 0, 100_000) },
    ...flags.threshold === undefined ? {} : { threshold: number('--threshold', flags.threshold, 0, 1) },
    ...flags.from === undefined ? {} : { from: resolve(flags.from) }, ...flags.other === undefined ? {} : { other: resolve(flags.other) },
  }
  if (flags.record !== undefined) {
    options.from = await record(model, whole('--record', flags.record, 1, 500), flags.device, context)
    options.onePerson = true
  }
  const { learnWordInto } = await import('../inference/learn/learner.ts')
  const { manifest, result } = await learnWordInto(options, { store: await openStore(context), onProgress: progressTo(context), signal: context.interrupted.signal })
  context.print({ model: manifest.name, version: manifest.version, ...result }, () => wordText(word, manifest.name, result))
}

async function record(model: string, count: number, device: string | undefined, context: CliContext): Promise<string> {
  const config = context.config()
  const folder = join(inStateDir(config, 'learn'), model)
  const { recordExamples } = await import('../inference/learn/record.ts')
  await recordExamples({
    device: device ?? config.speech.device, channels: config.speech.channels, count, folder, clock: systemClock, signal: context.interrupted.signal,
    onPrompt: (example, again) => { process.stderr.write(`${again ? 'I heard nothing. ' : ''}${example} of ${count}: say it now\n`) },
  })
  process.stderr.write(`${count} recordings are in ${folder}; remove them when they are not needed any more\n`)
  return folder
}

export function wordText(word: string, model: string, { measured, seconds, backend, tried, remarks }: LearnedWord): string {
  const rows = measured.parts.map(({ what, count, hours, wrong }) => {
    const isWord = what.startsWith('the word')
    const rate = isWord || what.startsWith('similar') ? `${(100 * wrong / count).toFixed(1)} %` : hours > 0 ? `${(wrong / hours).toFixed(1)} /h` : ''
    return [what, `${count}`, `${(hours * 60).toFixed(1)} min`, isWord ? `missed ${wrong}` : `heard wrongly ${wrong}`, rate]
  })
  return [
    `“${word}” is learned as ${model} in ${seconds.toFixed(0)} s (tfjs ${backend}${tried.length > 0 ? `; ${tried.map((one) => `${one.name}: ${one.reason}`).join('; ')}` : ''}).`,
    '', table(rows, ['measured on voices it was not trained on', 'sounds', 'length', 'mistakes', 'rate'], [1, 2]), '',
    `Missed ${measured.falseRejectPercent.toFixed(1)} %, heard wrongly ${measured.falseAcceptsPerHour.toFixed(1)} times an hour of other speech (${(measured.hours * 60).toFixed(0)} min), from score ${measured.threshold} on.`,
    ...remarks.slice(0, 5).map((remark) => `Note: ${remark}.`), ...remarks.length > 5 ? [`… and ${remarks.length - 5} more notes (--json).`] : [],
    `Use it: speech.learnedWords: [{ word: ${word}, does: event }]`,
  ].join('\n')
}

async function learnNormal(flags: NormalFlags, context: CliContext): Promise<void> {
  const { readTelemetry, TELEMETRY_FILE } = await import('../inference/learn/telemetry-log.ts')
  const file = flags.from === undefined ? inStateDir(context.config(), TELEMETRY_FILE) : resolve(flags.from)
  const minutes = flags.minutes === undefined ? Infinity : number('--minutes', flags.minutes, 1, 60 * 24 * 365)
  const readings = await readTelemetry(file, minutes * 60_000)
  const { learnNormalInto } = await import('../inference/learn/learner.ts')
  const { manifest, result } = await learnNormalInto({
    readings, epochs: whole('--epochs', flags.epochs, 1, 5_000), seed: whole('--seed', flags.seed, 0, 2 ** 31),
    limits: { falseAlarmsPerHour: number('--max-false', flags.maxFalse, 0, 100_000), detectedPercent: number('--min-noticed', flags.minNoticed, 0, 100) },
  }, { store: await openStore(context), onProgress: progressTo(context), signal: context.interrupted.signal })
  context.print({ model: manifest.name, version: manifest.version, ...result }, () => normalText(manifest.name, result))
}

export function normalText(model: string, { measured, dropped, names, seconds, backend }: LearnedNormal): string {
  return [
    `What is normal is learned as ${model} in ${seconds.toFixed(0)} s (tfjs ${backend}) from ${measured.readings} readings of ${names.length} values.`,
    '', table(measured.departures.map(({ name, tried, noticed }) => [name, `${noticed} of ${tried}`]), ['value', 'departures noticed']), '',
    `False alarms: ${measured.falseAlarms} in ${(measured.heldOutHours * 60).toFixed(0)} min that were held out (${measured.falseAlarmsPerHour.toFixed(1)} an hour). Departures of 6 standard deviations for ${measured.persistence + 2} readings noticed: ${measured.detectedPercent.toFixed(0)} %.`,
    ...dropped.map(({ name, reason }) => `Left out: ${name} (${reason}).`),
    'The daemon uses it within half a minute; departures are events telemetry.abnormal.',
  ].join('\n')
}
