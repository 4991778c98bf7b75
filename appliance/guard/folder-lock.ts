import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import koffi from 'koffi'
import { MtorError } from '../contracts/errors.ts'

const flock = koffi.load(null).func('int flock(int, int)')
const LOCK_EX = 2, LOCK_NB = 4
const EWOULDBLOCK = 11

/**
 * Makes a folder and takes it for this process alone: two daemons on one folder would take each other's sockets, rover and
 * journal. The kernel frees the lock when its holder ends, however it ends, and children do not inherit it. @see flock(2)
 * @returns what gives the folder back; twice is fine
 * @throws MtorError ALREADY_RUNNING when another process has it, CONFIG_INVALID when it cannot be written
 */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'lock')
  let fd: number
  try {
    mkdirSync(folder, { recursive: true })
    fd = openSync(file, 'a')
  } catch (error) {
    throw new MtorError('CONFIG_INVALID', `${folder} cannot be written: ${(error as Error).message}`, { cause: error, hint: 'Set stateDir and runDir to folders that this user may write.' })
  }
  if ((flock(fd, LOCK_EX | LOCK_NB) as number) !== 0) {
    const errno = koffi.errno()
    closeSync(fd)
    if (errno !== EWOULDBLOCK) throw new MtorError('CONFIG_INVALID', `${folder} cannot be locked: errno ${errno}`, { hint: 'Set stateDir and runDir to folders on a local disk.' })
    throw new MtorError('ALREADY_RUNNING', `${folder} is in use by process ${readFileSync(file, 'utf8').trim() || 'that is starting'}`)
  }
  // The number is for whoever reads the error; the lock itself is the kernel's.
  try { ftruncateSync(fd); writeSync(fd, `${process.pid}\n`) } catch { /* A full disk does not unlock it. */ }
  let held = true
  return () => { if (held) { held = false; closeSync(fd) } }
}
