import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { VoiceTimeline } from '../appliance/speech/conversation.ts'
import { SimulatorProcess } from '../drivers/rover/simulator/host.ts'
import { readFacts } from '../hil-tests/checkers/logs.ts'
import { Appliance } from '../hil-tests/resources/appliance.ts'
import type { Measure, Row } from './harness.ts'
import { quantile } from './table.ts'

const run = promisify(execFile)

const VOICES: { program: 'flite' | 'espeak-ng'; voice: string }[] = [
  { program: 'flite', voice: 'rms' }, { program: 'flite', voice: 'slt' }, { program: 'flite', voice: 'awb' },
  { program: 'espeak-ng', voice: 'en-gb' }, { program: 'espeak-ng', voice: 'en-us+f3' },
]
const SENTENCES = ['drive forward two metres', 'turn left ninety degrees', 'go back one metre', 'turn right by forty five degrees', 'move ahead half a metre', 'lights on', 'drive backwards one point five metres']
const STAGES: [string, keyof VoiceTimeline | 'received', keyof VoiceTimeline][] = [
  ['silence that decides the end', 'endpointMs', 'speechEndMs'], ['transcript', 'transcriptMs', 'endpointMs'], ['understood', 'understoodMs', 'transcriptMs'],
  ['durable in the journal', 'acceptedMs', 'understoodMs'], ['dispatched', 'startedMs', 'acceptedMs'], ['controller received it', 'received', 'startedMs'],
]
const LISTENING_S = 20

async function say(text: string, { program, voice }: (typeof VOICES)[number], file: string): Promise<void> {
  if (program === 'flite') await run('flite', ['-voice', voice, '-t', text, '-o', file])
  else await run('espeak-ng', ['-v', voice, '-s', '150', '-w', file, text])
}

type Timeline = VoiceTimeline & { id: string; type: string; state: string; text: string }

/** From the end of speech to the controller, over the real capture path, stage by stage. */
const voice: Measure = {
  name: 'voice',
  title: 'end of speech → controller receives the command, by stage; CPU and memory of listening',
  async run(context) {
    const dir = mkdtempSync(join(tmpdir(), 'mtor-voice-'))
    const controllerLog = join(dir, 'controller.jsonl')
    const controller = new SimulatorProcess({ link: join(dir, 'rover.tty'), logFile: controllerLog, speedFactor: 20, seed: context.seed })
    const { port } = await controller.start()
    const appliance = new Appliance(dir, { devices: [{ id: 'rover', driver: 'rover', port }], log: { level: 'debug' }, speech: { device: 'none', speak: { device: 'none' } } })
    try {
      await appliance.start()
      await appliance.hearing()
      const rounds = context.quick ? 6 : 40
      let played = 0
      for (let i = 0; i < rounds; i++) {
        context.signal.throwIfAborted()
        const who = VOICES[Math.floor(context.random() * VOICES.length)]!
        const sentence = SENTENCES[Math.floor(context.random() * SENTENCES.length)]!
        const file = join(dir, 'utterance.wav')
        await say(`computer. ${sentence}`, who, file)
        for await (const _ of appliance.control.lines('POST', '/listen', { file }, context.signal)) { /* Until it is answered. */ }
        played += 1
        context.progress(`${played} of ${rounds}: ${who.voice}, “${sentence}”`)
      }
      const listening = await costOfListening(appliance, dir, context.quick ? 8 : LISTENING_S)
      const timelines = readFacts<{ kind: string; name?: string; data?: Timeline }>(appliance.factLog).filter((f) => f.name === 'timeline').map((f) => f.data!)
      const received = new Map(readFacts<{ at: number; fact: string; intentId?: string }>(controllerLog).filter((f) => f.fact === 'received' && f.intentId).map((f) => [f.intentId!, f.at]))
      return rowsOf(played, timelines.filter((t) => received.has(t.id)).map((t) => ({ ...t, received: received.get(t.id)! })), listening)
    } finally {
      await appliance.stop()
      await controller.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  },
}
export default voice

/** CPU seconds per audio second of the speech process while a quiet room is played, and its memory. */
async function costOfListening(appliance: Appliance, dir: string, seconds: number): Promise<{ cores: number; rssMB: number; coreRssMB: number }> {
  const file = join(dir, 'room.wav')
  await run('sox', ['-n', '-r', '16000', '-c', '1', '-b', '16', file, 'synth', String(seconds), 'brownnoise', 'gain', '-50'])
  type S = { speech: { cpuS: number; audioS: number; rssBytes: number }; memory: { coreRssMB: number } }
  const before = await appliance.answering() as unknown as S
  for await (const _ of appliance.control.lines('POST', '/listen', { file })) { /* Until it is through. */ }
  await new Promise((done) => setTimeout(done, 1_200))
  const after = await appliance.answering() as unknown as S
  return { cores: (after.speech.cpuS - before.speech.cpuS) / (after.speech.audioS - before.speech.audioS), rssMB: after.speech.rssBytes / 1e6, coreRssMB: after.memory.coreRssMB }
}

function rowsOf(played: number, timelines: (Timeline & { received: number })[], listening: { cores: number; rssMB: number; coreRssMB: number }): Row[] {
  const totals = timelines.map((t) => t.received - t.speechEndMs)
  const p50 = quantile(totals, 0.5)
  const rows: Row[] = [
    { metric: 'utterances played', value: played, unit: '' },
    { metric: 'reached the controller', value: timelines.length, unit: '', goal: `>= ${Math.ceil(played * 0.9)}`, holds: timelines.length >= Math.ceil(played * 0.9) },
    { metric: 'end of speech → controller p50', value: p50, unit: 'ms', goal: '<= 400', holds: p50 !== null && p50 <= 400 },
    { metric: 'end of speech → controller p95', value: quantile(totals, 0.95), unit: 'ms' },
  ]
  for (const [stage, to, from] of STAGES) {
    const values = timelines.flatMap((t) => { const a = t[to], b = t[from]; return a === undefined || b === undefined ? [] : [a - b] })
    rows.push({ metric: `  ${stage} p50`, value: quantile(values, 0.5), unit: 'ms' }, { metric: `  ${stage} p95`, value: quantile(values, 0.95), unit: 'ms' })
  }
  rows.push(
    { metric: 'CPU of listening to a quiet room', value: listening.cores, unit: 'cores', goal: '<= 0.05', holds: listening.cores <= 0.05 },
    { metric: 'speech process', value: listening.rssMB, unit: 'MB', goal: '<= 350', holds: listening.rssMB <= 350 },
    { metric: 'core process', value: listening.coreRssMB, unit: 'MB', goal: '<= 150', holds: listening.coreRssMB <= 150 },
  )
  return rows
}
