import { resolve } from 'node:path'
import { systemClock } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { expectedAnswer, Understander } from '../understand/index.ts'
import { Capture, type CaptureState } from './capture/capture.ts'
import { playThroughAlsa } from './capture/file-device.ts'
import { FRAME_SAMPLES, SAMPLE_RATE_HZ } from './capture/framer.ts'
import { AudioKeeper } from './keep-audio.ts'
import type { FromSpeech, SpeechSettings, ToSpeech } from './messages.ts'
import { modelsOf } from './models.ts'
import { SpeechPipeline } from './pipeline.ts'
import { EarsProver, ProofRound } from './proof.ts'
import { AskedVoice, chooseEngine, openSink, Speaker } from './speak/index.ts'
import { readMono } from './sounds.ts'
import { WavReader } from './wav.ts'
import { FreeSpeechFiles } from './free-speech-files.ts'
import { Wyoming } from './wyoming/index.ts'

/** Frames that wait for the pipeline: 10 s. Beyond it sound is dropped, and that is told. */
const MAX_BACKLOG = Math.round((10 * SAMPLE_RATE_HZ) / FRAME_SAMPLES)
const HEALTH_MS = 1_000
/** Silence after a file, beyond what ends a sentence that may go on. */
const TAIL_MARGIN_MS = 600
const SHUTDOWN_MS = 1_000
/** The same trouble is told once in this time. */
const TROUBLE_MS = 10_000

const settings = JSON.parse(process.env['MTOR_SPEECH'] ?? 'null') as SpeechSettings | null
if (!settings || !process.send) throw new MtorError('USAGE', 'this is the speech process; it is started by the appliance', { hint: 'Start the appliance with: npm start' })
const { config, understand, sequences, stateDir, runDir, known, models } = settings
const clock = systemClock

const send = (message: FromSpeech) => { if (process.connected) process.send!(message, undefined, undefined, () => { /* a core that is gone ends us through 'disconnect' */ }) }
const log = (level: 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>) => send({ kind: 'log', level, message, data })
let troubleUntilMs = 0
function trouble(message: string) {
  const nowMs = clock.monoMs()
  if (nowMs < troubleUntilMs) return
  troubleUntilMs = nowMs + TROUBLE_MS
  log('error', message)
}

// Ears

const freeSpeech = config.transcriber === 'none' ? undefined : new FreeSpeechFiles(runDir)
const keeper = config.keepAudio.enabled ? new AudioKeeper(resolve(stateDir, config.keepAudio.directory)) : undefined
const loaded = Promise.withResolvers<SpeechPipeline>()
loaded.promise.catch(() => {})
let pipeline: SpeechPipeline | undefined
let proofs: ProofRound | undefined
let heardSamples = 0
let lastFrameMs: number | undefined
let backlog = 0
/** The pipeline takes one frame after another. */
let turn: Promise<unknown> = Promise.resolve()

function hear(frame: Int16Array, endMs: number) {
  lastFrameMs = clock.monoMs()
  heardSamples += frame.length
  keeper?.push(frame, endMs)
  freeSpeech?.push(frame, endMs)
  wyoming?.frame(frame, endMs)
  const ears = pipeline
  if (!ears) return
  if (backlog >= MAX_BACKLOG) return trouble(`recognition is ${MAX_BACKLOG} frames behind: sound is dropped`)
  backlog++
  turn = turn.then(() => ears.push(frame, endMs)).catch((error: unknown) => { trouble(`recognition failed: ${toMtorError(error).message}`) }).finally(() => { backlog-- })
}

/** Everything heard so far is recognised, and what is open is ended. */
async function finishHearing(ears: SpeechPipeline) {
  await turn
  await ears.flush()
}

function emit(message: FromSpeech) {
  // What the satellite's server has taken is not for the core.
  const taken = wyoming?.heard(message) ?? false
  if (freeSpeech && message.kind === 'utterance' && message.how === 'free') void freeSpeech.attach(message).catch((error: unknown) => { trouble(`cannot keep what was said for the transcriber: ${String(error)}`); return message }).then(send)
  else if (!taken) send(message)
  if (message.kind === 'utterance') keeper?.save(message.timeline, Date.now()).catch((error: unknown) => { trouble(`cannot keep audio: ${String(error)}`) })
}

// Sentences of flows

let understander: Understander | undefined
let lesson: Extract<ToSpeech, { kind: 'learn' }> | undefined

/** Before the ears are loaded the lesson waits: it is learnt at the end of loading. */
async function learn(mind: Understander, ears: SpeechPipeline, { requestId, declares, answers }: Extract<ToSpeech, { kind: 'learn' }>) {
  try {
    const sinceMs = performance.now()
    mind.learn(declares)
    const grammar = mind.learnedGrammar(answers)
    const mindMs = performance.now() - sinceMs
    const { unknownWords, tookMs } = await ears.learn(grammar)
    send({ kind: 'learned', requestId, unknownWords, tookMs: Math.round(mindMs + tookMs) })
  } catch (thrown) {
    const { code, message } = toMtorError(thrown)
    send({ kind: 'learned', requestId, unknownWords: [], tookMs: 0, error: { code, message } })
  }
}

// Microphone

let wanted = { device: config.device, channels: config.channels }
let capture: Capture | undefined
let captureTurn: Promise<void> = Promise.resolve()
/** A file is being listened to: the microphone is closed meanwhile, which is no news. */
let pausedForFile = false
let announced: CaptureState | undefined

function reopenCapture() {
  captureTurn = captureTurn.then(async () => {
    await capture?.stop()
    announced = undefined
    capture = new Capture({
      ...wanted, clock,
      onFrame: hear,
      onState: (state, device, message) => {
        if (pausedForFile || state === announced) return
        announced = state
        if (state !== 'open') lastFrameMs = undefined
        send({ kind: 'capture', state, device, message })
      },
      onRemark: (message) => trouble(`capture: ${message}`),
    })
    if (!pausedForFile) capture.start()
  })
}

// Files

const listens = new Map<number, AbortController>()
let listenTurn: Promise<void> = Promise.resolve()

function listen(requestId: number, file: string) {
  const abort = new AbortController()
  listens.set(requestId, abort)
  listenTurn = listenTurn.then(async () => {
    let audioS = 0
    let error: { code: string; message: string } | undefined
    try {
      const ears = await loaded.promise
      pausedForFile = true
      await capture?.stop()
      await finishHearing(ears)
      const played = await playThroughAlsa(file, { runDir, clock, tailS: (config.maxSilenceMs + TAIL_MARGIN_MS) / 1000, onFrame: hear, signal: abort.signal })
      await finishHearing(ears)
      audioS = played.audioS
    } catch (thrown) {
      const { code, message } = toMtorError(thrown)
      error = { code, message }
    }
    listens.delete(requestId)
    send({ kind: 'listened', requestId, audioS, error })
    if (listens.size > 0) return
    pausedForFile = false
    lastFrameMs = undefined
    capture?.start()
  })
}

// Voice

const engine = chooseEngine(config.speak.engine)
const askedVoice = config.speak.model === 'none' ? undefined : new AskedVoice(runDir, send)
const speaker = new Speaker({
  engine,
  mute: config.speak.engine === 'none' || config.speak.device === 'none',
  voice: config.speak.voice,
  sink: openSink(config.speak.device, stateDir),
  earcons: config.speak.earcons,
  ...(askedVoice ? { better: (text, signal) => askedVoice.synthesise(text, signal) } : {}),
  // Below zero are the replies of a satellite's server.
  onState: (requestId, state, message) => {
    if (requestId > 0) send({ kind: 'speaking', requestId, state, atMs: clock.monoMs(), message })
    else if (state !== 'started') wyoming?.played(-requestId)
  },
  onSound: async (wav) => {
    try { await pipeline?.aboutToSay(await readMono(await WavReader.fromBuffer(wav))) } catch (error) { trouble(`own voice: ${toMtorError(error).message}`) }
  },
  onSpeaking: (speaking) => pipeline?.setSpeaking(speaking, clock.monoMs()),
  onError: (error) => trouble(`earcon: ${error.message}`),
})

// Dialects

const wyoming: Wyoming | undefined = settings.wyoming?.enabled ? new Wyoming({
  settings: settings.wyoming, clock, send,
  voice: { engine, voice: config.speak.voice, ...(askedVoice ? { better: { model: config.speak.model, say: (text, signal) => askedVoice.synthesise(text, signal) } } : {}) },
  // Frames that came meanwhile have their turn too.
  turn: async () => { await new Promise((resolve) => { setImmediate(resolve) }); await turn },
  play: (replyId, text, wav) => speaker.play(-replyId, text, wav),
}) : undefined

// Life

function health() {
  const { user, system } = process.cpuUsage()
  send({ kind: 'health', rssBytes: process.memoryUsage.rss(), cpuS: (user + system) / 1e6, audioS: heardSamples / SAMPLE_RATE_HZ, lastFrameAgeMs: lastFrameMs === undefined ? -1 : clock.monoMs() - lastFrameMs })
}
const healthTimer = setInterval(health, HEALTH_MS)

let ending = false
async function shutdown() {
  if (ending) return
  ending = true
  clearInterval(healthTimer)
  setTimeout(() => process.exit(0), SHUTDOWN_MS)
  for (const abort of listens.values()) abort.abort()
  await Promise.allSettled([speaker.stop(), capture?.stop(), listenTurn, proofs?.stop(), wyoming?.stop()])
  await turn
  pipeline?.close()
  process.exit(0)
}

process.on('disconnect', () => { void shutdown() })
process.on('message', (message: ToSpeech) => {
  if (ending) return
  switch (message.kind) {
    case 'capture':
    case 'capture-stop': {
      wanted = message.kind === 'capture' ? { device: message.device, channels: message.channels } : { device: 'none', channels: undefined }
      // Before the ears are loaded nothing is opened: that comes at the end of loading.
      if (pipeline) reopenCapture()
      return
    }
    case 'listen': return listen(message.requestId, message.file)
    case 'listen-stop': return listens.get(message.requestId)?.abort()
    case 'speak': return speaker.speak(message.requestId, message.text, message.interrupt)
    case 'synthesised': return askedVoice?.answer(message.requestId, message.ok)
    case 'handled': return wyoming?.handled(message.requestId, message.ok, message.text)
    case 'forget': return pipeline?.forget()
    case 'earcon': return speaker.earcon(message.name)
    case 'silence': return speaker.silence()
    case 'expect-answer': {
      const { forMs, form } = message
      return pipeline?.expectAnswer(forMs, form && expectedAnswer(form), clock.monoMs())
    }
    case 'learn': {
      lesson = message
      if (understander && pipeline) void learn(understander, pipeline, message)
      return
    }
    case 'shutdown': { void shutdown(); return }
  }
})

try {
  const mind = understander = await Understander.load({ directories: understand.directories, sequences })
  const ears = await SpeechPipeline.load({
    engine: config.engine,
    cacheDir: resolve(stateDir, 'cache'),
    grammar: mind.speechGrammar(),
    completeness: (text) => mind.completeness(text), meaning: (text) => mind.meaning(text),
    endSilenceMs: config.endSilenceMs,
    maxSilenceMs: config.maxSilenceMs,
    answerWindowMs: config.answerWindowMs,
    learnedWords: config.learnedWords,
    ...models,
    emit,
  })
  const prover = await EarsProver.load(ears, known)
  proofs = new ProofRound({ prover, periodMs: config.proofPeriodMs, clock, quiet: async () => await ears.quiet() && listens.size === 0, report: send })
  // What comes while one is being learnt is learnt next, before anything is heard.
  for (let learnt; lesson !== learnt;) { learnt = lesson; if (learnt) await learn(mind, ears, learnt) }
  pipeline = ears
  loaded.resolve(pipeline)
  send({ kind: 'ready', engine: pipeline.engine, loadMs: Math.round(performance.now()), engines: [pipeline.engine], models: modelsOf(pipeline.engine) })
  reopenCapture()
  proofs.start()
  wyoming?.start(pipeline)
} catch (thrown) {
  const error = toMtorError(thrown)
  loaded.reject(error)
  wyoming?.start(undefined)
  send({ kind: 'deaf', error: { code: error.code, message: error.message } })
}
