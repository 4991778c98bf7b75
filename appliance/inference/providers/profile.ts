import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { MtorError } from '../../contracts/errors.ts'
import { providerOf } from './names.ts'

/** Memory first: a full or slow disk must not keep a model from being proven. */
const FOLDERS = ['/dev/shm', tmpdir()]

/** One event of onnxruntime's profile, in the trace format of Chrome. */
interface TraceEvent { cat?: string; name?: string; args?: { provider?: string; op_name?: string; node_index?: string } }

/**
 * Profiles sessions from their creation until `end`, in a folder of its own that is gone afterwards. A session goes on as
 * if it had never been profiled (measured: 200 runs of the voice activity graph 25 ms after it, 27 ms in one that never was;
 * 112 ms during it).
 */
export class Profile {
  readonly #folder: string
  readonly #sessions: InferenceSession[] = []
  #ended = false

  constructor(folders: readonly string[] = FOLDERS) {
    this.#folder = makeFolder(folders)
  }

  /** Undefined once it has ended: sessions opened later are not profiled. */
  options(): { enableProfiling: true; profileFilePrefix: string } | undefined {
    return this.#ended ? undefined : { enableProfiling: true, profileFilePrefix: join(this.#folder, `${this.#sessions.length}`) }
  }

  add(session: InferenceSession): void { if (!this.#ended) this.#sessions.push(session) }

  /** How many nodes of the graphs ran, by provider; empty where nothing ran. Ending twice is fine. @throws MtorError DISK_FULL where it was not written whole */
  end(): Record<string, number> {
    if (this.#ended) return {}
    this.#ended = true
    try {
      for (const session of this.#sessions) session.endProfiling()
      return countNodes(readdirSync(this.#folder).map((file) => parse(readFileSync(join(this.#folder, file), 'utf8'))))
    } finally { rmSync(this.#folder, { recursive: true, force: true }) }
  }

  /** Ends it where nothing came of it; whatever was written is of no interest. */
  discard(): void {
    this.#ended = true
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** A node that ran several times, or in a loop, counts once; nodes of two sessions are different ones. */
export function countNodes(profiles: readonly (readonly TraceEvent[])[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const events of profiles) {
    const seen = new Set<string>()
    for (const { cat, name, args } of events) {
      if (cat !== 'Node' || !args?.provider) continue
      const node = [args.provider, name, args.op_name, args.node_index].join('\0')
      if (seen.has(node)) continue
      seen.add(node)
      const provider = providerOf(args.provider)
      counts[provider] = (counts[provider] ?? 0) + 1
    }
  }
  return counts
}

function parse(text: string): TraceEvent[] {
  try { return JSON.parse(text) as TraceEvent[] } catch (error) { throw new MtorError('DISK_FULL', `the profile was not written whole (${text.length} characters)`, { cause: error }) }
}

const PREFIX = 'mtor-profile-'

function makeFolder(folders: readonly string[]): string {
  const reasons: string[] = []
  for (const folder of folders) {
    try {
      const made = mkdtempSync(join(folder, `${PREFIX}${process.pid}-`))
      sweep(folder)
      return made
    } catch (error) { reasons.push(String(error)) }
  }
  throw new MtorError('DISK_FULL', `a profile can be written nowhere, so that no model can be proven: ${reasons.join('; ')}`)
}

/** What processes left behind that were killed while they loaded a model. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(folder, name), { recursive: true, force: true })
  }
}
