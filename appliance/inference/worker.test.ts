import { fork, spawnSync, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { processState } from './keeper.ts'
import type { TrustedModel } from './manifest.ts'
import type { FromWorker, InnerFault, ToWorker } from './messages.ts'
import { becomes, sileroModel, smallGraph, temporary, writeModel } from './worker/testing.ts'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))
type Of<K extends FromWorker['kind']> = Extract<FromWorker, { kind: K }>

/** A real worker process, as the keeper starts it. */
function start(t: ExecutionContext, env: Record<string, string> = {}) {
  const { MTOR_INFERENCE_FAULTS: _, ...clean } = process.env
  const child: ChildProcess = fork(WORKER, [], { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...clean, ...env } })
  const messages: FromWorker[] = []
  let stdout = ''
  let stderr = ''
  let ended: { code: number | null; signal: string | null } | undefined
  child.on('message', (message) => { messages.push(message as FromWorker) })
  child.stdout!.on('data', (data) => { stdout += String(data) })
  child.stderr!.on('data', (data) => { stderr += String(data) })
  child.on('exit', (code, signal) => { ended = { code, signal } })
  t.teardown(() => { child.kill('SIGKILL') })
  let requestId = 0
  const send = (message: ToWorker) => { child.send(message, () => {}) }
  const end = async () => { await becomes('the worker ends', () => ended !== undefined); return ended! }
  /** Asks, and waits for the answer of that number. */
  const ask = async (message: Omit<Extract<ToWorker, { kind: 'load' }>, 'requestId'> | Omit<Extract<ToWorker, { kind: 'run' }>, 'requestId'> | Omit<Extract<ToWorker, { kind: 'prove' }>, 'requestId'>) => {
    const id = ++requestId
    send({ ...message, requestId: id } as ToWorker)
    const answered = () => messages.find((answer) => 'requestId' in answer && answer.requestId === id && answer.kind !== 'taken')
    await becomes(`an answer to ${message.kind} (stderr: ${stderr})`, () => answered() !== undefined || ended !== undefined)
    return answered()
  }
  return {
    child, messages, send, ask, end, stdout: () => stdout,
    load: (model: TrustedModel, providers = ['cpu']) => ask({ kind: 'load', ...model, providers, threads: 1 }),
    run: (input: unknown, prove = true) => ask({ kind: 'run', model: 'small', input, prove }),
    fault: (fault: InnerFault) => { send({ kind: 'fault', fault }) },
    ended: () => ended,
  }
}
const FAULTS = { MTOR_INFERENCE_FAULTS: '1' }
const ASK = { feeds: { x: { type: 'float32', dims: [1, 4], data: Float32Array.of(2, 0, 0, 0) } } }
const CORRECT = { tensors: { y: { type: 'float32', dims: [1, 3], data: Float32Array.of(0.5, 1, 1.5) } } }

test('a worker says it is up, takes requests at once, answers each in order, and ends when told', async (t) => {
  const worker = start(t)
  await becomes('up', () => worker.messages.some(({ kind }) => kind === 'up'))
  const loaded = await worker.load(await writeModel(await temporary(t))) as Of<'loaded'>
  t.like(loaded, { kind: 'loaded', provider: 'cpu', nodeCounts: { cpu: 2 } })
  const answer = await worker.run(ASK) as Of<'answer'>
  t.deepEqual(answer.output, CORRECT)
  t.is(answer.proof!.digest, loaded.proofs[0]!.digest)
  const proven = await worker.ask({ kind: 'prove', model: 'small' }) as Of<'proven'>
  t.deepEqual(proven.proofs, loaded.proofs)
  t.deepEqual(worker.messages.filter(({ kind }) => kind !== 'log').map((message) => 'requestId' in message ? `${message.kind} ${message.requestId}` : message.kind),
    ['up', 'taken 1', 'loaded 1', 'taken 2', 'answer 2', 'taken 3', 'proven 3'])
  worker.send({ kind: 'shutdown' })
  t.deepEqual(await worker.end(), { code: 0, signal: null })
  t.is(worker.stdout(), '')
})

test('what is wrong with an input is told with its code, and the worker serves on', async (t) => {
  const worker = start(t)
  await worker.load(await writeModel(await temporary(t)))
  const failed = await worker.run({ feeds: { x: { type: 'float32', dims: [1, 3], data: new Float32Array(3) } } }) as Of<'failed'>
  t.like(failed, { kind: 'failed', error: { code: 'INVALID_SLOTS', message: 'small: input x must be float32 [n, 4], got [1, 3]' } })
  t.is(failed.gpu, undefined)
  t.like(await worker.run(ASK), { kind: 'answer', output: CORRECT })
  worker.send({ kind: 'unload', model: 'small' })
  t.like(await worker.run(ASK), { kind: 'failed', error: { code: 'MODEL_UNAVAILABLE' } })
})

test('CUDA without its libraries fails cleanly: the CPU takes the model, and why is told', async (t) => {
  const worker = start(t)
  const loaded = await worker.load(await sileroModel(), ['tensorrt', 'cuda', 'cpu']) as Of<'loaded'>
  t.is(loaded.kind, 'loaded')
  // On a machine that has them one of the first two runs it, and is proven to.
  if (loaded.provider === 'cpu') {
    t.deepEqual(loaded.tried.map(({ provider }) => provider), ['tensorrt', 'cuda'])
    for (const { error } of loaded.tried) t.regex(error, /library|CUDA|backend not found|unsupported/)
  }
  t.true(loaded.nodeCounts[loaded.provider]! > 0)
})

test('a damaged file is refused by the worker itself', async (t) => {
  const worker = start(t)
  const folder = await temporary(t)
  const model = await writeModel(folder)
  await writeFile(join(folder, 'model.onnx'), smallGraph().toReversed())
  t.like(await worker.load(model), { kind: 'failed', error: { code: 'MODEL_UNTRUSTED', data: { file: 'model.onnx' } } })
})

test('a worker ends with its parent\'s channel', async (t) => {
  const worker = start(t)
  await worker.load(await writeModel(await temporary(t)))
  worker.child.disconnect()
  t.deepEqual(await worker.end(), { code: 0, signal: null })
})

test('faults are ignored without the environment variable, and that is said', async (t) => {
  const worker = start(t)
  await worker.load(await writeModel(await temporary(t)))
  for (const fault of [{ name: 'abort' }, { name: 'busy' }, { name: 'provider-lost' }, { name: 'leak', bytes: 1e8 }, { name: 'flip', seed: 1, bits: 8 }] as InnerFault[]) worker.fault(fault)
  const answer = await worker.run(ASK) as Of<'answer'>
  t.deepEqual(answer.output, CORRECT)
  t.is(worker.messages.filter((message) => message.kind === 'log' && message.level === 'warn' && message.message.includes('is not injected')).length, 5)
})

test('flipped weights are shown by the known answer after the next input', async (t) => {
  const worker = start(t, FAULTS)
  const loaded = await worker.load(await writeModel(await temporary(t))) as Of<'loaded'>
  worker.fault({ name: 'flip', seed: 3, bits: 4 })
  const answer = await worker.run(ASK) as Of<'answer'>
  t.is(answer.kind, 'answer', 'it goes on as if nothing had happened')
  t.not(answer.proof!.digest, loaded.proofs[0]!.digest)
})

test('a lost provider fails every run from then on, and is told as the GPU\'s fault', async (t) => {
  const worker = start(t, FAULTS)
  await worker.load(await writeModel(await temporary(t)))
  worker.fault({ name: 'provider-lost' })
  for (let run = 0; run < 2; run++) t.like(await worker.run(ASK), { kind: 'failed', gpu: true, error: { code: 'MODEL_UNAVAILABLE' } })
  t.like(await worker.ask({ kind: 'prove', model: 'small' }), { kind: 'failed', gpu: true })
})

test('abort ends the process natively; busy takes nothing any more; a leak is really taken', async (t) => {
  const [aborts, busy, leaks] = [start(t, FAULTS), start(t, FAULTS), start(t, FAULTS)]
  aborts.fault({ name: 'abort' })
  t.is((await aborts.end()).signal, 'SIGABRT')

  await leaks.load(await writeModel(await temporary(t)))
  const before = processState(leaks.child.pid!)!.rssBytes
  leaks.fault({ name: 'leak', bytes: 64 * 1024 * 1024 })
  t.like(await leaks.run(ASK), { kind: 'answer', output: CORRECT }, 'it still works')
  t.true(processState(leaks.child.pid!)!.rssBytes - before > 60 * 1024 * 1024)

  const model = await writeModel(await temporary(t))
  await busy.load(model)
  busy.fault({ name: 'busy' })
  busy.send({ kind: 'run', requestId: 99, model: 'small', input: ASK, prove: false })
  const cpuS = () => processState(busy.child.pid!)!.cpuS
  const startS = cpuS()
  await becomes('the loop takes processor time', () => cpuS() > startS + 0.2)
  t.false(busy.messages.some((message) => message.kind !== 'taken' && 'requestId' in message && message.requestId === 99))
  t.is(busy.ended(), undefined)
})

test('started by hand it says what it is, and ends', (t) => {
  const { status, stderr } = spawnSync(process.execPath, [WORKER], { encoding: 'utf8', timeout: 30_000 })
  t.is(status, 64)
  t.regex(stderr, /this is an inference worker; it is started by the appliance/)
})
