import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
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
    const folder = folders.find((path) => { try { accessSync(path, constants.W_OK); return true } catch { return false } }) ?? tmpdir()
    this.#folder = mkdtempSync(join(folder, 'mtor-profile-'))
  }

  /** Undefined once it has ended: sessions opened later are not profiled. */
  options(): { enableProfiling: true; profileFilePrefix: string } | undefined {
    return this.#ended ? undefined : { enableProfiling: true, profileFilePrefix: join(this.#folder, `${this.#sessions.length}`) }
  }

  add(session: InferenceSession): void { if (!this.#ended) this.#sessions.push(session) }

  /** How many nodes of the graphs ran, by provider. Empty where nothing ran, or the profile could not be written. Ending twice is fine. */
  end(): Record<string, number> {
    if (this.#ended) return {}
    this.#ended = true
    try {
      for (const session of this.#sessions) session.endProfiling()
      return countNodes(readdirSync(this.#folder).map((file) => JSON.parse(readFileSync(join(this.#folder, file), 'utf8')) as TraceEvent[]))
    } finally { rmSync(this.#folder, { recursive: true, force: true }) }
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
