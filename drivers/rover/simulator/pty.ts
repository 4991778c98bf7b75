import { closeSync, constants, lstatSync, openSync, readlinkSync, renameSync, rmSync, symlinkSync, writeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import koffi from 'koffi'
import { MtorError } from '../../../appliance/contracts/errors.ts'

// The C library of this process. A struct termios is only passed through, so a buffer that is large enough on every Linux will do.
const libc = koffi.load(null)
const posixOpenpt = libc.func('int posix_openpt(int)')
const grantpt = libc.func('int grantpt(int)')
const unlockpt = libc.func('int unlockpt(int)')
const ptsnameR = libc.func('int ptsname_r(int, _Out_ uint8_t *, size_t)')
const tcgetattr = libc.func('int tcgetattr(int, _Inout_ uint8_t *)')
const cfmakeraw = libc.func('void cfmakeraw(_Inout_ uint8_t *)')
const tcsetattr = libc.func('int tcsetattr(int, int, _Inout_ uint8_t *)')
const TERMIOS_BYTES = 256
const O_CLOEXEC = 0o2000000

function check(what: string, failed: boolean): void {
  if (failed) throw new MtorError('PORT_INVALID', `${what} failed (errno ${koffi.errno()}): is /dev/pts mounted?`)
}

/**
 * A pseudo-terminal in raw mode whose slave is reachable by a symbolic link: the serial cable of the simulated rover.
 * It keeps a slave descriptor of its own, since reading the master fails with EIO while no slave is open.
 * @see pty(7), posix_openpt(3)
 */
export class Pty {
  readonly link: string
  /** Bytes the line could not take because nobody reads it: lost, as on a UART. */
  overrunBytes = 0
  #onData: (bytes: Buffer) => void
  #master: { fd: number; stream: ReadStream; slaveFd: number; slavePath: string } | undefined

  constructor(link: string, onData: (bytes: Buffer) => void) {
    this.link = link
    this.#onData = onData
  }

  get plugged(): boolean { return this.#master !== undefined }
  get slavePath(): string | undefined { return this.#master?.slavePath }

  /** Makes the terminal and points the link at it. */
  plug(): void {
    if (this.#master) return
    const fd: number = posixOpenpt(constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | O_CLOEXEC)
    check('posix_openpt', fd < 0)
    check('grantpt', grantpt(fd) !== 0)
    check('unlockpt', unlockpt(fd) !== 0)
    const name = Buffer.alloc(128)
    check('ptsname_r', ptsnameR(fd, name, name.length) !== 0)
    const slavePath = name.toString('latin1', 0, name.indexOf(0))
    const slaveFd = openSync(slavePath, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
    const termios = Buffer.alloc(TERMIOS_BYTES)
    check('tcgetattr', tcgetattr(slaveFd, termios) !== 0)
    cfmakeraw(termios)
    check('tcsetattr', tcsetattr(slaveFd, 0, termios) !== 0)
    const stream = new ReadStream(fd)
    stream.on('data', this.#onData)
    // The master has no other end that could fail while the own slave is open; should it, replugging mends it.
    stream.on('error', () => this.unplug())
    this.#master = { fd, stream, slaveFd, slavePath }
    const temporary = `${this.link}.${process.pid}`
    rmSync(temporary, { force: true })
    symlinkSync(slavePath, temporary)
    renameSync(temporary, this.link)
  }

  /** The cable is pulled: the link vanishes, whoever has the slave open gets a hang-up. */
  unplug(): void {
    const master = this.#master
    if (!master) return
    this.#master = undefined
    try { if (lstatSync(this.link).isSymbolicLink() && readlinkSync(this.link) === master.slavePath) rmSync(this.link) } catch { /* already gone */ }
    master.stream.destroy()
    closeSync(master.slaveFd)
  }

  write(bytes: Uint8Array): void {
    if (!this.#master) return
    try {
      this.overrunBytes += bytes.length - writeSync(this.#master.fd, bytes)
    } catch { this.overrunBytes += bytes.length }
  }
}
