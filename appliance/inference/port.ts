import type { Manifest, TrustedModel } from './manifest.ts'
import type { Proof } from './messages.ts'

/**
 * What the rest of the appliance may use of inference. Inputs and outputs are plain values: pictures and sounds are
 * named by the path of their file, never carried.
 */

/** A box in pixels of the picture, origin at the top left. */
export interface Box { x: number; y: number; width: number; height: number }
export interface Detection { label: string; /** 0 to 1. */ score: number; box: Box }
export interface TextLine { text: string; /** 0 to 1. */ confidence: number; box: Box }

/** A tensor across the process border: row-major data and its shape. */
export interface PlainTensor { type: 'float32' | 'int32' | 'int64' | 'uint8'; dims: number[]; data: Float32Array | Int32Array | BigInt64Array | Uint8Array }

/** Pictures that need no file: deterministic noise and shapes, for known answers. `views`: so many different ones at once; 1. */
export interface TestPattern { pattern: 'shapes'; seed: number; widthPx: number; heightPx: number; views?: number }
/** A line of text drawn with a font of our own, for known answers. Capitals, digits and spaces. */
export interface TextPattern { pattern: 'text'; text: string }
/** A short sentence from a few resonators, for known answers. */
export interface VoicePattern { pattern: 'voice'; /** Followed by silence as any other sound is, so that it takes as long. */ wholeWindow?: boolean }

/** How something is said, in the International Phonetic Alphabet; said without the chance that makes a voice lively, so that it is the same each time. */
export interface PhonemePattern { phonemes: string }

/** Input and output of each task. */
export interface Tasks {
  /** Finds objects. `sizePx`: side of the square the picture is scaled into (the governor lowers it). `annotate`: file that gets a JPEG of the picture with the boxes drawn in. `summary`, of a test pattern only: figures of the raw outputs, for comparing machines. */
  detect: { input: { image: string | TestPattern; minScore?: number; sizePx?: number; annotate?: string }; output: { widthPx: number; heightPx: number; detections: Detection[]; summary?: number[] } }
  /** Reads printed text. */
  read: { input: { image: string | TextPattern }; output: { text: string; lines: TextLine[] } }
  /** Any ONNX graph: tensors by name in, tensors by name out. */
  tensor: { input: { feeds: Record<string, PlainTensor> }; output: { tensors: Record<string, PlainTensor> } }
  /** Free speech to text; a WAV file of any rate, of which the first channel is heard. `confidence`: geometric mean of the probability of each token, 0 to 1. */
  transcribe: { input: { file: string | VoicePattern }; output: { text: string; audioS: number; confidence: number } }
  /** Text to a WAV file, a sentence at a time. `loudnessDb`: mean power of what the model gave, of full scale. */
  speak: { input: { text: string | PhonemePattern; file?: string }; output: { audioS: number; loudnessDb: number } }
  /** How far a reading of telemetry is from normal: mean squared error of standardised values. */
  normality: { input: { values: number[] }; output: { error: number; worst: { name: string; error: number }[] } }
  /** Score, 0 to 1, that one second of sound (a mono 16 kHz WAV file) is the learned word. */
  keyword: { input: { file: string }; output: { score: number } }
}
export type TaskName = keyof Tasks
export const TASK_NAMES = ['detect', 'read', 'tensor', 'transcribe', 'speak', 'normality', 'keyword'] as const satisfies readonly TaskName[]

export interface RunOptions {
  /** Answer or error by then, from now, ms; includes waiting, loading, and one try again. */
  deadlineMs: number
  /** 0 first, as of intents; default 5. */
  priority?: number
  /** Run on this many workers and answer with the majority; default from the model's configuration, else 1. */
  vote?: number
  /** In a realm: a second node is asked when the first has not answered by its p95; left out: where the priority is 2 or less, as for what somebody waits to hear. */
  hedge?: boolean
  signal?: AbortSignal
}

export interface Answer<T extends TaskName> {
  output: Tasks[T]['output']
  model: string
  version: string
  /** Execution provider that ran it, as proven by profiling. */
  provider: string
  /** In the queue, ms. */
  queuedMs: number
  /** In the worker, ms. */
  runMs: number
  /** Runs that it took: more than 1 after a worker was lost on it, and in a vote. */
  attempts: number
  /** What the worker proved itself by right after this input, where the model says `prove: each`. */
  proof?: Proof
  /** In a realm: which node answered. */
  node?: string
  vote?: { asked: number; agreed: number; dissenters: string[] }
}

/**
 * Model capabilities. `run` rejects with MtorError: NOT_FOUND (no such model), MODEL_UNTRUSTED, MODEL_UNAVAILABLE
 * (circuit open, cannot be loaded), DEADLINE, BUSY (queue full), POISON (this input has killed two workers),
 * NO_MAJORITY, CANCELLED, or what is wrong with the input (IMAGE_INVALID, AUDIO_INVALID …).
 */
export interface Inference {
  run<T extends TaskName>(task: T, model: string, input: Tasks[T]['input'], options: RunOptions): Promise<Answer<T>>
  /** Loads a model before it is needed; resolves when it is proven. */
  warm(model: string): Promise<void>
  /** From the governor: models that run on an excluded provider are moved to the next one between requests. */
  throttle(throttle: Throttle): void
  status(): InferenceStatus
}

/** What the supervisor needs of the model store. */
export interface ModelLibrary {
  list(): Manifest[]
  /** Its files have just been found to be the right ones. @throws MtorError NOT_FOUND, MODEL_UNTRUSTED (a copy that could mend it was damaged too) */
  trusted(name: string): Promise<TrustedModel>
}

export interface ModelStatus {
  model: string; version: string; task: string; group: string
  state: 'cold' | 'loading' | 'ready' | 'broken' | 'untrusted'
  provider?: string
  /** Nodes of the graph by the provider that ran them at warm-up. */
  nodeCounts?: Record<string, number>
  p50Ms?: number; p95Ms?: number
  runs: number; restarts: number; quarantined: number
  circuit: 'closed' | 'open' | 'half-open'
  lastFault?: { atMs: number; code: string; message: string }
}
export interface WorkerStatus { worker: string; group: string; pid?: number; state: 'starting' | 'idle' | 'busy' | 'standby' | 'down'; rssBytes?: number; gpuBytes?: number; restarts: number; provenAgeMs?: number }
export interface InferenceStatus { models: ModelStatus[]; workers: WorkerStatus[]; queue: number }

/** What the governor lowers when the board is hot or short of power; 1 and undefined mean unchanged. */
export interface Throttle { frameRateFactor: number; sizePx?: number; excludeProviders?: readonly string[]; reason?: string }

