import type { VoiceTimeline } from '../../appliance/speech/conversation.ts'
import { readFacts } from './logs.ts'

interface FaultFact { at: number; kind: string; core?: boolean; recoveredMs?: number | null; then: string }
interface PlayedFact { from: number; to: number; failed?: boolean }
interface CoreFact { kind?: string; name?: string; data?: VoiceTimeline & { state: string; type: string } }

export interface FlowsVerdict {
  faults: number
  kinds: Record<string, number>
  /** Until the good flows carried out an intent again, ms, by kind. */
  recoveries: Record<string, number[]>
  notBack: string[]
  played: number
  /** Played while the core was down or coming up: nobody could hear. */
  excused: number
  /** End of speech → accepted, ms. */
  voiceMs: number[]
  unheard: number
}

/** What voice and flows did during the faults; reads only logs. A core that is killed is excused for `coreDownMs`. */
export function judgeFlows(files: { faults: string; played: string; core: readonly string[] }, coreDownMs: number): FlowsVerdict {
  const faults = readFacts<FaultFact>(files.faults)
  const down = faults.filter((fault) => fault.core).map(({ at }) => ({ from: at, to: at + coreDownMs }))
  const played = readFacts<PlayedFact>(files.played)
  const timelines = files.core.flatMap((file) => readFacts<CoreFact>(file)).filter((fact) => fact.name === 'timeline' && fact.data?.acceptedMs !== undefined).map((fact) => fact.data!)
  const kinds: Record<string, number> = {}, recoveries: Record<string, number[]> = {}
  const notBack: string[] = [], voiceMs: number[] = []
  let excused = 0, unheard = 0
  for (const { kind, at, recoveredMs } of faults) {
    kinds[kind] = (kinds[kind] ?? 0) + 1
    if (recoveredMs === undefined || recoveredMs === null) notBack.push(`${kind} at ${Math.round(at)}`)
    else (recoveries[kind] ??= []).push(recoveredMs)
  }
  for (const { from, to } of played) {
    if (down.some((outage) => from <= outage.to && to >= outage.from)) { excused += 1; continue }
    const heard = timelines.find(({ speechEndMs }) => speechEndMs >= from && speechEndMs <= to)
    if (heard) voiceMs.push(heard.acceptedMs! - heard.speechEndMs)
    else unheard += 1
  }
  return { faults: faults.length, kinds, recoveries, notBack, played: played.length, excused, voiceMs, unheard }
}
