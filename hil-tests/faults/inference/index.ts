import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { flipWeight, weightNeedles } from './memory.ts'
import { activeWorker, innerFault, signalWorker, type InferenceFault } from './port.ts'

export type { InferenceFault, InferenceVictim } from './port.ts'

const LEAK = { name: 'leak', bytes: 150 * 1024 * 1024 } as const
const pick = (random: () => number, n: number) => Math.floor(random() * n)

/** Flips one bit of a file. */
function damage(file: string, random: () => number): number {
  const bytes = readFileSync(file)
  const at = pick(random, bytes.length)
  bytes[at]! ^= 1 << pick(random, 8)
  writeFileSync(file, bytes)
  return at
}

let needles: ReturnType<typeof weightNeedles> | undefined

/** Every way in which inference is broken by the campaign, by kind. */
export const INFERENCE_FAULTS: readonly InferenceFault[] = [
  { kind: 'SIGKILL', weight: 5, outage: true, inject: (v) => signalWorker(v, 'SIGKILL') },
  { kind: 'SIGSTOP', weight: 4, outage: true, inject: (v) => signalWorker(v, 'SIGSTOP') },
  { kind: 'busy loop', weight: 4, outage: true, inject: (v) => innerFault(v, { name: 'busy' }) },
  { kind: 'native abort', weight: 4, outage: true, inject: (v) => innerFault(v, { name: 'abort' }) },
  {
    kind: 'memory leak', weight: 2, outage: false,
    async inject(v) {
      // In steps, as leaks are: one allocation of all of it would be a hang. Into one process only: a second that is lost on
      // the same picture would rightly make that picture a poison.
      const what = await innerFault(v, LEAK)
      for (let i = 1; i < 6 && what; i++) {
        await new Promise((done) => setTimeout(done, 150))
        if ((await activeWorker(v))?.pid === what.pid) await innerFault(v, LEAK).catch(() => {})
      }
      return what
    },
  },
  { kind: 'provider lost', weight: 3, outage: true, inject: (v) => innerFault(v, { name: 'provider-lost' }) },
  { kind: 'weights reloaded wrong', weight: 3, outage: true, inject: (v) => innerFault(v, { name: 'flip', seed: pick(v.random, 1e9), bits: 3 }) },
  {
    kind: 'weight flipped in memory', weight: 4, outage: false,
    async inject(v) {
      const active = await activeWorker(v)
      if (!active) return undefined
      needles ??= weightNeedles(v.goodFile)
      for (let tries = 0; tries < 12; tries++) {
        const needle = needles[pick(v.random, needles.length)]!
        const element = pick(v.random, 8)
        // Mostly bits of the exponent and the sign: flips of the last places change nothing that could be told.
        const bit = 20 + pick(v.random, 12)
        let places = 0
        try { places = flipWeight(active.pid, needle, element, bit) } catch { return undefined }
        if (places > 0) return { ...active, weight: needle.what, element, bit, places }
      }
      return undefined
    },
  },
  {
    kind: 'model file damaged', weight: 3, outage: true,
    async inject(v) {
      const at = damage(v.modelFile, v.random)
      return { at, ...await signalWorker(v, 'SIGKILL') }
    },
  },
  {
    kind: 'model and copy damaged', weight: 1, outage: true,
    async inject(v) {
      damage(v.modelFile, v.random)
      damage(v.copyFile, v.random)
      const active = await signalWorker(v, 'SIGKILL')
      const codes: string[] = []
      const until = performance.now() + 5_000
      while (performance.now() < until && !codes.includes('MODEL_UNTRUSTED')) await v.detect('any').then(() => codes.push('answered'), (error: { code?: string }) => codes.push(error.code ?? 'unknown'))
      copyFileSync(v.goodFile, v.copyFile)
      copyFileSync(v.goodFile, v.modelFile)
      return { ...active, meanwhile: [...new Set(codes)] }
    },
  },
  {
    kind: 'poison input', weight: 3, outage: true,
    async inject(v) {
      const active = await activeWorker(v)
      const code = await v.detect(v.poisonImage).then(() => 'answered', (error: { code?: string }) => error.code ?? 'unknown')
      return { ...active, code }
    },
  },
  {
    kind: 'full disk', weight: 2, outage: false,
    async inject(v) {
      if (!v.smallDisk) return undefined
      const filler = join(v.smallDisk, 'filler')
      try { writeFileSync(filler, Buffer.alloc(64 * 1024 * 1024)) } catch { /* Full, as it should be. */ }
      const code = await v.appliance.control.call('POST', '/intents', { type: 'camera.capture' }).then(() => 'accepted', (error: { code?: string }) => error.code ?? 'unknown')
      await v.detect('any').catch(() => {})
      rmSync(filler, { force: true })
      return { code }
    },
  },
]
