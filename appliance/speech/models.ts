import { join } from 'node:path'
import { systemClock } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { Manifest } from '../inference/manifest.ts'
import { installedFolder } from '../inference/store/installed.ts'
import { TrustedFiles, type PinnedFiles } from '../inference/store/trusted-files.ts'
import { readYaml, SHIPPED_DIR } from '../inference/store/yaml.ts'

export { TrustedFiles } from '../inference/store/trusted-files.ts'

const PROJECT_MODELS = join(import.meta.dirname, '../../models')

/** A model of speech, as its manifest has it. */
export interface PinnedModel extends PinnedFiles {
  /** Of its manifest, in the store. */
  model: string
  version: string
  /** The npm package that brings it, and the folder of `files` in it; one that npm does not bring is in the store only. */
  npmPackage?: string
  folder: string
}

/** What the speech process needs in order to find its models. */
export interface SpeechModelOptions {
  /** Where it is remembered which files have been checked. */
  cacheDir?: string
  /** The model store, which has a second copy; left out: models/ of the project. */
  modelsDir?: string
  copyDir?: string
}

/**
 * The shipped manifest as this process needs it. It is not held against the schema here: that costs 60 ms of each start
 * of the ears, and the store's tests do it.
 */
function pinned(model: string): PinnedModel {
  const { title, version, files, source } = readYaml(join(SHIPPED_DIR, `${model}.yaml`)) as Manifest
  return { model, version, name: title, ...(source.kind === 'installed' ? { npmPackage: source.package, folder: source.folder } : { folder: '' }), files: Object.fromEntries(files.map(({ path, sha256 }) => [path, sha256])) }
}

/** libvosk for x86-64. */
export const VOSK_LIBRARY = pinned('libvosk')
/**
 * libvosk for arm64 is in no npm package. It is in the wheel of the Python package `vosk` 0.3.45, from which the store
 * brings it (`mtor models pull libvosk-arm64`); it needs libatomic1.
 */
export const VOSK_LIBRARY_ARM64 = pinned('libvosk-arm64')
/** Vosk's small US English model for phones. */
export const VOSK_MODEL = pinned('vosk-small-en-us')
/** Silero VAD version 5, the 16 kHz only graph. */
export const SILERO_MODEL = pinned('silero-vad')

/** What the ears have loaded with this engine: recogniser, then voice activity. */
export function modelsOf(engine: string): { model: string; version: string }[] {
  // PocketSphinx and its model are Debian's.
  const recogniser = engine === 'vosk' ? VOSK_MODEL : { model: `${engine}-en-us`, version: 'Debian' }
  return [recogniser, SILERO_MODEL].map(({ model, version }) => ({ model, version }))
}

/** The folder of an installed model. @throws MtorError ENGINE_MISSING when its package is not installed, or none brings it */
export function folderOf(model: PinnedModel): string {
  if (model.npmPackage === undefined) throw new MtorError('ENGINE_MISSING', `${model.name}: it is not installed`, { hint: `Bring it with: mtor models pull ${model.model}` })
  try { return installedFolder(model.npmPackage, model.folder) } catch (error) {
    const { code, message, hint } = toMtorError(error)
    throw new MtorError(code, `${model.name}: ${message}`, { cause: error, hint })
  }
}

/**
 * The folder of a model whose files have just been found right: as npm installed it, else as the store has it, mended from
 * its second copy where need be. @throws MtorError MODEL_UNTRUSTED, ENGINE_MISSING
 */
export async function trustedFolder(model: PinnedModel, options: SpeechModelOptions = {}): Promise<string> {
  try { return await new TrustedFiles(options.cacheDir).folder(model, folderOf(model)) } catch (thrown) {
    const first = toMtorError(thrown)
    try {
      // Only now: the store and its schemas would cost every start time and memory.
      const { ModelStore } = await import('../inference/store/index.ts')
      const store = new ModelStore({ modelsDir: options.modelsDir ?? PROJECT_MODELS, copyDir: options.copyDir, clock: systemClock, onEvent: () => { /* The core's store tells of it at its next scrub. */ }, scrubPeriodMs: Infinity })
      return (await store.trusted(model.model)).folder
    } catch (error) { throw toMtorError(error).code === 'MODEL_UNTRUSTED' ? error : first }
  }
}
