import type { InferenceConfig } from '../../config/schema.ts'
import type { Clock } from '../../contracts/clock.ts'
import type { Manifest } from '../manifest.ts'

const FIRST_COOL_DOWN_MS = 30_000
const LAST_COOL_DOWN_MS = 3600_000

/** Whom a demotion concerns: one model, all of one group, or everybody. */
export type Scope = { model: string } | { group: string } | 'all'

interface CoolDown { untilMs: number; pauseMs: number }

/**
 * Which execution providers a model may be tried on now, in order: those of its configuration, else of its manifest, else of
 * the node, without what the governor excludes and what has failed lately. A failed provider is tried again after
 * a cool-down that doubles each time from 30 s to 1 h; one that then worked for as long as its pause was starts anew.
 */
export class ProviderPolicy {
  readonly #clock: Clock
  readonly #config: Pick<InferenceConfig, 'providers' | 'models'>
  #excluded = new Set<string>()
  #coolDowns = new Map<string, CoolDown>()

  constructor(clock: Clock, config: Pick<InferenceConfig, 'providers' | 'models'>) { this.#clock = clock; this.#config = config }

  /** All that the model may ever be tried on. */
  order(manifest: Manifest): readonly string[] { return this.#config.models[manifest.name]?.providers ?? manifest.providers ?? this.#config.providers }

  /** What it may be tried on now. The CPU is never excluded: it is the last that is left. */
  list(manifest: Manifest, group: string): string[] {
    return this.order(manifest).filter((provider) => (provider === 'cpu' || !this.#excluded.has(provider)) && this.#coolDownMs(provider, manifest.name, group) === 0)
  }

  throttle(excluded: readonly string[]): void { this.#excluded = new Set(excluded) }

  /** Puts a provider aside; says for how long, ms. The CPU cannot be put aside: 0. */
  demote(provider: string, scope: Scope): number {
    if (provider === 'cpu') return 0
    const key = keyOf(provider, scope)
    const before = this.#coolDowns.get(key)
    const now = this.#clock.monoMs()
    // Several workers that lose the same GPU at once have met one fault.
    if (before && before.untilMs > now) return before.untilMs - now
    const again = before && now - before.untilMs < before.pauseMs
    const pauseMs = again ? Math.min(LAST_COOL_DOWN_MS, before.pauseMs * 2) : FIRST_COOL_DOWN_MS
    this.#coolDowns.set(key, { untilMs: now + pauseMs, pauseMs })
    return pauseMs
  }

  /** Puts aside once more what was tried again after its cool-down and could not be had. */
  stillFailing(provider: string, manifest: Manifest, group: string): void {
    for (const scope of scopesOf(manifest.name, group)) if (this.#coolDowns.has(keyOf(provider, scope))) this.demote(provider, scope)
  }

  /**
   * Is there something to be had that a worker was not offered when it loaded the model on `provider`, and that comes before
   * it? Or may `provider` not be used any more?
   */
  isMoveDue(manifest: Manifest, group: string, provider: string, offered: readonly string[]): boolean {
    const order = this.order(manifest)
    const rank = order.indexOf(provider)
    // Its own engine, or a name of the past: nothing to move.
    if (rank < 0) return false
    const now = this.list(manifest, group)
    if (!now.includes(provider)) return now.length > 0
    return now.some((candidate) => order.indexOf(candidate) < rank && !offered.includes(candidate))
  }

  #entries(provider: string, model: string, group: string): CoolDown[] {
    return scopesOf(model, group).flatMap((scope) => this.#coolDowns.get(keyOf(provider, scope)) ?? [])
  }

  #coolDownMs(provider: string, model: string, group: string): number {
    return Math.max(0, ...this.#entries(provider, model, group).map(({ untilMs }) => untilMs - this.#clock.monoMs()))
  }
}

const scopesOf = (model: string, group: string): Scope[] => ['all', { group }, { model }]
const keyOf = (provider: string, scope: Scope) => `${provider} ${scope === 'all' ? '*' : 'model' in scope ? `model ${scope.model}` : `group ${scope.group}`}`
