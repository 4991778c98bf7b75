import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** What a durable write costs on the disk of a folder: one page written and flushed, `count` times; ms each. */
export function fdatasyncs(folder: string, count: number): number[] {
  const fd = openSync(join(folder, 'fdatasync.bin'), 'w')
  const page = Buffer.alloc(4096, 1)
  try {
    return Array.from({ length: count }, (_, i) => {
      writeSync(fd, page, 0, page.length, (i % 64) * page.length)
      const start = performance.now()
      fdatasyncSync(fd)
      return performance.now() - start
    })
  } finally { closeSync(fd) }
}
