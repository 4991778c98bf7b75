// What the CUDA libraries of onnxruntime need on this machine, as the libraries themselves say.
import { spawnSync } from 'node:child_process'

/** The least driver for each CUDA. @see https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html */
const LEAST_DRIVERS = { 12: 525, 13: 580 }
/** onnxruntime loads it itself since 1.30, when the first node asks for it, so the linker's report does not name it. */
export const CUDNN = 'libcudnn.so.9'

/** Reads what ldd says of a library: which others the linker looks for in vain, and which CUDA (12, 13 …) it was built for. */
export function readNeeds(report) {
  const absent = [...report.matchAll(/^\s*(\S+) => not found$/gm)].map(([, library]) => library)
  const cuda = /^\s*libcudart\.so\.(\d+) =>/m.exec(report)
  return { absent, cuda: cuda ? Number(cuda[1]) : undefined }
}

/** @see ldd(1) */
export const needsOf = (file) => readNeeds(spawnSync('ldd', [file], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }).stdout ?? '')

/** Whether the dynamic linker itself finds a library by its name, wherever it looks (ld.so.conf, LD_LIBRARY_PATH). */
export function isLoadable(library) {
  const { status, stderr } = spawnSync('/bin/true', [], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', LD_PRELOAD: library } })
  return status === 0 && !stderr.includes('cannot be preloaded')
}

/** The least driver that this CUDA needs, where the one of a GPU ("NAME, VERSION, MEMORY" of nvidia-smi) is older. */
export function leastDriver(cuda, gpus) {
  const least = LEAST_DRIVERS[cuda]
  return gpus.some((gpu) => Number.parseInt(gpu.split(',')[1] ?? '', 10) < least) ? least : undefined
}
