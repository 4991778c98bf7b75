import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import type { Manifest } from '../manifest.ts'

/** Formats that can be converted to ONNX. */
export type ConvertFrom = NonNullable<Manifest['convert']>['from']

/**
 * Converts the files `inputs` (relative to `inputFolder`, verified before) into `outputFile`; a model that becomes several
 * graphs is written beside it, under their own names. Each file appears whole or not at all. The same inputs give the same
 * bytes, so that the manifest can pin the hash of what comes out. Takes a second and some memory: not for the core process.
 * @returns the files written. @throws MtorError MODEL_INVALID, with what the model has that the converter lacks
 */
export async function convert(from: ConvertFrom, inputFolder: string, inputs: readonly { path: string }[], outputFile: string): Promise<string[]> {
  const files = await CONVERTERS[from](inputFolder, inputs.map(({ path }) => path), basename(outputFile))
  const folder = dirname(outputFile)
  await mkdir(folder, { recursive: true })
  const written: string[] = []
  for (const [name, bytes] of Object.entries(files)) {
    const file = join(folder, name)
    await writeFile(`${file}.part`, bytes, { flush: true })
    await rename(`${file}.part`, file)
    written.push(file)
  }
  return written
}

type Converter = (folder: string, inputs: readonly string[], output: string) => Promise<Record<string, Uint8Array>>

/** Each is loaded on first use only. */
const CONVERTERS: Record<ConvertFrom, Converter> = {
  tfjs: async (folder, inputs, output) => ({ [output]: (await (await import('./tfjs.ts')).convertTfjsFiles(folder, inputs, basename(output, extname(output)))).bytes }),
  ctranslate2: async (folder, inputs) => {
    // Too large a file is cut into .part1, .part2 … by who packed it.
    const parts = inputs.filter((path) => /\.bin(\.part\d)?$/.test(path)).sort()
    if (parts.length === 0) throw new MtorError('MODEL_INVALID', `a model of CTranslate2 has a .bin file, got: ${inputs.join(', ')}`)
    const file = Buffer.concat(await Promise.all(parts.map((path) => readFile(join(folder, path)))))
    return (await import('./ctranslate2.ts')).convertWhisper(file)
  },
}
