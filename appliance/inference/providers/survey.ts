import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../contracts/clock.ts'
import { LastWords, tied } from '../child.ts'
import { GraphWriter } from '../convert/onnx-writer.ts'
import type { Manifest } from '../manifest.ts'
import type { FromWorker, ToWorker } from '../messages.ts'

const WORKER = fileURLToPath(new URL('../worker.ts', import.meta.url))
/** TensorRT builds an engine at the first load. */
const LOAD_MS = 180_000
const CHANNELS = 4
const SIDE = 8
/** TensorFloat-32, which GPUs since Ampere use for convolutions, has 10 bits of mantissa. */
const TOLERANCE = 4e-3

export interface Finding {
  provider: string
  /** It ran nodes of a graph, and what came out was right. */
  works: boolean
  nodeCounts?: Record<string, number>
  /** From asking for it to a proven model, ms. */
  loadMs?: number
  /** Why it does not work. */
  reason?: string
}

/**
 * Which execution providers really work on this machine: each loads and runs a small convolution in a worker process of its
 * own, so that a driver that crashes or hangs harms nothing and is told as such.
 */
export async function survey(providers: readonly string[], clock: Clock, loadMs = LOAD_MS): Promise<Finding[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-survey-'))
  try {
    const { bytes, manifest, expected } = convolution()
    await writeFile(join(folder, manifest.files[0]!.path), bytes)
    const findings: Finding[] = []
    for (const provider of providers) {
      const reply = await ask({ kind: 'load', requestId: 1, manifest, folder, providers: [provider], threads: 1 }, clock, loadMs)
      findings.push({ provider, ...judge(reply, expected) })
    }
    return findings
  } finally { await rm(folder, { recursive: true, force: true }) }
}

function judge(reply: FromWorker | string, expected: number): Omit<Finding, 'provider'> {
  if (typeof reply === 'string') return { works: false, reason: reply }
  if (reply.kind === 'failed') {
    const [attempt] = (reply.error.data?.['tried'] ?? []) as { error: string }[]
    return { works: false, reason: attempt?.error ?? reply.error.message }
  }
  if (reply.kind !== 'loaded') return { works: false, reason: `unexpected ${reply.kind}` }
  const { nodeCounts, loadMs } = reply
  const data = (reply.proofs[0]?.output as { tensors?: { y?: { data: Float32Array } } } | undefined)?.tensors?.y?.data
  const worst = data?.reduce((most, value) => Math.max(most, Math.abs(value - expected)), 0)
  if (worst === undefined || !(worst <= TOLERANCE * expected)) return { works: false, nodeCounts, loadMs, reason: `it ran, and gave a wrong result (off by ${worst})` }
  return { works: true, nodeCounts, loadMs }
}

/** y = relu(conv 1 × 1 (x)): of ones every output is the sum of its weights, here the same for each. */
function convolution(): { bytes: Uint8Array; manifest: Manifest; expected: number } {
  const graph = new GraphWriter('survey')
  const shape = [1, CHANNELS, SIDE, SIDE]
  graph.input('x', 'float32', shape)
  const weights = Array.from({ length: CHANNELS }, (_, channel) => 0.1 * (channel + 1))
  graph.constant('w', Float32Array.from({ length: CHANNELS * CHANNELS }, (_, index) => weights[index % CHANNELS]!), [CHANNELS, CHANNELS, 1, 1])
  graph.node('Conv', ['x', 'w'], ['sum'], { kernel_shape: [1, 1] })
  graph.node('Relu', ['sum'], ['y'])
  graph.output('y', 'float32', shape)
  const bytes = graph.bytes()
  return {
    bytes, expected: weights.reduce((sum, weight) => sum + weight, 0),
    manifest: {
      name: 'survey', version: '1', title: 'Small convolution', task: 'tensor', licence: { spdx: 'GPL-3.0-or-later' }, source: { kind: 'learned', by: 'survey' },
      files: [{ path: 'survey.onnx', sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }],
      signature: { inputs: [{ name: 'x', type: 'float32', shape }], outputs: [{ name: 'y', type: 'float32', shape }] },
      memoryMB: 100, timeoutMs: 10_000, prove: 'idle', options: {},
      knownAnswers: [{ input: { feeds: { x: { type: 'float32', dims: shape, data: new Array<number>(CHANNELS * SIDE * SIDE).fill(1) } } }, output: {} }],
    },
  }
}

/** What a worker of its own answers to one request; in words where there is no answer. */
function ask(request: ToWorker, clock: Clock, withinMs: number): Promise<FromWorker | string> {
  const [execPath, execArgv] = tied(process.execPath, ['--no-warnings'])
  const child = fork(WORKER, [], { execPath, execArgv, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const words = new LastWords(child)
  return new Promise((resolve) => {
    const end = (reply: FromWorker | string) => {
      clock.clearTimeout(timer)
      child.removeAllListeners()
      child.on('error', () => {})
      child.kill('SIGKILL')
      resolve(reply)
    }
    const timer = clock.setTimeout(() => end(`it did not answer within ${withinMs / 1000} s`), withinMs)
    child.on('message', (message) => {
      const answer = message as FromWorker
      if (answer.kind === 'up') child.send(request, () => {})
      else if (answer.kind === 'loaded' || answer.kind === 'failed') end(answer)
    })
    child.on('error', (error) => end(error.message))
    child.on('exit', (code, signal) => end(`the process ended (${signal ?? code}): ${words}`))
  })
}
