import type { MtorError } from '../../contracts/errors.ts'
import type { ModelRecord } from './book.ts'
import { WorkerClient, type Loss } from './client.ts'
import type { GroupName } from './groups.ts'
import { load, prove, unavailable, type Problem } from './loading.ts'
import { Queue, type Waiting } from './queue.ts'
import type { Request } from './request.ts'
import { carryOut } from './running.ts'
import type { Shared } from './shared.ts'

const MB = 1024 * 1024
/** A further worker for a vote is kept so long after its last use. */
const EXTRA_IDLE_MS = 30_000
/** When no worker of the group comes up that often in a row, nobody is left waiting for one. */
const MOST_FAILED_STARTS = 3
/** A worker spends at most a fiftieth of its idle time on proofs. */
const PROOF_SHARE = 50
/** What CUDA and cuDNN themselves take of a process (measured: 1.0 to 1.1 GB with the detector, each further session 0.1 GB). */
const CUDA_MB = 1_500
/** What a model may take beyond its manifest before that counts as a leak, whatever the ceiling of the configuration. */
const MEMORY_SLACK = 1.5

/** A place in the queue: one run of a request; of a request that is voted on there are several. */
interface Ballot extends Waiting { request: Request }

/** The workers of one use of the accelerator, and what waits for them. */
export class Group {
  readonly name: GroupName
  readonly shared: Shared
  readonly #queue: Queue<Ballot>
  #workers: WorkerClient[] = []
  #open = new Set<Request>()
  #doing = new Map<WorkerClient, ModelRecord>()
  #names = 0
  #isStopped = false

  constructor(name: GroupName, shared: Shared) {
    this.name = name
    this.shared = shared
    this.#queue = new Queue(shared.config.maxQueue)
  }

  get waiting(): number { return this.#queue.size }
  get isFull(): boolean { return this.#queue.isFull }
  get workers(): readonly WorkerClient[] { return this.#workers }

  /** Forks the workers at the first request. */
  submit(request: Request): void {
    request.record.isWanted = true
    if (this.#workers.length === 0) {
      for (let i = 0; i < this.shared.config.workers; i++) this.#add('active')
      if (this.shared.config.standby) this.#add('standby')
    }
    for (let missing = request.votes - this.#workers.filter(({ role }) => role !== 'standby').length; missing > 0; missing--) this.#add('extra')
    this.#open.add(request)
    for (let i = 0; i < request.votes; i++) this.#queue.add({ request, priority: request.priority, order: request.order })
    this.pump()
  }

  /** The request needs nothing more of us. */
  settled(request: Request): void {
    this.#open.delete(request)
    this.#queue.removeWhere((ballot) => ballot.request === request)
  }

  /** Puts it back where it was, to be run once more. */
  retry(request: Request): void {
    if (request.isSettled || this.#isStopped) return
    if (request.isLate) { request.expire(); return }
    if (!request.record.circuit.isClosed) { request.fail(this.#circuitOpen(request.record)); return }
    request.workers.clear()
    this.#queue.add({ request, priority: request.priority, order: request.order })
    this.pump()
  }

  #circuitOpen(record: ModelRecord): MtorError { return unavailable(record, `it has failed too often${record.lastFault ? ` (${record.lastFault.message})` : ''}; it is tried again by itself`) }

  /** Gives work to whoever is free: requests first, then loading, moving and proving. */
  pump(): void {
    if (this.#isStopped) return
    this.#succeed()
    for (const ballot of this.#queue.list()) {
      const worker = this.#choose(ballot.request)
      if (!worker || !this.#queue.remove(ballot)) continue
      if (ballot.request.isLate) { ballot.request.expire(); continue }
      void this.run(ballot.request, worker)
    }
    for (const worker of [...this.#workers]) if (worker.isFree) this.#chore(worker)
  }

  /** Has one worker do one thing; nobody else gives it work meanwhile. */
  async occupy(worker: WorkerClient, record: ModelRecord, work: () => Promise<void>): Promise<void> {
    worker.isBusy = true
    this.#doing.set(worker, record)
    try { await work() } finally {
      worker.isBusy = false
      this.#doing.delete(worker)
      this.pump()
    }
  }

  /** Runs a request in a worker that is free. */
  async run(request: Request, worker: WorkerClient): Promise<void> {
    await this.occupy(worker, request.record, () => carryOut(this, request, worker))
  }

  /** The worker has the model in its present version, or gets it now. */
  async ensure(worker: WorkerClient, record: ModelRecord): Promise<Problem | undefined> {
    if (worker.models.get(record.name)?.version === record.manifest.version) return undefined
    return await load(this.shared, worker, record)
  }

  /** A request takes suspiciously long: whoever is free and has the model runs it as well, and the first right answer counts. */
  hedge(request: Request): void {
    if (this.#isStopped) return
    if (!request.isSettled && request.votes === 1 && request.running === 1) {
      const free = this.#workers.filter((worker) => worker.isFree && worker.models.has(request.record.name) && !worker.isStopped())
      const other = free.find(({ role }) => role === 'standby') ?? free[0]
      if (other) void this.run(request, other)
    }
    this.pump()
  }

  worker(name: string): WorkerClient | undefined { return this.#workers.find((worker) => worker.name === name) }

  tick(): void {
    if (this.#isStopped) return
    const now = this.shared.clock.monoMs()
    for (const worker of this.#workers.filter((w) => w.role === 'extra' && !w.isBusy && now - w.lastUsedMs > EXTRA_IDLE_MS)) {
      this.#workers.splice(this.#workers.indexOf(worker), 1)
      void worker.stop()
    }
    this.pump()
  }

  /** Ends all workers; what is open is refused. Resolves when they are gone. */
  async stop(error: MtorError): Promise<void> {
    this.#isStopped = true
    for (const request of [...this.#open]) request.fail(error)
    await Promise.all(this.#workers.map((worker) => worker.stop()))
  }

  #add(role: WorkerClient['role']): void {
    const { shared } = this
    const worker: WorkerClient = new WorkerClient({
      name: `${this.name}-${++this.#names}`, group: this.name, file: shared.workerFile, clock: shared.clock,
      ceilingBytes: () => this.#ceilingBytes(worker),
      onUp: () => { this.pump() },
      onLost: (loss) => { this.#lost(worker, loss) },
      onLog: ({ level, message, data }) => { shared.event({ severity: level === 'warn' ? 'warning' : level, name: 'log', message: `${worker.name}: ${message}`, ...(data ? { data } : {}) }) },
    })
    worker.role = role
    this.#workers.push(worker)
    worker.start()
    this.#trustAhead()
  }

  /** Files are checked while the process starts. */
  #trustAhead(): void { for (const record of this.shared.book.wanted(this.name)) if (record.circuit.isClosed) this.shared.book.trusted(record).catch(() => {}) }

  /** One that has the model before one that has to load it; the standby only while all others are stuck. */
  #choose(request: Request): WorkerClient | undefined {
    const isStuck = this.#workers.every(({ role, isSuspect, isUp, models }) => role === 'standby' || isSuspect || !isUp || !models.has(request.record.name))
    const fits = this.#workers.filter((worker) => worker.isFree && !request.workers.has(worker.name)
      && (worker.role !== 'standby' || (isStuck && request.votes === 1 && worker.models.has(request.record.name))) && !worker.isStopped())
    return fits.find(({ models }) => models.has(request.record.name)) ?? fits[0]
  }

  #lost(worker: WorkerClient, loss: Loss): void {
    const { shared } = this
    const record = this.#doing.get(worker)
    const heir = worker.role === 'active' ? this.#promote(worker) : undefined
    const done = `${loss.why === 'crash' ? 'its process is started again' : 'it was killed and is started again'}${heir ? `; ${heir.name} has taken over` : ''}`
    const provider = record && worker.models.get(record.name)?.provider
    const fault = shared.faults.add({
      group: this.name, worker: worker.name, ...(loss.pid === undefined ? {} : { pid: loss.pid }), ...(record ? { model: record.name } : {}), ...(provider === undefined ? {} : { provider }),
      kind: loss.why, detail: loss.detail, done, ...(loss.afterMs === undefined ? {} : { noticedAfterMs: Math.round(loss.afterMs * 10) / 10 }),
    })
    shared.event({
      severity: 'error', name: 'worker.lost', code: 'MODEL_UNAVAILABLE', message: `${worker.name}: ${loss.why}: ${loss.detail}; ${done}`,
      data: { fault: fault.id, worker: worker.name, kind: loss.why, restarts: worker.restarts, ...(loss.pid === undefined ? {} : { pid: loss.pid }), ...(record ? { model: record.name } : {}) },
    })
    if (record) {
      record.restarts++
      record.lastFault = { atMs: fault.at ?? fault.mono, code: loss.why, message: loss.detail }
      // Neither says anything of the model: the one comes from outside, the other has a provider of its own to put aside.
      if (loss.why !== 'stopped' && loss.why !== 'provider' && !loss.isUnheard && record.circuit.fault()) this.#opened(record)
    }
    for (const wanted of shared.book.wanted(this.name)) if (wanted.state === 'ready' && !this.#workers.some((w) => w !== worker && w.models.has(wanted.name))) wanted.state = 'loading'
    if (this.#workers.every(({ failedStarts }) => failedStarts >= MOST_FAILED_STARTS)) for (const request of [...this.#open]) request.fail(unavailable(request.record, `no worker can be started: ${loss.detail}`))
    this.#trustAhead()
    // Not from within whatever has just killed it.
    setImmediate(() => { this.pump() })
  }

  #opened(record: ModelRecord): void {
    record.state = 'broken'
    const error = this.#circuitOpen(record)
    this.shared.event({ severity: 'error', name: 'model.unavailable', code: error.code, message: error.message, data: { model: record.name, retryAfterMs: Math.round(record.circuit.retryAfterMs) } })
    for (const { request } of this.#queue.list()) if (request.record === record) request.fail(error)
  }

  /** The standby takes over at once; the lost one is the next standby. */
  #promote(lost: WorkerClient): WorkerClient | undefined {
    const heir = this.#workers.find((worker) => worker.role === 'standby' && worker.isUp && worker.models.size > 0)
    if (!heir) return undefined
    heir.role = 'active'
    heir.isProofUrgent = true
    lost.role = 'standby'
    this.shared.event({ severity: 'info', name: 'worker.promoted', message: `${heir.name} takes the place of ${lost.name}`, data: { worker: heir.name, instead: lost.name } })
    return heir
  }

  /** Both were lost one after the other, and the standby is loaded first: it serves. */
  #succeed(): void {
    const empty = this.#workers.find(({ role, models }) => role === 'active' && models.size === 0)
    if (empty && this.#workers.some(({ role, isUp, models }) => role === 'standby' && isUp && models.size > 0)) this.#promote(empty)
  }

  #ceilingBytes(worker: WorkerClient): number {
    const loaded = [...worker.models.values()]
    const needMB = loaded.reduce((sum, { memoryMB }) => sum + memoryMB, 0)
    const driverMB = loaded.some(({ provider }) => provider === 'cuda' || provider === 'tensorrt') ? CUDA_MB : 0
    const record = this.#doing.get(worker)
    return (driverMB + Math.max(this.shared.config.maxRssMB, MEMORY_SLACK * (needMB + (record && !worker.models.has(record.name) ? record.manifest.memoryMB : 0)))) * MB
  }

  /** What is best done between requests. */
  #chore(worker: WorkerClient): void {
    const { shared } = this
    if (worker.isStopped() || this.#renew(worker)) return
    if (worker.role === 'extra') return
    const now = shared.clock.monoMs()
    const wanted = shared.book.wanted(this.name)
    const probe = wanted.find(({ circuit }) => circuit.isProbeDue)
    if (probe) {
      probe.circuit.probe()
      void this.occupy(worker, probe, () => this.#probe(worker, probe))
      return
    }
    const usable = wanted.filter(({ circuit }) => circuit.isClosed)
    const missing = usable.find(({ name, manifest, group, nextLoadMs }) => {
      if (now < nextLoadMs) return false
      const loaded = worker.models.get(name)
      return !loaded || loaded.version !== manifest.version || shared.policy.isMoveDue(manifest, group, loaded.provider, loaded.offered)
    })
    if (missing && worker.isSpoilt && worker.models.has(missing.name)) {
      // What it is to go back to works only in a new process.
      if (worker.role === 'active') this.#promote(worker)
      worker.renew('a provider is tried again')
      return
    }
    if (missing) {
      void this.occupy(worker, missing, async () => { await load(shared, worker, missing) })
      return
    }
    // Whatever is asked now proves it as well.
    const isUrgent = worker.isProofUrgent && this.#open.size === 0
    const due = usable.flatMap((record) => { const loaded = worker.models.get(record.name); return loaded ? [{ record, loaded }] : [] })
      .filter(({ loaded }) => isUrgent || now - loaded.provenMs >= Math.max(shared.config.idleProofMs, PROOF_SHARE * loaded.proofMs))
      .sort((a, b) => a.loaded.provenMs - b.loaded.provenMs)[0]
    if (due) void this.occupy(worker, due.record, async () => { await prove(shared, worker, due.record) })
  }

  /** After a pause, one proof: of what is loaded, or by loading it. */
  async #probe(worker: WorkerClient, record: ModelRecord): Promise<void> {
    const isRight = worker.models.has(record.name) ? await prove(this.shared, worker, record) : await load(this.shared, worker, record) === undefined
    if (!isRight) record.circuit.fault()
  }

  /** Too large: it is replaced now, while it has nothing to do. */
  #renew(worker: WorkerClient): boolean {
    const { shared } = this
    const ceilingBytes = this.#ceilingBytes(worker)
    const rssBytes = worker.rssBytes ?? 0
    const gpuBytes = shared.gpu.of(worker.pid) ?? 0
    const isGpu = shared.config.maxGpuMB !== undefined && gpuBytes > shared.config.maxGpuMB * MB
    if (rssBytes <= ceilingBytes && !isGpu) return false
    const detail = isGpu ? `${Math.round(gpuBytes / MB)} MB of GPU memory, at most ${shared.config.maxGpuMB} MB` : `${Math.round(rssBytes / MB)} MB, at most ${Math.round(ceilingBytes / MB)} MB`
    const heir = worker.role === 'active' ? this.#promote(worker) : undefined
    const done = `it is replaced between requests${heir ? `; ${heir.name} has taken over` : ''}`
    const { pid } = worker
    shared.faults.add({ group: this.name, worker: worker.name, ...(pid === undefined ? {} : { pid }), kind: 'memory', detail, done })
    shared.event({ severity: 'warning', name: 'worker.large', message: `${worker.name} takes ${detail}; ${done}`, data: { worker: worker.name, rssBytes, gpuBytes } })
    worker.renew(detail)
    this.#trustAhead()
    return true
  }
}
