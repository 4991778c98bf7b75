import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from '../manifest.ts'
import type { FromWorker, Proof, ToWorker } from '../messages.ts'

/**
 * A worker for tests of the supervisor: a real child process that speaks messages.ts and does at a given moment what the input tells it
 * ("sleep 300 hello" answers hello after 300 ms). "once NAME …" does it the first time only and then says NAME; so does "load: …" in
 * the options of a manifest while it loads. An input that is the path of a file has what it is to do in that file. Its one known answer is "say known".
 */
const send = (message: FromWorker) => { if (process.connected) process.send!(message, undefined, undefined, () => {}) }
const pause = (ms: number) => new Promise((resolve) => { setTimeout(resolve, ms) })
const kept: Buffer[] = []
const models = new Map<string, Manifest>()
/** As with CUDA: what once had no memory in this process never works in it again. */
const spoilt = new Set<string>()
let asked = 0
let isLying = false
let wrongDigest = false

class Failure { readonly code: string; readonly message: string; readonly gpu: boolean; constructor(code: string, message: string, gpu = false) { this.code = code; this.message = message; this.gpu = gpu } }

/** True for the first process that asks. */
function first(folder: string, name: string): boolean {
  try { closeSync(openSync(join(folder, `once-${name}`), 'wx')); return true } catch { return false }
}

async function act(folder: string, command: string): Promise<string> {
  const [verb, ...words] = command.split(' ')
  const [word = '', ...rest] = words
  switch (verb) {
    case 'once': return first(folder, word) ? act(folder, rest.join(' ')) : word
    case 'say': return words.join(' ')
    case 'sleep': await pause(Number(word)); return rest.join(' ')
    case 'prepare': send({ kind: 'preparing', requestId: asked }); await pause(Number(word)); return rest.join(' ')
    case 'busy': for (;;);
    case 'deaf': setImmediate(() => { for (;;); }); return 'deaf'
    case 'exit': return process.exit(Number(word))
    case 'abort': return process.abort()
    case 'kill': process.kill(process.pid, 'SIGKILL'); return await new Promise(() => {})
    case 'stop': process.kill(process.pid, 'SIGSTOP'); return 'stopped'
    case 'leak': kept.push(Buffer.alloc(Number(word) * 1024 * 1024, 1)); return rest.join(' ')
    case 'hold': kept.push(Buffer.alloc(Number(word) * 1024 * 1024, 1)); return await new Promise(() => {})
    case 'lie': isLying = true; return 'a lie'
    case 'drift': wrongDigest = true; return 'a drift'
    case 'pid': return String(process.pid)
    case 'refuse': throw new Failure('IMAGE_INVALID', 'that is no picture')
    case 'fail': throw new Failure('MODEL_UNAVAILABLE', 'the graph failed')
    case 'gpu': throw new Failure('MODEL_UNAVAILABLE', 'CUDA failure 719', true)
    default: throw new Failure('INVALID_SLOTS', `unknown command ${command}`)
  }
}

const run = async (model: string, command: string) => ({ text: isLying ? 'something else' : await act(String(models.get(model)?.options['folder']), command), lines: [] })
const digest = (output: unknown) => createHash('sha256').update(`${JSON.stringify(output)}${wrongDigest ? ' drifted' : ''}`).digest('hex')

async function proofs(model: string): Promise<Proof[]> {
  const manifest = models.get(model)!
  return await Promise.all(manifest.knownAnswers.map(async ({ input }, index) => {
    const output = await run(model, String(input['image']))
    return { index, output, ...(manifest.options['digests'] === false ? {} : { digest: digest(output) }) }
  }))
}

async function answer(message: Extract<ToWorker, { requestId: number }>): Promise<FromWorker> {
  const { requestId } = message
  asked = requestId
  const startedMs = performance.now()
  if (message.kind === 'load') {
    const { options, name } = message.manifest
    const missing = (options['missing'] ?? []) as string[]
    const lying = (options['lying'] ?? []) as string[]
    const full = ((options['full'] ?? []) as string[]).filter((p) => message.providers.includes(p) && (spoilt.has(p) || first(String(options['folder']), `full-${p}`)))
    for (const p of full) spoilt.add(p)
    const provider = message.providers.find((p) => !missing.includes(p) && !full.includes(p))
    if (options['load']) await act(String(options['folder']), String(options['load']))
    if (provider === undefined) throw new Failure('MODEL_UNAVAILABLE', 'no provider works')
    isLying = lying.includes(provider)
    models.set(name, message.manifest)
    const tried = message.providers.slice(0, message.providers.indexOf(provider)).map((p) => full.includes(p) ? { provider: p, error: 'out of memory', isShort: true as const } : { provider: p, error: 'not in this build' })
    return { kind: 'loaded', requestId, provider, nodeCounts: { [provider]: 7 }, tried, loadMs: performance.now() - startedMs, proofs: await proofs(name) }
  }
  if (message.kind === 'prove') return { kind: 'proven', requestId, proofs: await proofs(message.model), runMs: performance.now() - startedMs }
  const { image } = message.input as { image: string }
  const output = await run(message.model, image.startsWith('/') ? readFileSync(image, 'utf8') : image)
  const runMs = performance.now() - startedMs
  return { kind: 'answer', requestId, output, runMs, ...(message.prove ? { proof: (await proofs(message.model))[0]! } : {}) }
}

process.on('message', (message: ToWorker) => {
  if (message.kind === 'shutdown') process.exit(0)
  if (message.kind === 'unload') models.delete(message.model)
  if (!('requestId' in message)) return
  send({ kind: 'taken', requestId: message.requestId })
  answer(message).then(send, (thrown: unknown) => {
    const { code, message: text, gpu } = thrown instanceof Failure ? thrown : new Failure('INTERNAL', String(thrown))
    send({ kind: 'failed', requestId: message.requestId, error: { code, message: text }, ...(gpu ? { gpu } : {}) })
  })
})
process.once('disconnect', () => process.exit(0))
send({ kind: 'up', startMs: Math.round(performance.now()) })
