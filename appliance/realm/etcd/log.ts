import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'

const MAX_BYTES = 4 * 1024 * 1024

/** What etcd says, kept in a file of bounded size with one predecessor. A disk that takes nothing more is no reason to fail. */
export class EtcdLog {
  readonly #file: string
  #fd: number | undefined
  #bytes = 0

  constructor(file: string) { this.#file = file }

  write(line: string) {
    try {
      if (this.#fd === undefined) {
        this.#fd = openSync(this.#file, 'a', 0o600)
        this.#bytes = fstatSync(this.#fd).size
      }
      this.#bytes += writeSync(this.#fd, `${line}\n`)
      if (this.#bytes > MAX_BYTES) {
        this.close()
        if (existsSync(this.#file)) renameSync(this.#file, `${this.#file}.1`)
      }
    } catch { this.close() }
  }

  close() {
    try { if (this.#fd !== undefined) closeSync(this.#fd) } catch { /* a full disk may be told only now */ }
    this.#fd = undefined
  }
}

/** What a line of etcd's log means for the node, where it means something. */
export function troubleIn(line: string): 'disk-full' | 'repaired' | 'corrupt' | 'removed' | undefined {
  if (/no space left on device/i.test(line)) return 'disk-full'
  // 3.6 cuts a log off where it is damaged and goes on with what is before that.
  if (/\.wal\.broken|repaired WAL|repairing WAL/i.test(line)) return 'repaired'
  // "ID mismatch" is no sign of it: a member that replays its log at the start calls this address under every id that it ever had.
  if (/member has been permanently removed|the member has been removed|was removed from the cluster/i.test(line)) return 'removed'
  // At its first start, when others came or went since it was let in, or it was taken for one that never comes.
  if (/member count is unequal|unmatched member while checking PeerURLs/i.test(line)) return 'removed'
  if (/crc mismatch|checksum mismatch|walpb: |wal: (?:max entry|slice bounds|file not found|max entry size)|snap: (?:empty|no available)|invalid (?:database|page type)|file corrupt|CORRUPT|database file .*(?:corrupt|invalid)|failed to (?:read WAL|recover v3 backend|open WAL|find database snapshot)|unexpected fault address|freepages: |failed to open database|page \d+ already freed|is out of range \[lastIndex/i.test(line)) return 'corrupt'
  return undefined
}
