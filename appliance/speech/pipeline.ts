import { isNumberWord } from '../understand/index.ts'
import type { Completeness, Doubt, Meaning } from '../understand/port.ts'
import { ActivityTrack } from './activity-track.ts'
import { AnswerEars, answersIn, isFree, shortAnswer, type ExpectedAnswer, type Heard } from './answer-ears.ts'
import { CommandEars } from './command-ears.ts'
import { textOf, type Recogniser, type SpeechEngine, type Transcript, type Word } from './engine.ts'
import { ENGINES, openEngine } from './engines/index.ts'
import { freeAnswer, textAfterLead } from './free-text.ts'
import { commandPhrases, leadOf, phrasesFor, SPOT_PHRASES, STOP_PHRASES, type CommandGrammar } from './grammar.ts'
import { afterWakeWord, judge, textAfterWakeWord, type CommandTuning } from './judge.ts'
import { levelDb } from './level.ts'
import { LearnedWords, type LearnedWordConfig, type Spotted } from './learned.ts'
import type { FromSpeech } from './messages.ts'
import { SILERO_MODEL, trustedFolder, type SpeechModelOptions } from './models.ts'
import { SampleRing } from './ring.ts'
import { NumberCheck } from './number-check.ts'
import { LONGEST_OBJECTION_S, ObjectionEars } from './objection-ears.ts'
import { OpenEars } from './open-ears.ts'
import { doubtOf } from './second-reading.ts'
import { StopWatch } from './stop-watch.ts'
import { openSpotter, type StopSpotter } from './stop/spotter.ts'
import { opensWithWakeWord, utterance, type Utterance } from './utterance.ts'
import { FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, VoiceActivity } from './vad.ts'
import { WakeCheck } from './wake.ts'

export interface PipelineOptions extends SpeechModelOptions {
  engine: 'auto' | 'vosk' | 'pocketsphinx'
  grammar: CommandGrammar
  completeness(text: string): Completeness
  /** What a sentence asks for, to tell readings apart; undefined for what is no sentence. */
  meaning(text: string): Meaning | undefined
  /** Silence that ends a complete sentence; twice this ends one that may go on. */
  endSilenceMs: number
  /** Silence that ends anything. */
  maxSilenceMs: number
  /** After the wake word alone, how long a command may take to come. */
  answerWindowMs: number
  /** Words that were taught; each needs a model in the store. */
  learnedWords?: readonly LearnedWordConfig[]
  emit(message: FromSpeech): void
}

const MS = SAMPLE_RATE_HZ / 1000
const RING_SAMPLES = 16 * SAMPLE_RATE_HZ
/** Decoding begins this long before voice activity does: it notices soft beginnings late. */
const PRE_ROLL_SAMPLES = 320 * MS
/** Of that, what may reach into the pause after the utterance before. */
const AFTER_LAST_SAMPLES = 64 * MS
/** The wake word opens an utterance; past this much audio it can no longer. */
const WAKE_WITHIN_SAMPLES = 3.5 * SAMPLE_RATE_HZ
/** A learned word is recognised about this long after its end. */
const LEARNED_LATE_SAMPLES = 100 * MS
/** Sound of a learned word by which its level is judged. */
const LEARNED_WORD_SAMPLES = 700 * MS
/** A wake word that stays in the partial text is looked at again after so many frames: the first time its end may still be missing. */
const WAKE_LOOKS_FRAMES = [12, 20, 28]
/** Talk that is not for the box: the recogniser starts afresh after this, so that its lattice stays small. */
const IDLE_RENEW_SAMPLES = 10 * SAMPLE_RATE_HZ
/** Nothing said to the box is longer. */
const COMMAND_MAX_SAMPLES = 12 * SAMPLE_RATE_HZ
const FREE_MAX_SAMPLES = 60 * SAMPLE_RATE_HZ
/** Silence after which the open vocabulary is asked for its words, ahead of the end: most often there is no more speech. */
const READ_AHEAD_MS = 128
/** The open vocabulary catches up so often: in larger pieces it costs less. */
const OPEN_EVERY_FRAMES = 4
/** For so long after a command "no" takes it back without the wake word. */
const OBJECTION_MS = 1_500
const ANSWER_MIN_SAMPLES = 0.6 * SAMPLE_RATE_HZ
/** Falling behind by this much is told, and again after a while. */
const BEHIND_MS = 1_000
const BEHIND_AGAIN_MS = 10_000

/**
 * Sound in, words out: voice activity → wake and stop words → command, or free text. It lives on the time given with
 * the frames, never on the wall clock, so that recorded sound goes through faster than real time with the same result.
 */
export class SpeechPipeline {
  readonly engine: string
  #o: PipelineOptions
  #engine: SpeechEngine
  #vad: VoiceActivity
  readonly #activity = new ActivityTrack(RING_SAMPLES / FRAME_SAMPLES)
  #spot: Recogniser
  #command: CommandEars
  #stops: StopWatch
  #spotter: StopSpotter | undefined
  #check: WakeCheck
  #learned: LearnedWords | undefined
  readonly #numbers: NumberCheck
  readonly #objections: ObjectionEars | undefined
  /** Until then "no" takes back the command that was heard last. */
  #objectUntilMs = -Infinity
  readonly #openEars: OpenEars
  #tuning: CommandTuning
  /** Of ears that are beside others: closes what is theirs alone. */
  #release: (() => void) | undefined
  #ring = new SampleRing(RING_SAMPLES)
  #frame = new Int16Array(FRAME_SAMPLES)
  #filled = 0
  #turn: Promise<void> = Promise.resolve()
  #endMs = 0
  #arrivedMs = 0
  #utterance: Utterance | undefined
  #lastEnd = 0
  #speaking = false
  #cut = false
  /** A command needs no wake word until then. */
  #answerUntilMs = -Infinity
  #answerForMs = 0
  #answer: ExpectedAnswer | undefined
  readonly #answers: AnswerEars
  /** … because the wake word was said alone. */
  #woken: number | undefined
  #behindToldMs = -Infinity
  #closed = false

  private constructor(options: PipelineOptions, parts: { engine: SpeechEngine; vad: VoiceActivity; spot: Recogniser; command: Recogniser; check: WakeCheck; spotter: StopSpotter | undefined; objections?: ObjectionEars; learned?: LearnedWords; open: () => Promise<Recogniser>; tuning: CommandTuning; release?: () => void }) {
    this.#o = options
    this.#engine = parts.engine
    this.#answers = new AnswerEars(parts.engine)
    this.engine = parts.engine.name
    this.#vad = parts.vad
    this.#spot = parts.spot
    this.#command = new CommandEars({ engine: parts.engine, recogniser: parts.command, grammar: options.grammar, completeness: options.completeness })
    this.#check = parts.check
    this.#spotter = parts.spotter
    this.#stops = new StopWatch({ spot: parts.spot, check: parts.check, ring: this.#ring, spotter: parts.spotter })
    this.#learned = parts.learned
    this.#numbers = new NumberCheck(parts.engine)
    this.#objections = parts.objections
    this.#openEars = new OpenEars(parts.open, this.#ring)
    this.#tuning = parts.tuning
    this.#release = parts.release
  }

  /** @throws MtorError MODEL_UNTRUSTED or ENGINE_MISSING. */
  static async load(options: PipelineOptions): Promise<SpeechPipeline> {
    const vadFolder = await trustedFolder(SILERO_MODEL, options)
    const vad = await VoiceActivity.load(`${vadFolder}/${Object.keys(SILERO_MODEL.files)[0]}`)
    const { engine, wake, commands, refused } = await openEngine(options.engine, options)
    for (const error of refused) options.emit({ kind: 'log', level: 'warn', message: `${error.message}; ${engine.name} is used instead`, data: { code: error.code, hint: error.hint } })
    // Made when first needed, then kept: most utterances never need the open vocabulary.
    let opened: Promise<Recogniser> | undefined
    const open = () => opened ??= engine.open({ kind: 'open' })
    const ears = new SpeechPipeline(options, {
      engine, vad, open, tuning: commands,
      objections: await ObjectionEars.open(engine),
      spot: await engine.open({ kind: 'phrases', phrases: phrasesFor(engine, SPOT_PHRASES) }),
      command: await CommandEars.open(engine, commandPhrases(engine, options.grammar)),
      check: await WakeCheck.load(engine, open, wake, options.grammar.words),
      spotter: await openSpotter((error) => options.emit({ kind: 'log', level: 'error', message: error.message, data: { code: error.code, hint: error.hint } })),
      learned: await LearnedWords.load(options.learnedWords ?? [], options, ({ code, message, hint }) => options.emit({ kind: 'log', level: 'error', message, data: { code, hint } })),
    })
    await ears.#numbers.open(options.grammar)
    return ears
  }

  /**
   * Takes the next samples, 16 kHz mono, normally 512 of them; `endMs` is the time of the last one. Frames are dealt
   * with in order of the calls; the promise ends when this one has been. The samples are copied.
   */
  push(samples: Int16Array, endMs: number): Promise<void> {
    const arrivedMs = performance.now()
    const copy = samples.slice()
    return this.#inTurn(() => this.#take(copy, endMs, arrivedMs))
  }

  /** After a question: speech within `forMs` is a command without wake word, or the answer. While the box speaks, the time begins when it has ended. `atMs`: the present, for where no sound comes in that would tell it. */
  expectAnswer(forMs: number, answer?: ExpectedAnswer, atMs = -Infinity): void {
    void this.#inTurn(async () => {
      if (answer) await this.#openAnswers(answer)
      this.#answer = answer
      this.#answerForMs = forMs
      this.#answerUntilMs = Math.max(this.#endMs, atMs) + forMs
    })
  }

  async #openAnswers(answer: ExpectedAnswer): Promise<void> {
    if (!this.#answers.differsFor(answer)) return
    // What is being said is no answer to a question that was asked just now.
    if (this.#utterance?.answer) {
      this.#utterance.answer = undefined
      this.#o.emit({ kind: 'answering', on: false })
    }
    try {
      const unknown = await this.#answers.open(answer)
      if (unknown.length > 0) this.#o.emit({ kind: 'log', level: 'warn', message: `these answers have words that cannot be heard: ${unknown.join(', ')}` })
    } catch (error) { this.#o.emit({ kind: 'log', level: 'error', message: `answers are heard with the commands' grammar alone: ${String(error)}` }) }
  }

  /** What the box is about to say, 16 kHz mono; to be told before its first sound. */
  aboutToSay(samples: Int16Array): Promise<void> { return this.#inTurn(() => this.#stops.knowOwn(samples)) }

  /** While the box itself speaks, only "stop" counts. */
  setSpeaking(on: boolean, atMs = -Infinity): void {
    void this.#inTurn(async () => {
      if (on === this.#speaking) return
      this.#speaking = on
      if (on && this.#utterance?.is === 'open') this.#utterance.is = 'other'
      if (on) return
      this.#stops.forgetOwn()
      this.#cut = true
      if (this.#answerUntilMs > this.#endMs) this.#answerUntilMs = Math.max(this.#endMs, atMs) + this.#answerForMs
    })
  }

  /** What is being said after the wake word is for another node: of that only a sentence of the grammar is told, for it may be a stop, and nothing more is waited for. */
  forget(): void {
    void this.#inTurn(async () => {
      const u = this.#utterance
      const wakeMs = u?.wakeMs ?? this.#woken
      if (u?.is === 'command' && wakeMs !== undefined) Object.assign(u, { wakeMs, isForgotten: true })
      if (this.#woken !== undefined) this.#answerUntilMs = -Infinity
      this.#woken = undefined
    })
  }

  /** The end of a recording: takes it for silence and ends what is open. */
  flush(): Promise<void> {
    return this.#inTurn(async () => {
      const silence = new Int16Array(FRAME_SAMPLES)
      if (this.#filled > 0) await this.#take(new Int16Array(FRAME_SAMPLES - this.#filled), this.#endMs + (FRAME_SAMPLES - this.#filled) / MS, performance.now())
      for (let ms = 0; ms <= this.#o.maxSilenceMs + 500 || this.#utterance; ms += FRAME_MS) {
        await this.#take(silence, this.#endMs + FRAME_MS, performance.now())
        if (ms > this.#o.maxSilenceMs && !this.#utterance) break
      }
    })
  }

  /** Forgets the utterance and all windows. */
  reset(): void {
    void this.#inTurn(async () => {
      this.#drop()
      this.#vad.reset()
      this.#stops.reset()
      this.#learned?.reset()
      this.#filled = 0
      this.#lastEnd = this.#ring.end
      this.#expectNothing()
      this.#woken = undefined
      this.#cut = false
    })
  }

  /**
   * Hears this too from now on, in place of what was learnt before. Resolves once it is heard: at once, or when the command
   * that is being said has ended. While the recogniser is made anew, sound waits for `tookMs`, and is caught up with.
   */
  async learn(more: CommandGrammar): Promise<{ unknownWords: string[]; tookMs: number }> {
    let taught: Promise<{ tookMs: number }> | undefined
    await this.#inTurn(async () => {
      taught = this.#command.teach(more)
      // Told to whoever awaits it below; nobody may in the meantime.
      taught.catch(() => {})
      await this.#learn()
    })
    const { tookMs } = await taught ?? { tookMs: 0 }
    return { unknownWords: more.words.filter((word) => !this.#engine.knows(word)), tookMs }
  }

  async #learn(): Promise<void> { if (this.#utterance?.is !== 'command') await this.#command.settle() }

  /** Behind all sound so far: nobody is speaking, neither somebody nor the box. */
  async quiet(): Promise<boolean> {
    let quiet = false
    await this.#inTurn(async () => { quiet = !this.#utterance && !this.#speaking })
    return quiet
  }

  /** A voice activity and a recogniser of their own on the same loaded models: what these get right, the ears can. */
  async proofParts(phrases: readonly string[]): Promise<{ vad: VoiceActivity; recogniser: Recogniser }> {
    return { vad: this.#vad.beside(), recogniser: await this.#engine.open({ kind: 'phrases', phrases: phrasesFor(this.#engine, phrases) }) }
  }

  /** A recogniser of its own in the open vocabulary, on the same loaded models. */
  openRecogniser(): Promise<Recogniser> { return this.#engine.open({ kind: 'open' }) }

  /**
   * Ears for another stream of sound, on the same loaded models: they find the wake word and "stop", and understand nothing
   * else. They are to be closed before these.
   */
  async beside(emit: (message: FromSpeech) => void): Promise<SpeechPipeline> {
    const engine = this.#engine
    const grammar: CommandGrammar = { phrases: STOP_PHRASES, words: [], freeTextLeads: [] }
    const recognisers: Recogniser[] = []
    const make = async (vocabulary: Parameters<SpeechEngine['open']>[0]) => { const made = await engine.open(vocabulary); recognisers.push(made); return made }
    let opened: Promise<Recogniser> | undefined
    const open = () => opened ??= make({ kind: 'open' })
    const options: PipelineOptions = { ...this.#o, grammar, completeness: () => 'nothing', meaning: () => undefined, learnedWords: [], emit }
    return new SpeechPipeline(options, {
      engine, vad: this.#vad.beside(), open, tuning: this.#tuning,
      spot: await make({ kind: 'phrases', phrases: phrasesFor(engine, SPOT_PHRASES) }),
      command: await make({ kind: 'phrases', phrases: phrasesFor(engine, STOP_PHRASES) }),
      check: await WakeCheck.load(engine, open, ENGINES.find(({ name }) => name === engine.name)!.wake, this.#o.grammar.words),
      spotter: this.#spotter?.beside(),
      release: () => { for (const recogniser of recognisers) recogniser.close() },
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#command.forgetLesson()
    const release = async () => {
      this.#check.close()
      this.#numbers.close()
      this.#objections?.close()
      if (this.#release) return this.#release()
      this.#engine.close()
      await this.#learned?.close()
      await this.#spotter?.close()
      await this.#vad.close()
    }
    void this.#turn.then(release, release).catch(() => {})
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(() => this.#closed ? undefined : work())
    // A frame that failed must not stop those after it; its own caller is told.
    this.#turn = mine.catch(() => {})
    return mine
  }

  /** Cuts what comes into frames. */
  async #take(samples: Int16Array, endMs: number, arrivedMs: number): Promise<void> {
    this.#arrivedMs = arrivedMs
    const behindMs = performance.now() - arrivedMs
    if (behindMs > BEHIND_MS && endMs - this.#behindToldMs > BEHIND_AGAIN_MS) {
      this.#behindToldMs = endMs
      this.#o.emit({ kind: 'log', level: 'warn', message: `listening is ${Math.round(behindMs)} ms behind`, data: { code: 'BUSY', behindMs } })
    }
    for (let at = 0; at < samples.length;) {
      const n = Math.min(FRAME_SAMPLES - this.#filled, samples.length - at)
      this.#frame.set(samples.subarray(at, at + n), this.#filled)
      at += n
      this.#filled += n
      this.#endMs = endMs - (samples.length - at) / MS
      if (this.#filled < FRAME_SAMPLES) continue
      this.#filled = 0
      await this.#listen(this.#frame)
    }
  }

  async #listen(frame: Int16Array): Promise<void> {
    this.#ring.write(frame)
    const { speech, probability } = await this.#vad.frame(frame)
    this.#activity.push(probability)
    if (this.#cut) {
      this.#cut = false
      if (this.#utterance?.echo) this.#drop()
    }
    // While the box itself speaks it may say the word.
    const spotted = this.#learned && !this.#speaking ? await this.#learned.push(frame, speech) : []
    for (const word of spotted) await this.#heardLearned(word)
    if (this.#command.hasLesson) await this.#learn()
    this.#tellStop(await this.#stops.hear(frame, this.#speaking))
    let u = this.#utterance
    if (!u) {
      if (!speech) return this.#expire()
      u = await this.#begin()
    } else await this.#feed(u, frame)
    if (speech) u.speechEnd = this.#ring.end
    this.#tellStop(await this.#stops.look(u, speech, u.echo || this.#speaking))
    if (u.is === 'open') await this.#watchWake(u)
    const silenceMs = (this.#ring.end - u.speechEnd) / MS
    if (u.is === 'command') await this.#watchEnd(u, silenceMs)
    else if (silenceMs >= this.#o.endSilenceMs) await this.#endIdle(u)
    else if (u.is === 'other' && this.#ring.end - u.spotFrom > IDLE_RENEW_SAMPLES) {
      this.#spot.reset()
      Object.assign(u, { spotFrom: this.#ring.end, stopsSettled: 0, stopFrames: 0 })
    }
  }

  #tellStop(confidence: number | undefined): void {
    if (confidence === undefined) return
    // It has stopped: there is nothing left to take back.
    if (this.#utterance) this.#utterance.mayObject = false
    this.#o.emit({ kind: 'stop-word', confidence, atMs: this.#nowMs })
  }

  async #begin(): Promise<Utterance> {
    const onset = this.#ring.end - FRAME_SAMPLES
    const from = Math.max(onset - PRE_ROLL_SAMPLES, this.#lastEnd + AFTER_LAST_SAMPLES, this.#ring.start)
    const answers = !this.#speaking && this.#endMs <= this.#answerUntilMs
    const u = utterance({ from: Math.min(from, onset), onset, speechEnd: this.#ring.end, echo: this.#speaking, is: this.#speaking ? 'other' : answers ? 'command' : 'open', answer: answers ? this.#answer : undefined })
    u.mayObject = !this.#speaking && !answers && this.#endMs <= this.#objectUntilMs
    this.#utterance = u
    if (u.answer) {
      this.#o.emit({ kind: 'answering', on: true })
    }
    await this.#feed(u, this.#ring.slice(u.from))
    return u
  }

  async #feed(u: Utterance, samples: Int16Array): Promise<void> {
    await this.#spot.accept(samples)
    if (u.is === 'command') await this.#command.accept(samples)
    if (this.#wantsOpen(u)) await this.#openEars.read(u.from)
    if (u.answer && !isFree(u.answer)) await this.#answers.accept(samples)
    if (u.mayObject) await this.#objections?.accept(samples)
  }

  async #watchWake(u: Utterance): Promise<void> {
    u.wakeFrames = opensWithWakeWord(this.#spot.partial().split(' ')) ? u.wakeFrames + 1 : 0
    if (WAKE_LOOKS_FRAMES.includes(u.wakeFrames)) await this.#lookForWake(u)
    if (u.is === 'open' && this.#ring.end - u.from > WAKE_WITHIN_SAMPLES) u.is = 'other'
  }

  async #lookForWake(u: Utterance): Promise<void> {
    const found = await this.#check.wake(this.#ring.slice(u.from), (u.onset - u.from) / SAMPLE_RATE_HZ)
    if (!found) return
    u.is = 'command'
    u.wakeMs = this.#nowMs
    u.wakeEnd = u.from + found.endS * SAMPLE_RATE_HZ
    u.wakeStart = u.from + found.startS * SAMPLE_RATE_HZ
    const level = levelDb(this.#ring.slice(u.from + Math.round(found.startS * SAMPLE_RATE_HZ), u.wakeEnd))
    this.#o.emit({ kind: 'wake', confidence: found.confidence, levelDb: level, atMs: u.wakeMs, endMs: this.#msAt(u.wakeEnd) })
    await this.#redecode(u)
  }

  /** A word that was taught: an event of its own, or the same as the wake word. */
  async #heardLearned({ word, does, confidence }: Spotted): Promise<void> {
    if (does === 'event') return this.#o.emit({ kind: 'keyword', word, confidence, atMs: this.#nowMs })
    const u = this.#utterance
    if (u?.is === 'command') return
    const wordEnd = this.#ring.end - LEARNED_LATE_SAMPLES
    this.#o.emit({ kind: 'wake', confidence, levelDb: levelDb(this.#ring.slice(Math.max(0, u?.onset ?? 0, wordEnd - LEARNED_WORD_SAMPLES), wordEnd)), atMs: this.#nowMs })
    if (!u) {
      // It was over when it was recognised: the command is still to come.
      this.#woken = this.#nowMs
      this.#answer = undefined
      this.#answerUntilMs = this.#endMs + this.#o.answerWindowMs
      return
    }
    u.is = 'command'
    u.wakeMs = this.#nowMs
    u.wakeEnd = Math.max(u.onset, this.#ring.end - LEARNED_LATE_SAMPLES)
    await this.#redecode(u)
  }

  /** Gives the command recogniser the utterance from its first sound. */
  async #redecode(u: Utterance): Promise<void> {
    const audio = this.#ring.slice(u.from)
    for (let i = 0; i < audio.length; i += 4096) await this.#command.accept(audio.subarray(i, i + 4096))
    if (u.answer && !isFree(u.answer)) for (let i = 0; i < audio.length; i += 4096) await this.#answers.accept(audio.subarray(i, i + 4096))
  }

  /** Speech that had no wake word so far has ended: a last look. */
  async #endIdle(u: Utterance): Promise<void> {
    if (u.is === 'open') {
      const { words } = await this.#spot.final()
      if (opensWithWakeWord(words.map((w) => w.word))) await this.#lookForWake(u)
    }
    if (u.is === 'command') return this.#watchEnd(u, (this.#ring.end - u.speechEnd) / MS)
    const objection = u.mayObject && u.speechEnd - u.onset <= LONGEST_OBJECTION_S * SAMPLE_RATE_HZ ? await this.#objections?.final() : undefined
    this.#drop()
    if (!objection) return
    this.#objectUntilMs = -Infinity
    this.#o.emit({ kind: 'objection', ...objection, atMs: this.#nowMs })
  }

  /** Has the command come to its end? A text is judged by what the grammar makes of it once the recogniser has been emptied. */
  async #watchEnd(u: Utterance, silenceMs: number): Promise<void> {
    const { endSilenceMs, maxSilenceMs } = this.#o
    const { grammar } = this.#command
    const length = this.#ring.end - u.from
    if (u.lead === undefined && !u.answer) {
      const lead = leadOf(textAfterWakeWord(this.#command.partial()), grammar.freeTextLeads)
      if (lead !== undefined) await this.#startFree(u, lead)
    }
    if (length > (u.lead === undefined && !isFree(u.answer) ? COMMAND_MAX_SAMPLES : FREE_MAX_SAMPLES) || silenceMs >= maxSilenceMs) return this.#finish(u, await this.#command.final())
    const due = silenceMs >= endSilenceMs && u.triedSilenceMs < endSilenceMs ? endSilenceMs : silenceMs >= 2 * endSilenceMs && u.triedSilenceMs < 2 * endSilenceMs ? 2 * endSilenceMs : 0
    if (silenceMs === 0) {
      u.triedSilenceMs = 0
      u.openWords = undefined
    }
    // While it is silent the open vocabulary can come to its end: the answer would have to wait for that otherwise.
    if (silenceMs >= READ_AHEAD_MS && u.openWords === undefined && u.lead === undefined && !isFree(u.answer) && this.#isSentence(u)) u.openWords = await this.#openEars.words(u.from)
    if (due === 0 || u.lead !== undefined || isFree(u.answer)) return
    u.triedSilenceMs = due
    const transcript = await this.#command.final()
    const readings = [transcript.words, ...transcript.others ?? []].map((words) => textOf(this.#said(u, words)))
    const answer = u.answer && await this.#answers.final()
    if (answer) readings.unshift(...answersIn(u.answer!, answer))
    // Another reading is asked only where the best makes no sense: one that is shorter would always be complete.
    const text = readings.find((reading) => this.#completenessOf(u, reading) !== 'nothing') ?? readings[0]!
    const known = text !== '' ? this.#completenessOf(u, text) : u.wakeMs === undefined ? 'nothing' : 'complete'
    const lead = leadOf(text, grammar.freeTextLeads) ?? (known === 'complete' ? undefined : leadOf(text, grammar.lateLeads ?? []))
    const completeness = lead !== undefined ? 'prefix' : known
    // "One hundred … and eighty degrees": a number without its unit goes on as long as it may.
    const isOpen = completeness === 'extendable' && isNumberWord(text.split(' ').at(-1)!)
    if (completeness === 'complete' || (completeness === 'extendable' && due > endSilenceMs && !isOpen)) return this.#finish(u, transcript, answer)
    await this.#redecode(u)
    if (lead !== undefined) await this.#startFree(u, lead)
  }

  /** Of a sentence; of an answer first, where one is expected. */
  #completenessOf(u: Utterance, text: string): Completeness {
    const answer = u.answer?.completeness(text) ?? 'nothing'
    const sentence = answer === 'complete' || answer === 'extendable' ? answer : this.#command.completeness(text)
    return sentence === 'nothing' ? answer : sentence
  }

  async #startFree(u: Utterance, lead: string): Promise<void> {
    u.lead = lead
    await this.#openEars.read(u.from)
  }

  /** The open vocabulary listens to free speech, and beside the grammar while what was said may become a sentence of it. */
  #wantsOpen(u: Utterance): boolean {
    if (u.lead !== undefined || isFree(u.answer)) return true
    if (u.is !== 'command' || u.openWords !== undefined || this.#ring.end / FRAME_SAMPLES % OPEN_EVERY_FRAMES !== 0) return false
    return this.#completenessOf(u, textAfterWakeWord(this.#command.partial())) !== 'nothing'
  }

  /** What was said so far is a whole sentence, or an answer. */
  #isSentence(u: Utterance): boolean { return ['complete', 'extendable'].includes(this.#completenessOf(u, textAfterWakeWord(this.#command.partial()))) }

  async #finish(u: Utterance, transcript: Transcript, heardAnswer?: Transcript): Promise<void> {
    const endpointMs = this.#endMs
    const answer = heardAnswer ?? (u.answer && !isFree(u.answer) ? await this.#answers.final() : undefined)
    const speechFrom = Math.max(u.onset, u.wakeEnd ?? 0)
    const all = [transcript.words, ...transcript.others ?? []].map((words) => this.#said(u, words))
    const said = all[0]!
    const readings = all.map((words) => judge(words, (u.speechEnd - speechFrom) / SAMPLE_RATE_HZ, (text) => this.#completenessOf(u, text), this.#tuning))
    const spoken = readings.find(({ accepted }) => accepted) ?? readings[0]!
    let heard: Heard = { text: spoken.text, how: spoken.accepted ? 'command' : 'rejected', confidence: spoken.confidence }
    if (u.lead !== undefined) heard = textAfterLead(u.lead, all, await this.#openEars.words(u.from), (s) => this.#msAt(u.from + s * SAMPLE_RATE_HZ)) ?? heard
    else if (u.answer) heard = isFree(u.answer) ? freeAnswer(heard, transcript, await this.#openEars.words(u.from), this.#msAt(u.onset)) : shortAnswer(u.answer, heard, answer!, (u.speechEnd - u.onset) / SAMPLE_RATE_HZ, (text) => this.#o.completeness(text), this.#tuning)
    if (u.isForgotten && heard.how !== 'command') return this.#drop()
    // A wake word with nothing behind it, or a sound that is no word.
    // Where an answer is expected, speech of which nothing was made out is one that was not understood.
    const isWordless = said.length === 0 && !(u.answer && u.speechEnd - speechFrom >= ANSWER_MIN_SAMPLES)
    if (heard.text === '' && (isWordless || u.speechEnd - speechFrom < 0.3 * SAMPLE_RATE_HZ)) {
      if (u.wakeMs !== undefined) {
        this.#woken = u.wakeMs
        this.#answer = undefined
        this.#answerUntilMs = this.#endMs + this.#o.answerWindowMs
      }
      return this.#drop()
    }
    const doubt = heard.how === 'command' ? await this.#doubtOf(u, heard.text, all, answer ? [answer.words, ...answer.others ?? []] : []) : undefined
    this.#drop()
    // A question is open now, or a motion begins: "no" is about that.
    if (heard.how === 'command') this.#objectUntilMs = this.#endMs + OBJECTION_MS
    if (heard.how !== 'rejected' || this.#woken !== undefined || u.wakeMs !== undefined) this.#expectNothing()
    const wakeMs = u.wakeMs ?? this.#woken
    this.#woken = undefined
    this.#o.emit({
      kind: 'utterance', ...heard, ...u.answer && !heard.answer && heard.how === 'rejected' ? { answer: {} } : {}, ...doubt ? { doubt } : {}, engine: this.engine,
      timeline: { speechStartMs: this.#msAt(u.onset), speechEndMs: this.#msAt(u.speechEnd), endpointMs, transcriptMs: this.#nowMs, ...wakeMs === undefined ? {} : { wakeMs }, ...u.wakeEnd === undefined ? {} : { wakeEndMs: this.#msAt(u.wakeEnd) } },
    })
  }

  #said(u: Utterance, words: readonly Word[]): Word[] {
    return afterWakeWord(words, u.wakeEnd === undefined ? undefined : (u.wakeEnd - u.from) / SAMPLE_RATE_HZ)
  }

  /** Why the text may be something else than was said. `readings`, `answers`: of the commands' grammar and of the answers' ears, the text's own among them. */
  async #doubtOf(u: Utterance, text: string, readings: readonly Word[][], answers: readonly Word[][]): Promise<Doubt | undefined> {
    const meaning = this.#o.meaning(text)
    // Another reading that asks for the same explains what this one leaves out: "light on" and "turn the lights on".
    const isSame = (other: string) => other === text || (meaning !== undefined && this.#o.meaning(other)?.key === meaning.key)
    const same = [...readings, ...answers].filter((each) => isSame(textOf(each)))
    const words = same.toSorted((a, b) => Number(textOf(b) === text) - Number(textOf(a) === text)).flat()
    const others = readings.map(textOf).map((other) => ({ text: other, meaning: this.#o.meaning(other) }))
    const samples = this.#ring.slice(u.from)
    const within = { startS: (Math.max(u.onset, u.wakeEnd ?? 0) - u.from) / SAMPLE_RATE_HZ, endS: (u.speechEnd - u.from) / SAMPLE_RATE_HZ }
    const before = u.wakeStart === undefined ? undefined : { startS: 0, endS: (u.wakeStart - u.from) / SAMPLE_RATE_HZ }
    const doubt = doubtOf({ text, words, meaning, readings: others, meaningOf: (other) => this.#o.meaning(other) }, u.openWords ?? await this.#openEars.words(u.from), { samples, from: u.from, activity: this.#activity, within, ...before ? { before } : {} })
    if (doubt || !meaning?.isConsequential) return doubt
    return await this.#numbers.isClear(text, samples, this.#command.grammar) ? undefined : { reason: 'number' }
  }

  #expectNothing(): void {
    this.#answerUntilMs = -Infinity
    this.#answer = undefined
  }

  #drop(): void {
    const u = this.#utterance
    this.#utterance = undefined
    // Behind the words, where there are any.
    if (u?.answer) queueMicrotask(() => this.#o.emit({ kind: 'answering', on: false }))
    if (u) this.#lastEnd = u.speechEnd
    this.#spot.reset()
    this.#command.reset()
    if (u?.mayObject) this.#objections?.reset()
    if (u?.answer) this.#answers.reset()
    this.#openEars.reset()
  }

  #expire(): void {
    if (this.#woken === undefined || this.#endMs <= this.#answerUntilMs) return
    this.#woken = undefined
    this.#o.emit({ kind: 'wake-timeout', atMs: this.#endMs })
  }

  /** Time of a sample. */
  #msAt(sample: number): number { return this.#endMs - (this.#ring.end - sample) / MS }
  /** The present: the time of the last sample and what has passed since it came. */
  get #nowMs(): number { return this.#endMs + performance.now() - this.#arrivedMs }
}
