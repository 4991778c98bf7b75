import { idOf, isLater, type Version } from './version.ts'

/** An empty payload: it was deleted, which is remembered so that no other node brings it back. */
export interface Kept { version: Version; payload: Buffer; qos: 0 | 1 | 2 }
/** What stands for a retained message whose node is lost: its will, or that it is offline. */
interface Stand { node: string; session: string | undefined; payload: Buffer; version: Version }
interface Entry { kept?: Kept; stand?: Stand }

const EMPTY = Buffer.alloc(0)
/** More deletions than this are not remembered: the oldest is forgotten first. */
const MAX_DELETED = 10_000

/** The versions of all retained messages of the realm, and which of them something else stands for at present. */
export class RetainedVersions {
  readonly #entries = new Map<string, Entry>()
  readonly #deleted = new Set<string>()

  /** A client of this node, or the node itself, has said it. */
  write(topic: string, kept: Kept): void { this.#put(topic, { kept }) }

  /** Another node has it: whether it is to be published here. */
  offer(topic: string, kept: Kept): boolean {
    const { kept: before, stand } = this.#entries.get(topic) ?? {}
    if (before && !isLater(kept.version, before.version)) return false
    // Of a lost node, by way of another that still hears it: true when it is back, and hidden until then.
    const isHidden = stand?.node === kept.version.n
    this.#put(topic, isHidden ? { kept, stand } : { kept })
    return !isHidden
  }

  /**
   * From now on `payload` stands for what is retained, as `node` is lost. False where something does already.
   * @param stand.session of the node's broker, where only the same start of it may undo this
   */
  cover(topic: string, stand: Stand): boolean {
    const entry = this.#entries.get(topic) ?? {}
    if (entry.stand) return false
    this.#put(topic, { ...entry, stand })
    return true
  }

  /** The node is back: what is to be published again, empty where nothing had been retained. What its broker knew in an earlier session is not. */
  uncover(node: string, session: string): { topic: string; payload: Buffer; qos: 0 | 1 | 2 }[] {
    const uncovered = this.#stands(node).filter(([, { stand }]) => stand!.session === undefined || stand!.session === session)
    return uncovered.map(([topic, { kept }]) => {
      if (kept) this.#put(topic, { kept }); else this.#entries.delete(topic)
      return { topic, payload: kept?.payload ?? EMPTY, qos: kept?.qos ?? 1 }
    })
  }

  /** What stands for messages of a node is the last word on them. All nodes give it the same version. */
  settle(node: string): void {
    for (const [topic, { kept, stand }] of this.#stands(node)) {
      const { t, n } = kept?.version ?? stand!.version
      this.#put(topic, { kept: { version: { t: t + 1, n }, payload: stand!.payload, qos: kept?.qos ?? 1 } })
    }
  }

  /** Everything, deletions too, for a node that may not know it. */
  *all(): Generator<Kept & { topic: string }> { for (const [topic, { kept }] of this.#entries) if (kept) yield { topic, ...kept } }

  /** What is retained now on topics that fit, as clients see it. */
  visible(topic: string): Buffer | undefined {
    const { kept, stand } = this.#entries.get(topic) ?? {}
    return stand?.payload ?? kept?.payload
  }

  /** What was said last, whatever stands for it. */
  last(topic: string): Kept | undefined { return this.#entries.get(topic)?.kept }

  /** Says what `node` has said so far anew, with new versions. */
  restamp(node: string, next: () => Version): (Kept & { topic: string })[] {
    return [...this.all()].filter(({ version }) => version.n === node).map(({ topic, payload, qos }) => {
      const kept = { version: next(), payload, qos }
      this.#put(topic, { ...this.#entries.get(topic), kept })
      return { topic, ...kept }
    })
  }

  get size(): number { return this.#entries.size }
  /** One value for all that is retained: the same at nodes that agree. */
  digest(): string { return [...this.all()].map(({ topic, version }) => `${topic} ${idOf(version)}`).sort().join('\n') }

  #stands(node: string) { return [...this.#entries].filter(([, { stand }]) => stand?.node === node) }

  #put(topic: string, entry: Entry): void {
    this.#entries.set(topic, entry)
    this.#deleted.delete(topic)
    if (entry.stand || entry.kept?.payload.length !== 0) return
    this.#deleted.add(topic)
    const [oldest] = this.#deleted.size > MAX_DELETED ? this.#deleted : []
    if (oldest === undefined) return
    this.#deleted.delete(oldest)
    this.#entries.delete(oldest)
  }
}
