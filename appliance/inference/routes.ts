import { MtorError } from '../contracts/errors.ts'
import type { ControlRoute } from '../gateway/control.ts'
import type { InnerFault } from './messages.ts'
import type { InferenceSupervisor } from './supervisor/supervisor.ts'

export interface InferenceRouteParts { inference: Pick<InferenceSupervisor, 'status' | 'faults' | 'quarantined' | 'inject'> }

/** The routes of inference on the control socket. */
export function inferenceRoutes(p: InferenceRouteParts): Record<string, ControlRoute> {
  return {
    'GET /inference': async () => p.inference.status(),
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
