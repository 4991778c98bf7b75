import type { InferenceSession } from 'onnxruntime-node'
import type { TrustedModel } from './manifest.ts'
import type { Proof } from './messages.ts'
import type { TaskName, Tasks } from './port.ts'

/** What tasks use of a session. */
export type Session = Pick<InferenceSession, 'run' | 'release' | 'inputNames' | 'outputNames' | 'inputMetadata' | 'outputMetadata'>
/** A proven ONNX session; only worker processes have one. */
export interface OpenSession { session: Session; ort: typeof import('onnxruntime-node'); provider: string }

/** What a task gets in order to load a model. */
export interface LoadContext {
  model: TrustedModel
  threads: number
  /** Opens a file of the model with the provider that is being tried. Asked again, it opens another session. */
  open(path: string): Promise<OpenSession>
}

/** One loaded model. Calls come one at a time. */
export interface LoadedTask<T extends TaskName> {
  /** @throws MtorError with what is wrong with the input; anything else thrown counts as a fault of the model */
  run(input: Tasks[T]['input']): Promise<Tasks[T]['output']>
  /** Digest of the raw outputs of the last run; undefined where the engine gives none. */
  digest?(): Proof['digest']
  /** The digest that a run of this input has, without the work of making an output of it. */
  digestOf?(input: Tasks[T]['input']): Promise<Proof['digest']>
  close(): Promise<void>
}

/** The code of a task, loaded in the worker only. Task modules export one as `task`. */
export interface TaskModule<T extends TaskName = TaskName> {
  /** False where it brings its own engine and no provider is chosen (reading text in WebAssembly). */
  usesOnnx: boolean
  load(context: LoadContext): Promise<LoadedTask<T>>
}

/** Where each task is; imported in a worker, on first use. */
export const TASK_MODULES: { [T in TaskName]: () => Promise<{ task: TaskModule<T> }> } = {
  detect: () => import('../vision/detect/task.ts'),
  read: () => import('../vision/read/task.ts'),
  tensor: () => import('./tensor-task.ts'),
  transcribe: () => import('../speech/transcribe/task.ts'),
  speak: () => import('../speech/speak/neural/task.ts'),
  normality: () => import('./learn/normality-task.ts'),
  keyword: () => import('./learn/keyword-task.ts'),
}
