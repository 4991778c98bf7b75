import type { InferenceSession } from 'onnxruntime-node'
import { isProvider, type ProviderName } from './names.ts'
import type { Profile } from './profile.ts'

type Ort = typeof import('onnxruntime-node')

export interface SessionRequest {
  ort: Ort
  /** Of an ONNX file, already checked. */
  bytes: Uint8Array
  provider: ProviderName
  threads: number
  profile?: Profile
  /** Files beside the graph that hold its large weights, by the name under which the graph asks for them. */
  externalData?: readonly { path: string; data: Uint8Array }[]
}

/**
 * Opens a graph with exactly one provider. Asking for two at once throws where the first is missing, instead of taking the
 * second; nodes that the provider cannot run go to the CPU all the same, which is why what ran is counted.
 * Threads do not spin while they wait: an idle session costs nothing (measured, 50 runs a second with 2 threads: 1.1 s of
 * CPU time a second when they spin, as is the default, 0.05 s when not).
 */
export async function openSession({ ort, bytes, provider, threads, profile, externalData }: SessionRequest): Promise<InferenceSession> {
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider], intraOpNumThreads: Math.max(1, threads), interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
    logSeverityLevel: 3, extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    ...externalData?.length ? { externalData: [...externalData] } : {}, ...profile?.options(),
  })
  profile?.add(session)
  return session
}

/** Names of the providers that this build of onnxruntime can be asked for; being able to is not having the device. */
export const supportedProviders = (ort: Pick<Ort, 'listSupportedBackends'>): string[] => ort.listSupportedBackends().map(({ name }) => name)

/**
 * Why what was profiled is no proof that `provider` runs the model; undefined where it is one.
 * The CPU must have run everything; of another provider some nodes may fall to the CPU (shapes, mostly).
 */
export function notProven(provider: string, counts: Record<string, number>): string | undefined {
  const ran = Object.entries(counts).map(([name, nodes]) => `${name} ${nodes}`).join(', ')
  if (ran === '') return 'the profile shows no node that ran'
  if (!isProvider(provider) || !counts[provider]) return `it took the model and ran none of its nodes (nodes that ran: ${ran})`
  return undefined
}
