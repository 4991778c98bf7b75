import { toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import type { Manifest } from '../inference/manifest.ts'
import type { Inference, TaskName } from '../inference/port.ts'

/** A model that takes longer for a second of sound than this is too slow for the board. */
export const MAX_REAL_TIME_FACTOR = 0.5

/** How fast a model is here: seconds of work for a second of sound, or why it does not work. */
export interface Measured { model: string; realTimeFactor?: number; error?: string }

/** The first that keeps up; undefined where none does. */
export const chooseBySpeed = (measured: readonly Measured[]): string | undefined =>
  measured.find(({ realTimeFactor }) => realTimeFactor !== undefined && realTimeFactor <= MAX_REAL_TIME_FACTOR)?.model

export interface ChoiceOptions {
  /** A model, or 'auto'. */
  wanted: string
  task: TaskName
  /** What it is, in events: "transcriber", "voice". */
  role: string
  /** What is so when there is none. */
  otherwise: string
  inference: Pick<Inference, 'warm'>
  models(): Manifest[]
  hub: Hub
  /** Runs it once; seconds of work for a second of sound. */
  measure(model: string): Promise<number>
}

/**
 * Loads the model that is wanted, or measures those that are there and takes the largest that keeps up with speech. One
 * that is named and cannot be loaded is kept all the same: it may be there later. Never rejects.
 */
export async function chooseModel({ wanted, task, role, otherwise, inference, models, hub, measure }: ChoiceOptions): Promise<string | undefined> {
  if (wanted !== 'auto') {
    try {
      await inference.warm(wanted)
      hub.system({ severity: 'info', component: 'speech', name: `${role}.ready`, message: `the ${role} is ${wanted}` })
    } catch (thrown) {
      const { code, message, hint } = toMtorError(thrown)
      hub.system({ severity: 'warning', component: 'speech', name: `${role}.missing`, code, message: `${wanted}: ${message}; ${otherwise}. ${hint}` })
    }
    return wanted
  }
  const measured: Measured[] = []
  for (const { name } of models().filter((manifest) => manifest.task === task).sort((a, b) => b.memoryMB - a.memoryMB)) {
    try {
      await inference.warm(name)
      // The first run also fills caches.
      await measure(name)
      measured.push({ model: name, realTimeFactor: await measure(name) })
    } catch (error) { measured.push({ model: name, error: toMtorError(error).message }) }
  }
  const chosen = chooseBySpeed(measured)
  hub.system({ severity: 'info', component: 'speech', name: `${role}.chosen`, message: chosen === undefined ? `no ${role} is there that keeps up; ${otherwise}` : `the ${role} is ${chosen}`, data: { measured } })
  return chosen
}
