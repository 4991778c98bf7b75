import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { ProviderName } from './names.ts'

/** Providers that onnxruntime loads as a library of their own, from the folder of its binding. */
const LIBRARIES: Readonly<Partial<Record<ProviderName, readonly string[]>>> = {
  cuda: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'],
  tensorrt: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_tensorrt.so'],
}
const LDD_MS = 5_000

/** Where onnxruntime-node keeps what it loads on this machine. */
export function bindingFolder(): string {
  const require = createRequire(import.meta.url)
  return join(dirname(require.resolve('onnxruntime-node/package.json')), 'bin', 'napi-v6', process.platform, process.arch)
}

/**
 * onnxruntime only says that a library could not be loaded; this adds which one is not there, or which ones it asks for
 * in vain. Any other message stays as it is.
 */
export async function explain(provider: ProviderName, message: string, folder: string = bindingFolder()): Promise<string> {
  const libraries = LIBRARIES[provider]
  if (!libraries || !/load shared library|Failed to load library/i.test(message)) return message
  const absent = libraries.filter((library) => !existsSync(join(folder, library)))
  if (absent.length > 0) return `${message}: ${absent.join(' and ')} not installed (${process.arch === 'arm64' ? 'see jetson/README.md' : 'npm run setup:cuda'})`
  const wanted = await Promise.all(libraries.map((library) => ldd(join(folder, library))))
  const missing = [...new Set(wanted.flatMap(notFound))]
  return missing.length > 0 ? `${message}: it needs ${missing.join(', ')}, not found on this machine` : message
}

/** What the dynamic linker looked for in vain. @see ldd(1) */
export const notFound = (report: string): string[] => [...report.matchAll(/^\s*(\S+) => not found$/gm)].map(([, library]) => library!)

const ldd = (file: string) => new Promise<string>((resolve) => { execFile('ldd', [file], { timeout: LDD_MS, env: { ...process.env, LC_ALL: 'C' } }, (_error, stdout) => resolve(stdout)) })
