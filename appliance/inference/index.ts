/** What the rest of the appliance may use of inference, beside the contracts in port.ts. */
export { InferenceSupervisor, type SupervisorOptions } from './supervisor/supervisor.ts'
export type { ProviderInfo } from './supervisor/shared.ts'
export type { Fault, FaultKind } from './supervisor/faults.ts'
export type { Quarantined } from './supervisor/quarantine.ts'
export { inferenceRoutes } from './routes.ts'
export type { Answer, Inference, InferenceStatus, ModelLibrary, RunOptions, Throttle } from './port.ts'
