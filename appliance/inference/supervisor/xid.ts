import { accessSync, constants, existsSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { hasProgram, spawnTied } from '../child.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'

/** A fault that NVIDIA's driver wrote into the kernel log. */
export interface Xid { code: number; pci: string; pid?: number; text: string; /** Since boot, ms, where the line tells it. */ monoMs?: number }

/** 45: clean-up after a process that was killed, which we do ourselves; 63: a row of memory was retired in good time; 92: many errors, all corrected. */
const HARMLESS: ReadonlySet<number> = new Set([45, 63, 92])
export const isHarmful = ({ code }: Xid): boolean => !HARMLESS.has(code)

/**
 * A line of the kernel log: "NVRM: Xid (PCI:0000:03:00): 79, pid=1234, name=node, GPU has fallen off the bus.", older drivers
 * "NVRM: Xid (0000:03:00): 31, Ch 00000010, …", with or without the prefix of /dev/kmsg ("4,1234,98765432,-;").
 * @see https://docs.nvidia.com/deploy/xid-errors/
 * @see https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg
 */
export function parseXid(line: string): Xid | undefined {
  const match = /NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)(?:, (.*))?$/.exec(line)
  if (!match) return undefined
  const [, pci, code, rest = ''] = match
  const pid = /\bpid='?(\d+)/.exec(rest)
  const kmsg = /^\d+,\d+,(\d+),/.exec(line)
  return { code: Number(code), pci: pci!, ...(pid ? { pid: Number(pid[1]) } : {}), text: rest, ...(kmsg ? { monoMs: Number(kmsg[1]) / 1000 } : {}) }
}

const RETRY_MS = 60_000

/** The command that follows the kernel log here, as far as this user may; undefined where there is no NVIDIA driver or no right to read. */
export function kernelLog(): [string, string[]] | undefined {
  if (!existsSync('/proc/driver/nvidia/version')) return undefined
  try {
    accessSync('/dev/kmsg', constants.R_OK)
    return ['cat', ['/dev/kmsg']]
  } catch { return hasProgram('journalctl') ? ['journalctl', ['--dmesg', '--follow', '--lines=0', '--output=cat']] : undefined }
}

/**
 * Follows the kernel log for faults of an NVIDIA GPU, in a child process (reading /dev/kmsg blocks). Where it ends, for want of
 * rights or otherwise, it is tried again after a minute. A Jetson's GPU has another driver, which writes no Xid.
 */
export class XidWatch {
  readonly #clock: Clock
  readonly #command: [string, string[]] | undefined
  readonly #onXid: (xid: Xid) => void
  #child: ChildProcess | undefined
  #retry: Timer | undefined
  #started = false
  #sinceMs = 0

  constructor(clock: Clock, onXid: (xid: Xid) => void, command = kernelLog()) { this.#clock = clock; this.#onXid = onXid; this.#command = command }

  start(): void {
    if (this.#started || !this.#command) return
    this.#started = true
    this.#sinceMs = this.#clock.monoMs()
    this.#follow(this.#command)
  }

  async stop(): Promise<void> {
    this.#started = false
    this.#clock.clearTimeout(this.#retry)
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => { child.once('exit', () => resolve()) })
    child.kill('SIGKILL')
    await gone
  }

  #follow([program, args]: [string, string[]]): void {
    const child = spawnTied(program, args)
    this.#child = child
    child.stderr?.resume()
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const xid = parseXid(line)
      // /dev/kmsg begins with all that is still in its ring.
      if (xid && this.#started && (xid.monoMs === undefined || xid.monoMs >= this.#sinceMs)) this.#onXid(xid)
    })
    const ended = () => {
      if (this.#child !== child) return
      this.#child = undefined
      this.#sinceMs = this.#clock.monoMs()
      if (this.#started) this.#retry = this.#clock.setTimeout(() => { this.#follow([program, args]) }, RETRY_MS)
    }
    child.once('error', ended)
    child.once('exit', ended)
  }
}
