import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { MtorError } from '../../../appliance/contracts/errors.ts'
import { OUTCOME, type ResultFields } from '../protocol.ts'

/** One command the controller has seen, with what became of it. */
export interface CommandRecord extends ResultFields { epoch: number; sequence: number; command: string; intentId: string }

interface Flash {
  v: 1
  bootCount: number
  epoch: number
  highestSequence: number
  /** The newest (epoch, sequence) whose record was dropped to keep the memory small. */
  forgotten: { epoch: number; sequence: number }
  records: CommandRecord[]
}

/** How many commands are remembered; the fate of older ones is unknown. */
export const REMEMBERED_COMMANDS = 64

/**
 * What a real controller keeps in flash: the highest epoch, the highest sequence in it and the fate of the last commands.
 * Every change is on stable storage before the call returns (write, fsync, rename), and throws where that failed
 * (what is in RAM is then newer than what is stored).
 */
export class Memory {
  #path: string | undefined
  #flash: Flash = { v: 1, bootCount: 0, epoch: 0, highestSequence: 0, forgotten: { epoch: 0, sequence: 0 }, records: [] }

  constructor(path?: string) { this.#path = path }

  get bootCount(): number { return this.#flash.bootCount }
  get epoch(): number { return this.#flash.epoch }
  get highestSequence(): number { return this.#flash.highestSequence }

  /** Reads the file; a missing one is a new controller. A damaged one throws: a controller that forgot its epochs must not move. */
  load(): void {
    if (this.#path === undefined) return
    let text: string
    try { text = readFileSync(this.#path, 'utf8') } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw new MtorError('INTERNAL', `controller state ${this.#path}: ${(error as Error).message}`, { cause: error })
    }
    try {
      const flash = JSON.parse(text) as Flash
      if (flash.v !== 1 || !Number.isInteger(flash.epoch) || !Number.isInteger(flash.highestSequence) || !Array.isArray(flash.records)) {
        throw new MtorError('INTERNAL', 'not a state of version 1')
      }
      this.#flash = flash
    } catch (error) {
      throw new MtorError('INTERNAL', `controller state ${this.#path} is damaged (${(error as Error).message}); remove it only if no older node can still reach this rover`, { cause: error })
    }
  }

  /** Counts a boot; what was running when the power went is now 'interrupted', its extent unknown. Returns those records. */
  boot(unknown: number): CommandRecord[] {
    const cut = this.#flash.records.filter((record) => record.outcome === OUTCOME.running)
    this.#commit({
      ...this.#flash, bootCount: this.#flash.bootCount + 1,
      records: this.#flash.records.map((record) => cut.includes(record)
        ? { ...record, outcome: OUTCOME.interrupted, distanceMm: unknown, angleCdeg: unknown, headingCdeg: unknown } : record),
    })
    return cut
  }

  raiseEpoch(epoch: number): void { this.#commit({ ...this.#flash, epoch, highestSequence: 0 }) }

  find(epoch: number, sequence: number): CommandRecord | undefined {
    return this.#flash.records.find((record) => record.epoch === epoch && record.sequence === sequence)
  }

  /** True when a command with no record may have been seen and dropped from memory. */
  mayHaveForgotten(epoch: number, sequence: number): boolean {
    const last = this.#flash.forgotten
    return epoch < last.epoch || (epoch === last.epoch && sequence <= last.sequence)
  }

  /** Adds a record or replaces the one of the same epoch and sequence. */
  put(record: CommandRecord): void {
    const others = this.#flash.records.filter((r) => r.epoch !== record.epoch || r.sequence !== record.sequence)
    const records = [...others, record].sort((a, b) => a.epoch - b.epoch || a.sequence - b.sequence)
    const dropped = records.splice(0, Math.max(0, records.length - REMEMBERED_COMMANDS)).at(-1)
    this.#commit({
      ...this.#flash, records,
      highestSequence: record.epoch === this.#flash.epoch ? Math.max(this.#flash.highestSequence, record.sequence) : this.#flash.highestSequence,
      forgotten: dropped ? { epoch: dropped.epoch, sequence: dropped.sequence } : this.#flash.forgotten,
    })
  }

  #commit(flash: Flash): void {
    this.#flash = flash
    if (this.#path !== undefined) {
      const temporary = `${this.#path}.new`
      try {
        const fd = openSync(temporary, 'w', 0o600)
        try { writeSync(fd, JSON.stringify(flash)); fsyncSync(fd) } finally { closeSync(fd) }
        renameSync(temporary, this.#path)
      } catch (error) {
        throw new MtorError('INTERNAL', `controller state ${this.#path}: ${(error as Error).message}`, { cause: error })
      }
    }
  }
}
