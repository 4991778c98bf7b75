import { readdirSync, statSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const COPY = '.broken'
const HEADER_BYTES = 8
const CHUNK_BYTES = 1024 * 1024
/** etcd takes no larger requests by far: a longer entry is a length that is damaged. */
const MAX_ENTRY_BYTES = 10 * 1024 * 1024

const folderOf = (dataDir: string) => join(dataDir, 'member', 'wal')

/** Copies that etcd has made of logs before it cut off their end, with when it did: it never removes them, and speaks of them with every start. */
export function brokenLogs(dataDir: string): Map<string, number> {
  const folder = folderOf(dataDir)
  try { return new Map(readdirSync(folder).filter((name) => name.endsWith(COPY)).map((name) => [join(folder, name), statSync(join(folder, name)).mtimeMs])) } catch { return new Map() }
}

/**
 * What etcd has cut off the end of a log: 'unfinished', where that was one entry with nothing after it, as a full disk,
 * a power failure or a kill leaves behind. It was never acknowledged, because that comes after the whole entry is on the
 * disk. 'entries', where more came after what could not be read, or that cannot be told.
 * @see https://github.com/etcd-io/etcd/blob/release-3.4/wal/decoder.go
 */
export async function cutOff(copy: string): Promise<'unfinished' | 'entries'> {
  const before = await readFile(copy)
  const cutAt = await firstDifference(before, copy.slice(0, -COPY.length))
  for (let at = 0; at + HEADER_BYTES <= before.length;) {
    const header = before.readBigInt64LE(at)
    if (header === 0n) return 'entries'
    // The length is in the lower 56 bits; what pads it to words is counted above, marked by the sign.
    const bytes = Number(header & 0x00ff_ffff_ffff_ffffn) + (header < 0n ? Number(header >> 56n & 7n) : 0)
    const next = at + HEADER_BYTES + bytes
    if (bytes > MAX_ENTRY_BYTES) return 'entries'
    if (next > cutAt || next > before.length) return before.subarray(next).every((byte) => byte === 0) ? 'unfinished' : 'entries'
    at = next
  }
  return 'entries'
}

/** Where the log has other bytes than its copy: in the entry that it was cut off at. */
async function firstDifference(copy: Buffer, log: string): Promise<number> {
  const handle = await open(log)
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (let at = 0; at < copy.length;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, at)
      const same = copy.subarray(at, at + bytesRead)
      if (bytesRead === 0) return at
      if (!chunk.subarray(0, same.length).equals(same)) return at + same.findIndex((byte, i) => byte !== chunk[i])
      at += same.length
    }
    return copy.length
  } finally { await handle.close() }
}
