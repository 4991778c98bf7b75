import type { ModelStatus, WorkerStatus } from '../../inference/port.ts'

/** What each thing takes of the 100; documented in docs/21-realm.md. */
const COLD = 50
const FAULT = 30
const FAULT_MS = 60_000
const QUEUED = 10
const MOST_QUEUED = 40
const LOAD = 20
const MEMORY = 20
/** Less memory to be had than this share of the board's is short. */
const SHORT_MEMORY = 0.1

export interface Strain { /** Load average of one minute by cores. */ load1: number; /** Share of the board's memory that is to be had, 0 to 1. */ memory: number }
export interface Judged { score: number; why?: string }

/** How well a model can be used here: 0 from the moment of a failure until it is proven again. */
export function modelScore(model: Pick<ModelStatus, 'state' | 'circuit'>, workers: readonly WorkerStatus[], queuePerWorker: number, faultAgeMs: number | undefined): Judged {
  if (model.state === 'untrusted') return { score: 0, why: 'its files are not the right ones' }
  if (model.circuit !== 'closed') return { score: 0, why: 'it has failed too often' }
  if (model.state === 'broken') return { score: 0, why: 'it cannot be loaded' }
  if (model.state === 'ready' && workers.every(({ state, provenAgeMs }) => state === 'down' || state === 'starting' || provenAgeMs === undefined)) return { score: 0, why: 'its worker is lost' }
  const costs: [number, string][] = [
    [model.state === 'ready' ? 0 : COLD, 'it is not loaded'],
    [faultAgeMs === undefined ? 0 : FAULT * Math.max(0, 1 - faultAgeMs / FAULT_MS), 'it failed within the last minute'],
    [Math.min(MOST_QUEUED, QUEUED * queuePerWorker), 'requests wait'],
  ]
  return judge(100, costs)
}

/** Of the node: the mean of the models that are in use, less what strains the board. 0 where there is no model at all. */
export function nodeScore(models: readonly Judged[], strain: Strain): Judged {
  if (models.length === 0) return { score: 0, why: 'no model is here' }
  const mean = models.reduce((sum, { score }) => sum + score, 0) / models.length
  const worst = models.reduce((a, b) => (b.score < a.score ? b : a))
  const costs: [number, string][] = [
    [LOAD * Math.min(1, Math.max(0, strain.load1 - 1)), 'the processor is overloaded'],
    [strain.memory < SHORT_MEMORY ? MEMORY * (1 - strain.memory / SHORT_MEMORY) : 0, 'memory is short'],
  ]
  const { score, why } = judge(mean, costs)
  const reason = worst.score < 100 && 100 - worst.score > mean - score ? worst.why : why
  return { score, ...(reason === undefined ? {} : { why: reason }) }
}

function judge(from: number, costs: readonly [number, string][]): Judged {
  const score = Math.round(Math.max(0, costs.reduce((left, [cost]) => left - cost, from)))
  const [cost, why] = costs.reduce((a, b) => (b[0] > a[0] ? b : a))
  return { score, ...(cost >= 1 ? { why } : {}) }
}
