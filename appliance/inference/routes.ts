import { MtorError } from '../contracts/errors.ts'
import type { ControlRoute } from '../gateway/control.ts'
import type { InnerFault } from './messages.ts'
import { TASK_NAMES, type Inference, type InferenceStatus, type TaskName } from './port.ts'
import type { InferenceSupervisor } from './supervisor/supervisor.ts'

export interface InferenceRouteParts {
  inference: Pick<InferenceSupervisor, 'run' | 'faults' | 'quarantined' | 'inject'>
  /** In a realm: of all its nodes, which then runs what is asked unless `local` says otherwise. */
  anywhere?: Pick<Inference, 'run'> | undefined
  /** Of the workers, and of what else runs models. */
  status(): InferenceStatus
}

const DEADLINE_MS = 30_000

/** The routes of inference on the control socket. */
export function inferenceRoutes(p: InferenceRouteParts): Record<string, ControlRoute> {
  return {
    'GET /inference': async () => p.status(),
    // For the bench and for whoever wants to see what a model makes of a file.
    'POST /inference/run': async ({ body, signal }) => {
      const { task, model, input, deadlineMs = DEADLINE_MS, vote, local } = (body ?? {}) as { task?: TaskName; model?: unknown; input?: unknown; deadlineMs?: unknown; vote?: unknown; local?: unknown }
      if (!(TASK_NAMES as readonly unknown[]).includes(task)) throw new MtorError('USAGE', `task must be one of ${TASK_NAMES.join(', ')}`)
      if (typeof model !== 'string' || typeof input !== 'object' || input === null) throw new MtorError('USAGE', 'model must be a name and input an object')
      if (typeof deadlineMs !== 'number' || !(deadlineMs > 0) || deadlineMs > 600_000) throw new MtorError('USAGE', 'deadlineMs must be above 0 and at most 600000')
      if (vote !== undefined && !(Number.isInteger(vote) && (vote as number) >= 1 && (vote as number) <= 9)) throw new MtorError('USAGE', 'vote must be a whole number from 1 to 9')
      return (local === true ? p.inference : p.anywhere ?? p.inference).run(task!, model, input as never, { deadlineMs, signal, ...(vote === undefined ? {} : { vote: vote as number }) })
    },
    'GET /inference/faults': async ({ query }) => p.inference.faults(limitOf(query.get('limit'))),
    'GET /inference/quarantine': async () => p.inference.quarantined(),
    // For the campaign: refused without MTOR_INFERENCE_FAULTS=1.
    'POST /inference/fault': async ({ body }) => {
      const { worker, fault } = (body ?? {}) as { worker?: unknown; fault?: unknown }
      if (typeof worker !== 'string' || typeof (fault as { name?: unknown } | null | undefined)?.name !== 'string') throw new MtorError('USAGE', 'worker and fault.name must be given')
      p.inference.inject(worker, fault as InnerFault)
      return { worker, fault }
    },
  }
}

function limitOf(value: string | null): number {
  if (value === null) return 20
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new MtorError('USAGE', `limit must be a whole number from 1 to 9999, got ${JSON.stringify(value)}`)
  return Number(value)
}
