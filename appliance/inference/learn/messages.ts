import type { Manifest } from '../manifest.ts'
import type { WordLimits, WordMeasure } from './measure-word.ts'
import type { SetOptions } from './sets.ts'

/** What a learning process is told, once, and what it tells. */
export type ToLearner =
  | { kind: 'word'; options: WordOptions; folder: string }
  | { kind: 'normal'; options: NormalOptions; folder: string }

export interface WordOptions extends SetOptions {
  limits: WordLimits
  /** Fixed threshold; left out: chosen on the validation set. */
  threshold?: number
  epochs: number
  /** Batches of an epoch. */
  batches: number
}

export interface NormalOptions {
  /** Readings, oldest first. */
  readings: { atMs: number; values: Record<string, number> }[]
  epochs: number
  seed: number
  limits: { falseAlarmsPerHour: number; /** At least. */ detectedPercent: number }
}

/** A manifest but for what the store works out of the files. */
export type Draft = Omit<Manifest, 'files'> & { files: { path: string }[] }

export interface LearnedWord { draft: Draft; measured: WordMeasure; backend: string; tried: { name: string; reason: string }[]; remarks: string[]; counts: Record<string, number>; similar: string[]; epochs: number; validationLoss: number; seconds: number }
export interface NormalMeasure {
  readings: number
  /** Of the part that was held out. */
  heldOutHours: number
  falseAlarms: number
  falseAlarmsPerHour: number
  /** Share of departures put into held-out readings that were noticed, %. */
  detectedPercent: number
  departures: { name: string; tried: number; noticed: number }[]
  threshold: number
  /** Readings in a row that make an alarm. */
  persistence: number
}
export interface LearnedNormal { draft: Draft; measured: NormalMeasure; backend: string; tried: { name: string; reason: string }[]; dropped: { name: string; reason: string }[]; names: string[]; epochs: number; loss: number; seconds: number }

export type FromLearner =
  | { kind: 'progress'; stage: string; message: string; epoch?: number; epochs?: number; loss?: number; validationLoss?: number }
  | { kind: 'learned-word'; result: LearnedWord }
  | { kind: 'learned-normal'; result: LearnedNormal }
  | { kind: 'failed'; error: { code: string; message: string; hint?: string; data?: Record<string, unknown> } }
