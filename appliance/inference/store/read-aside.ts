import { once } from 'node:events'
import { spawnTied } from '../child.ts'

/**
 * GNU dd asks the kernel to forget its copy of a file in memory, so that what is read next comes off the disk: a scrub that
 * read the page cache would never find a bad block. Elsewhere that part does nothing. @see dd(1), iflag=nocache; posix_fadvise(2)
 */
const SCRIPT = 'for file; do dd if="$file" iflag=nocache count=0 status=none; sha256sum -- "$file"; done 2>/dev/null'
/** sha256sum marks a name it had to escape with a backslash. @see sha256sum(1) */
const LINE = /^([0-9a-f]{64}) [ *](.+)$/

/**
 * SHA-256 of files as they are on the disk, by path, worked out in a process of the lowest priority: the core, which calls
 * this, goes on undisturbed (100 MB hashed in it held its loop up for 60 ms at a time on a busy machine). A file that cannot
 * be read is left out, as is one with a newline in its path.
 */
export async function hashAside(paths: readonly string[], signal?: AbortSignal): Promise<Map<string, string>> {
  signal?.throwIfAborted()
  const child = spawnTied('nice', ['-n', '19', 'sh', '-c', SCRIPT, 'sh', ...paths])
  child.stdin?.on('error', () => {}).end()
  child.stderr?.resume()
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
  // It leads a session of its own: what it runs goes with it.
  const stop = () => { if (child.pid !== undefined) try { process.kill(-child.pid, 'SIGKILL') } catch { child.kill('SIGKILL') } }
  signal?.addEventListener('abort', stop, { once: true })
  try { await once(child, 'close') } catch { /* There is no nice or no sh: nothing was hashed. */ } finally { signal?.removeEventListener('abort', stop) }
  signal?.throwIfAborted()
  return new Map(text.split('\n').map((line) => LINE.exec(line)).filter((match) => match !== null).map((match) => [match[2]!, match[1]!]))
}
