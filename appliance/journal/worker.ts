import { existsSync, readFileSync, rmSync } from 'node:fs'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import { Archive } from './archive.ts'
import type { FromWorker, JournalFault, Reply, Request, WorkerOptions } from './messages.ts'
import { openJournal } from './open.ts'
import { isCorrupt, isStorageError, unavailable } from './sqlite-errors.ts'
import { Store, type ListQuery } from './store.ts'

/**
 * The journal's thread. Everything that waits when a transaction begins goes into it (group commit), and is answered
 * after COMMIT, so the number of fsyncs follows the disk and not the load.
 */
const options = workerData as WorkerOptions
const port = parentPort!
const gate = new Int32Array(options.gate)
/** A fault injector in another process leaves one JournalFault as JSON in this file (written elsewhere and renamed). */
const faultFile = process.env.MTOR_JOURNAL_FAULT_FILE
/** After a failure the file is opened again at most this often, ms. */
const REOPEN_MS = 250
/** At most this many finished intents are archived between two groups. */
const ARCHIVE_STEP = Math.max(1, Math.min(256, Math.floor(options.maxFinished / 4)))

let store: Store | undefined
let full = false
let down: { error: MtorError; timer: NodeJS.Timeout } | undefined
let archiving = false
let events: SystemEventInput[] = []

const archive = new Archive(options.file, options.archiveMaxBytes, (event) => { events.push(event) })

const post = (message: FromWorker) => {
  if (events.length) { message.events = events; events = [] }
  port.postMessage(JSON.stringify(message))
}

const refusal = (error: MtorError) => ({ code: error.code, message: error.message, hint: error.hint })

const OPERATIONS: Record<string, (store: Store, args: never) => unknown> = {
  boot: (s, bootId: string) => s.boot(bootId),
  accept: (s, input: Parameters<Store['accept']>[0]) => s.accept(input),
  claim: (s, input: Parameters<Store['claim']>[0]) => s.claim(input),
  progress: (s, input: Parameters<Store['progress']>[0]) => s.progress(input),
  finish: (s, input: Parameters<Store['finish']>[0]) => s.finish(input),
  get: (s, id: string) => s.get(id),
  unfinished: (s) => s.unfinished(),
  list: (s, query: ListQuery) => s.list(query),
  clearDeadLetter: (s, id: string) => s.clearDeadLetter(id),
  nextEpoch: (s, { device, above }: { device: string; above: number }) => s.nextEpoch(device, above),
  put: (s, input: { key: string; value?: unknown }) => s.put(input),
  read: (s, key: string) => s.read(key),
  keys: (s, prefix: string) => s.keys(prefix),
}

function open() {
  const { db, counters } = openJournal({ file: options.file, wallMs: options.wallMs, onEvent: (event) => { events.push(event) } })
  store = new Store(db, options.file, archive, counters)
  store.limitSize(full)
}

/** One group: one transaction, then the answers. */
function commit(requests: Request[]) {
  if (!store) return reject(requests, down!.error)
  let replies: Reply[] = []
  try {
    const open = store
    open.transact(() => { replies = requests.map((request) => answer(open, request)) })
    post({ replies, stats: open.stats() })
  } catch (error) {
    fail(error)
    reject(requests, unavailable(error))
  }
}

function answer(store: Store, [sequence, operation, args]: Request): Reply {
  try {
    const value = OPERATIONS[operation]!(store, args as never)
    return value === undefined ? [sequence] : [sequence, value]
  } catch (error) {
    if (isStorageError(error)) throw error
    return [sequence, null, refusal(error instanceof MtorError ? error : new MtorError('INTERNAL', `${operation}: ${String(error)}`))]
  }
}

function reject(requests: Request[], error: MtorError) {
  post({ replies: requests.map(([sequence]) => [sequence, null, refusal(error)]) })
}

/** The disk did not take it: close, and open again until it works. A damaged file is set aside by opening it again. */
function fail(error: unknown) {
  try { store?.close() } catch { /* closing writes as well */ }
  store = undefined
  const first = !down
  clearTimeout(down?.timer)
  down = { error: unavailable(error), timer: setTimeout(reopen, isCorrupt(error) ? 0 : REOPEN_MS) }
  if (first) events.push({ severity: 'critical', component: 'journal', name: 'journal.unavailable', code: 'JOURNAL_UNAVAILABLE', message: down.error.message })
}

/** Opening is not enough: a full disk lets itself be opened. A small durable write shows that it works again. */
function reopen() {
  try {
    open()
    store!.probe()
    down = undefined
    events.push({ severity: 'info', component: 'journal', name: 'journal.recovered', message: 'The journal is durable again' })
    post({ stats: store!.stats() })
  } catch (error) {
    fail(error)
    post({})
  }
}

/** After the answers of a group, so that nobody waits for it. */
function housekeeping() {
  try {
    store?.checkpoint()
  } catch (error) { fail(error) }
  const stats = store?.stats()
  if (stats && !archiving && stats.finished - stats.archivedTotal - options.maxFinished >= ARCHIVE_STEP) archiveStep()
}

/** One step, then whatever waits, then the next step. */
function archiveStep() {
  try {
    archiving = store !== undefined && store.archiveStep(options.maxFinished, ARCHIVE_STEP) > 0
  } catch (error) {
    archiving = false
    fail(error)
  }
  if (archiving) setImmediate(archiveStep)
  if (archiving || events.length) post({ stats: store?.stats() })
}

function inject(fault: JournalFault) {
  if (fault.crash) process.exit(70)
  if (fault.full !== undefined) {
    full = fault.full
    store?.limitSize(full)
  }
  if (fault.stallMs) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fault.stallMs)
}

/** Faults are put in before the group, and also while the file is out of reach. */
function takeFaults(waiting: Request[]): Request[] {
  if (faultFile && existsSync(faultFile)) {
    const fault = JSON.parse(readFileSync(faultFile, 'utf8')) as JournalFault
    rmSync(faultFile)
    inject(fault)
  }
  const faults = waiting.filter(([, operation]) => operation === 'fault')
  for (const [, , fault] of faults) inject(fault as JournalFault)
  if (!faults.length) return waiting
  post({ replies: faults.map(([sequence]) => [sequence]) })
  return waiting.filter(([, operation]) => operation !== 'fault')
}

function close() {
  clearTimeout(down?.timer)
  try { store?.close() } catch { /* nothing more can be done; what was acknowledged is in the log */ }
  archive.close()
  process.exit(0)
}

port.on('message', (first: string) => {
  const waiting: Request[] = JSON.parse(first)
  for (let more = receiveMessageOnPort(port); more; more = receiveMessageOnPort(port)) for (const request of JSON.parse(more.message) as Request[]) waiting.push(request)
  while (Atomics.load(gate, 0) === 1) Atomics.wait(gate, 0, 1)
  const last = waiting.at(-1)![1] === 'close' ? waiting.pop() : undefined
  const group = takeFaults(waiting)
  for (let i = 0; i < group.length; i += options.maxGroup) commit(group.slice(i, i + options.maxGroup))
  if (last) close()
  housekeeping()
})

try {
  open()
  post({ ready: true, stats: store!.stats() })
} catch (error) {
  post({ failed: refusal(unavailable(error)) })
  process.exit(0)
}
