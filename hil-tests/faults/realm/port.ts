import type { RealmNodes } from '../../resources/realm-nodes.ts'

/** What a fault of a realm may lay hands on. */
export interface RealmVictims { realm: RealmNodes; random(): number }

/** A fault that is there now. */
export interface Injected {
  /** Nodes that cannot be counted on while it lasts and until they are back. */
  nodes: readonly string[]
  /** How long it is to last before it is mended; what ends at once, such as a kill, has 0. */
  lastsMs: number
  mend?(): Promise<void>
  /** What was done, for the log. */
  what?: Record<string, unknown>
}

/** One kind of fault. */
export interface RealmFault {
  kind: string
  /** How often it is drawn, relative to the others. */
  weight: number
  /** Undefined when there is nothing to do it to, here or now. */
  inject(victims: RealmVictims): Promise<Injected | undefined>
}

export const pick = <T>(from: readonly T[], random: () => number): T => from[Math.floor(random() * from.length)]!
export const between = (lowMs: number, highMs: number, random: () => number): number => Math.round(lowMs + random() * (highMs - lowMs))

/** False where there is no such process any more. */
export function signal(pid: number | undefined, name: NodeJS.Signals): boolean {
  if (pid === undefined) return false
  try { process.kill(pid, name); return true } catch { return false }
}
