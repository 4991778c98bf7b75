import { readFacts } from './logs.ts'

interface Seen { label: string; score: number; box: { x: number; y: number; width: number; height: number } }
interface TruthFact { picture: string; detections: Seen[] }
interface AnswerFact { asked: number; answered: number; picture: string; ok: boolean; code?: string; attempts?: number; detections?: Seen[] }
interface FaultFact { at: number; ended: number; kind: string; outage: boolean; standby: boolean }
interface EchoFact { at: number; ms: number }

export interface InferenceVerdict {
  answers: number
  right: number
  /** Answered as right, but it was not. */
  wrong: string[]
  /** Honest refusals, by code. */
  codes: Record<string, number>
  /** From each fault to the next right answer to a request that was asked, or begun anew, after it, ms. */
  recoveries: { kind: string; standby: boolean; outage: boolean; ms: number }[]
  /** Faults after which no right answer came any more. */
  unrecovered: string[]
  /** Round trips over the broker, ms: while nothing was broken, and within 2 s of a fault. */
  calmMs: number[]
  faultMs: number[]
}

const AROUND_MS = 2_000

/** The judge's own equality, stricter than the product's: same things at the same places with the same scores. */
function same(a: readonly Seen[], b: readonly Seen[]): boolean {
  return a.length === b.length && a.every((x, i) => {
    const y = b[i]!
    return x.label === y.label && Math.abs(x.score - y.score) <= 0.01 && (['x', 'y', 'width', 'height'] as const).every((key) => Math.abs(x.box[key] - y.box[key]) <= 2)
  })
}

/** Judges a run by its logs alone. */
export function judgeInference(files: { truth: string; answers: string; faults: string; echoes: string }): InferenceVerdict {
  const truth = new Map(readFacts<TruthFact>(files.truth).map((t) => [t.picture, t.detections]))
  const answers = readFacts<AnswerFact>(files.answers).sort((a, b) => a.answered - b.answered)
  const faults = readFacts<FaultFact>(files.faults)
  const isRight = (a: AnswerFact) => a.ok && truth.has(a.picture) && same(a.detections ?? [], truth.get(a.picture)!)
  const codes: Record<string, number> = {}
  for (const a of answers) if (!a.ok) codes[a.code ?? 'unknown'] = (codes[a.code ?? 'unknown'] ?? 0) + 1

  const recoveries: InferenceVerdict['recoveries'] = []
  const unrecovered: string[] = []
  for (const fault of faults) {
    // What was answered in the instant of the fault may have been computed before it.
    const back = answers.find((a) => isRight(a) && a.answered > fault.ended && (a.asked >= fault.ended || (a.attempts ?? 1) > 1))
    if (back) recoveries.push({ kind: fault.kind, standby: fault.standby, outage: fault.outage, ms: back.answered - fault.ended })
    else unrecovered.push(`${fault.kind} at ${fault.at}`)
  }
  const broken = (at: number) => faults.some((f) => at >= f.at && at <= f.ended + AROUND_MS)
  const echoes = readFacts<EchoFact>(files.echoes)
  return {
    answers: answers.length, right: answers.filter(isRight).length,
    wrong: answers.filter((a) => a.ok && !isRight(a)).map((a) => `${a.picture}: ${JSON.stringify(a.detections)} instead of ${JSON.stringify(truth.get(a.picture))}`),
    codes, recoveries, unrecovered,
    calmMs: echoes.filter((e) => !broken(e.at)).map((e) => e.ms), faultMs: echoes.filter((e) => broken(e.at)).map((e) => e.ms),
  }
}
