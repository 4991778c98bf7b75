import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { between, pick, type RealmFault } from './port.ts'

const CHUNK = Buffer.alloc(1024 * 1024)
const HOUR_MS = 3600_000

/** Whatever is left on the disk of one node is taken, and given back after a while. */
const fullDisk: RealmFault = {
  kind: 'full-disk', weight: 2,
  async inject({ realm, random }) {
    const node = realm.smallDisk
    if (node === undefined) return undefined
    const file = join(realm.node(node).stateDir, 'filler')
    const fd = openSync(file, 'w')
    let bytes = 0
    // Down to the last byte: a page that is free takes some more lines of a log.
    for (const size of [CHUNK.length, 4_096, 1]) try { for (;;) { const written = writeSync(fd, CHUNK, 0, size); if (written === 0) break; bytes += written } } catch { /* Full. */ }
    closeSync(fd)
    return { nodes: [node], lastsMs: between(1_000, 5_000, random), what: { node, megabytes: Math.round(bytes / 1024 / 1024) }, mend: async () => { rmSync(file, { force: true }) } }
  },
}

/** A board is lost with its disk, and a new one takes its place. */
const wipe: RealmFault = {
  kind: 'wipe', weight: 1,
  async inject({ realm, random }) {
    const node = pick(realm.names, random)
    const helper = pick(realm.full.filter((name) => name !== node), random)
    const back = realm.wipe(node, helper)
    back.catch(() => { /* Told by mend. */ })
    return { nodes: [node], lastsMs: 0, what: { node, helper }, mend: () => back }
  },
}

/** The wall clock of one node is an hour wrong for a while; its monotonic clock goes on. */
const clockJump: RealmFault = {
  kind: 'clock-jump', weight: 2,
  async inject({ realm, random }) {
    const node = pick(realm.names, random), offsetMs = random() < 0.5 ? HOUR_MS : -HOUR_MS
    writeFileSync(realm.clockFile(node), String(offsetMs))
    return { nodes: [], lastsMs: between(1_000, 5_000, random), what: { node, offsetMs }, mend: async () => { writeFileSync(realm.clockFile(node), '0') } }
  },
}

export const STORAGE_FAULTS: readonly RealmFault[] = [fullDisk, wipe, clockJump]
