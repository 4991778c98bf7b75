import type { InferenceConfig } from '../../config/schema.ts'
import type { Clock } from '../../contracts/clock.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { ModelBook, ModelRecord } from './book.ts'
import type { FaultReport } from './faults.ts'
import type { GpuMemory } from './gpu-memory.ts'
import type { ProviderPolicy } from './policy.ts'
import type { Quarantine } from './quarantine.ts'

/** What was chosen for a model, as proven by profiling at warm-up; to be published on inference/<model>/provider. */
export interface ProviderInfo { model: string; version: string; worker: string; provider: string; nodeCounts: Record<string, number>; tried: { provider: string; error: string }[] }

/** What all groups have in common. */
export interface Shared {
  clock: Clock
  config: InferenceConfig
  workerFile: string
  /** Of one run. */
  threads: number
  book: ModelBook
  policy: ProviderPolicy
  quarantine: Quarantine
  faults: FaultReport
  gpu: GpuMemory
  event(event: Omit<SystemEventInput, 'component'>): void
  onProvider(info: ProviderInfo): void
}

/** Puts a provider aside, with an event. */
export function demote(shared: Shared, provider: string, scope: Parameters<ProviderPolicy['demote']>[1], reason: string): void {
  const pauseMs = shared.policy.demote(provider, scope)
  if (pauseMs === 0) return
  shared.event({ severity: 'warning', name: 'provider.demoted', message: `${provider} is put aside for ${Math.round(pauseMs / 1000)} s: ${reason}`, data: { provider, scope, coolDownMs: Math.round(pauseMs), reason } })
}

/** The model works, or works again; `isAnswer`: and has just answered what was asked. */
export function proven(shared: Shared, record: ModelRecord, group: string, isServing: boolean, isAnswer = false): void {
  if (isServing) shared.faults.recovered(group, record.name)
  record.state = 'ready'
  if (isAnswer ? record.circuit.right() : record.circuit.proven()) shared.event({ severity: 'info', name: 'model.back', message: `${record.name} is proven and used again`, data: { model: record.name } })
}
