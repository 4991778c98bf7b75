import type { Manifest } from './manifest.ts'

/** What the core and an inference worker say to each other over the child's IPC channel (structured clone). */
export type ToWorker =
  /** Loads a model with the first of `providers` that works and can be proven, tried one at a time. */
  | { kind: 'load'; requestId: number; manifest: Manifest; folder: string; providers: string[]; threads: number }
  | { kind: 'unload'; model: string }
  /** Runs one input. With `prove` the first known answer is run after it, and its output comes with the answer. */
  | { kind: 'run'; requestId: number; model: string; input: unknown; prove: boolean }
  /** Runs known answers only. */
  | { kind: 'prove'; requestId: number; model: string }
  /** Only with MTOR_INFERENCE_FAULTS=1 in the environment: what the campaign does to a worker from inside. */
  | { kind: 'fault'; fault: InnerFault }
  | { kind: 'shutdown' }

/** leak: keeps this many bytes more; provider-lost: the next run fails as a lost GPU does; flip: bits of the loaded weights change. */
export type InnerFault = { name: 'busy' } | { name: 'abort' } | { name: 'leak'; bytes: number } | { name: 'provider-lost' } | { name: 'flip'; seed: number; bits: number }

export interface PlainError { code: string; message: string; data?: Record<string, unknown> }

/** One known answer as it came out now. */
export interface Proof {
  /** Index in the manifest's knownAnswers. */
  index: number
  /** Left out where the digest alone was asked for. */
  output?: unknown
  /** Of the raw outputs of the graph: equal runs on one provider give equal digests where the provider is deterministic. */
  digest?: string
}

/** Why a provider did not take a model. `isShort`: for want of its memory, which may be there later. */
export interface Tried { provider: string; error: string; isShort?: true }

export type FromWorker =
  /** The process is up and can take messages. */
  | { kind: 'up'; startMs: number }
  /** Sent at once when a load, run or prove comes in, before any work: a worker that does not even take what it is given hangs. */
  | { kind: 'taken'; requestId: number }
  /** A run or a proof begins with work that comes once for a shape, and may take many times as long as a run. */
  | { kind: 'preparing'; requestId: number }
  | { kind: 'loaded'; requestId: number; provider: string; nodeCounts: Record<string, number>; tried: Tried[]; loadMs: number; proofs: Proof[] }
  /** `prepared`: its time says nothing of the next one's. */
  | { kind: 'answer'; requestId: number; output: unknown; runMs: number; proof?: Proof; prepared?: true }
  | { kind: 'proven'; requestId: number; proofs: Proof[]; runMs: number }
  /** `gpu`: the provider is lost, and with it this process is of no use. */
  | { kind: 'failed'; requestId: number; error: PlainError; gpu?: boolean }
  | { kind: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string; data?: Record<string, unknown> }
