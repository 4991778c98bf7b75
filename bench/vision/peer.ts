import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { Manifest } from '../../appliance/inference/manifest.ts'
import { fetchFiles } from '../../appliance/inference/store/sources/index.ts'
import { hashFile } from '../../appliance/inference/store/trusted-files.ts'
import { CACHE_DIR } from './detector.ts'

const require = createRequire(import.meta.url)

/** The same network in tfjs: pictures and feature maps are batch × height × width × channels there. */
export interface Peer {
  /** `wasm`, or `cpu` where that does not load. */
  backend: string
  /** Heat maps and sides of boxes, flat. */
  run(pixels: Float32Array, sidePx: number): Promise<{ heat: Float32Array; sides: Float32Array }>
  close(): void
}

/** Folder with the model as it was before conversion: `given`, or fetched from its source once, and kept for benches. */
export async function originalFolder({ convert, source, name }: Manifest, given: string | undefined, progress: (text: string) => void): Promise<string> {
  if (!convert) throw new MtorError('MODEL_INVALID', `${name} was not converted: there is no peer`)
  const folder = given ?? join(CACHE_DIR, 'bench', name)
  const wrong = async () => (await Promise.all(convert.inputs.map(async ({ path, sha256 }) => (await hashFile(join(folder, path)).catch(() => undefined))?.sha256 === sha256 ? [] : [path]))).flat()
  if ((await wrong()).length > 0 && given === undefined) {
    progress(`fetching ${name} as it was before conversion, for the peer (once)`)
    await mkdir(folder, { recursive: true })
    await fetchFiles(source, (member) => convert.inputs.find(({ path, from = path }) => from === member)?.path, folder, { scratch: join(folder, 'scratch'), partsDir: folder, progress: () => {} })
  }
  const lacking = await wrong()
  if (lacking.length > 0) throw new MtorError('MODEL_UNTRUSTED', `${folder}: ${lacking.join(', ')} are not the files that ${name} was converted from`)
  return folder
}

/** Loads it in WebAssembly with SIMD; one thread, as tfjs has it in Node. */
export async function openPeer(folder: string, outputs: { heat: string; sides: string }): Promise<Peer> {
  // Its packages are CommonJS, and find each other only that way.
  const tf = require('@tensorflow/tfjs-core') as typeof import('@tensorflow/tfjs-core')
  const converter = require('@tensorflow/tfjs-converter') as typeof import('@tensorflow/tfjs-converter')
  const wasm = require('@tensorflow/tfjs-backend-wasm') as typeof import('@tensorflow/tfjs-backend-wasm')
  require('@tensorflow/tfjs-backend-cpu')
  wasm.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  if (!await tf.setBackend('wasm').catch(() => false)) await tf.setBackend('cpu')
  await tf.ready()
  const json = JSON.parse(await readFile(join(folder, 'centernet.json'), 'utf8')) as { modelTopology: object; weightsManifest: { weights: never[] }[] }
  const weights = await readFile(join(folder, 'centernet.bin'))
  const model = await converter.loadGraphModel({ load: () => Promise.resolve({ modelTopology: json.modelTopology, weightSpecs: json.weightsManifest.flatMap((group) => group.weights), weightData: new Uint8Array(weights).buffer }) })
  return {
    backend: tf.getBackend(),
    async run(pixels, sidePx) {
      const input = tf.tensor4d(pixels, [1, sidePx, sidePx, 3])
      const tensors = model.execute(input, [outputs.heat, outputs.sides]) as InstanceType<typeof tf.Tensor>[]
      const [heat, sides] = await Promise.all(tensors.map((tensor) => tensor.data())) as [Float32Array, Float32Array]
      for (const tensor of [input, ...tensors]) tensor.dispose()
      return { heat, sides }
    },
    close() { model.dispose() },
  }
}
