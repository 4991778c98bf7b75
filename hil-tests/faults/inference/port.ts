import type { InferenceStatus } from '../../../appliance/inference/port.ts'
import type { InnerFault } from '../../../appliance/inference/messages.ts'
import type { Appliance } from '../../resources/appliance.ts'

/** What a fault of inference may lay hands on. */
export interface InferenceVictim {
  appliance: Appliance
  /** Private copy of the model store, and of one file of the model in it. */
  modelFile: string
  copyFile: string
  /** The good bytes of the model, to put back. */
  goodFile: string
  /** A small file system of its own that holds the ring of pictures. */
  smallDisk: string | undefined
  /** A picture that kills every worker that looks at it. */
  poisonImage: string
  random(): number
  /** Runs the detector once; rejects with the code it was answered with. */
  detect(image: string): Promise<unknown>
}

/** One kind of fault. `inject` does it once and says what it did; undefined when there was nothing to do it to. */
export interface InferenceFault {
  kind: string
  /** How often it is drawn, relative to the others. */
  weight: number
  /** What the service must answer with from `at` on is right answers, at the latest after the goal; false where it need not go down at all. */
  outage: boolean
  inject(victim: InferenceVictim): Promise<Record<string, unknown> | undefined>
}

/** The worker that answers for the detector just now. */
export async function activeWorker(victim: InferenceVictim): Promise<{ pid: number; worker: string } | undefined> {
  const status = await victim.appliance.control.call('GET', '/inference').catch(() => undefined) as InferenceStatus | undefined
  const worker = status?.workers.find((w) => w.group === 'vision' && w.pid !== undefined && (w.state === 'busy' || w.state === 'idle'))
  return worker && { pid: worker.pid!, worker: worker.worker }
}

/** From inside: the worker does it to itself, as MTOR_INFERENCE_FAULTS=1 allows. */
export async function innerFault(victim: InferenceVictim, fault: InnerFault): Promise<Record<string, unknown> | undefined> {
  const active = await activeWorker(victim)
  if (!active) return undefined
  await victim.appliance.control.call('POST', '/inference/fault', { worker: active.worker, fault })
  return { ...active }
}

/** A signal from outside. */
export async function signalWorker(victim: InferenceVictim, signal: 'SIGKILL' | 'SIGSTOP'): Promise<Record<string, unknown> | undefined> {
  const active = await activeWorker(victim)
  if (!active) return undefined
  try { process.kill(active.pid, signal) } catch { return undefined }
  return { ...active }
}
