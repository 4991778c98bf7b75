import type { Keeper } from '../inference/keeper.ts'
import type { ModelStatus, WorkerStatus } from '../inference/port.ts'
import type { FromSpeech, ToSpeech } from './messages.ts'
import type { VitalSigns } from './vital-signs.ts'

export interface SpeechStatus {
  state: 'starting' | 'listening' | 'idle' | 'down' | 'off'
  engine?: string
  device?: string
  pid?: number
  rssBytes?: number
  cpuS?: number
  audioS?: number
  restarts: number
  /** Since the ears last heard their known recording right. */
  provenAgeMs?: number
}

type Kept = Pick<Keeper<ToSpeech, FromSpeech>, 'started' | 'pid' | 'restarts'>

export function speechStatus({ started, pid, restarts }: Kept, signs: VitalSigns, listensToFile: boolean): SpeechStatus {
  if (!started || pid === undefined) return { state: started ? 'down' : 'off', restarts }
  const { deaf, ready, capture, health, rssBytes, provenAgeMs } = signs
  const open = capture?.state === 'open'
  const state = deaf ? 'down' : !ready ? 'starting' : open || listensToFile ? 'listening' : 'idle'
  return { state, engine: ready?.engine, device: open ? capture.device : undefined, pid, rssBytes, cpuS: health?.cpuS, audioS: health?.audioS, restarts, provenAgeMs }
}

const WINDOW = 100

/** What lasts longer than one child: its models, how long proofs took, and what went wrong last. */
export class Track {
  models: { model: string; version: string }[] = []
  #tookMs: number[] = []
  proofs = 0
  lastFault: ModelStatus['lastFault']

  proof(tookMs: number): void {
    this.proofs++
    if (this.#tookMs.push(tookMs) > WINDOW) this.#tookMs.shift()
  }

  fault(atMs: number, code: string, message: string): void { this.lastFault = { atMs, code, message } }

  /** Of the last 100 proofs; undefined before the first. */
  quantileMs(q: number): number | undefined {
    const sorted = this.#tookMs.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
  }
}

/** None before they were loaded for the first time. Recogniser and voice activity are proven together, in one run; p50 and p95 are of that. */
export function inferenceStatus({ started, pid, restarts }: Kept, signs: VitalSigns, track: Track, busy: boolean): { models: ModelStatus[]; workers: WorkerStatus[] } {
  if (!started) return { models: [], workers: [] }
  const { deaf, ready, rssBytes, provenAgeMs } = signs
  const state: ModelStatus['state'] = deaf ? (track.lastFault?.code === 'MODEL_UNTRUSTED' ? 'untrusted' : 'broken') : ready ? 'ready' : 'loading'
  const common = { task: 'speech', group: 'speech', state, provider: 'cpu', p50Ms: track.quantileMs(0.5), p95Ms: track.quantileMs(0.95), runs: track.proofs, restarts, quarantined: 0, circuit: 'closed' as const, lastFault: track.lastFault }
  const worker: WorkerStatus['state'] = pid === undefined ? 'down' : !ready && !deaf ? 'starting' : busy ? 'busy' : 'idle'
  return {
    models: track.models.map((model) => ({ ...model, ...common })),
    workers: [{ worker: 'speech', group: 'speech', pid, state: deaf ? 'down' : worker, rssBytes, restarts, provenAgeMs }],
  }
}
