import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { PROJECT_DIR } from '../../appliance/config/load.ts'
import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import type { TrustedModel } from '../../appliance/inference/manifest.ts'
import type { ProviderName } from '../../appliance/inference/providers/names.ts'
import { openSession } from '../../appliance/inference/providers/session.ts'
import { ModelStore } from '../../appliance/inference/store/index.ts'
import type { LoadedTask } from '../../appliance/inference/task.ts'
import { task } from '../../appliance/vision/detect/task.ts'

export const DETECTOR = 'centernet-coco'
/** git-ignored; what only benches need lies there. */
export const CACHE_DIR = join(PROJECT_DIR, '.cache')

/** The detector as the store has it. @throws MtorError MODEL_UNAVAILABLE, MODEL_UNTRUSTED */
export const trustedDetector = async (): Promise<TrustedModel> => await new ModelStore({ modelsDir: join(PROJECT_DIR, 'models'), clock, onEvent: () => {}, scrubPeriodMs: 3600_000 }).trusted(DETECTOR)

/** The detector as a worker loads it, in this process; `bytes`: another graph under its manifest. */
export async function openDetector(model: TrustedModel, options: { threads?: number; bytes?: Uint8Array; provider?: ProviderName } = {}): Promise<LoadedTask<'detect'>> {
  const { threads = 2, provider = 'cpu' } = options
  return await task.load({
    model, threads,
    open: async (path) => ({ ort, provider, session: await openSession({ ort, bytes: options.bytes ?? await readFile(join(model.folder, path)), provider, threads }) }),
  })
}

export { ort }
