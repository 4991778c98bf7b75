import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'

/** util-linux's setpriv, where it is; BusyBox has one of the same name that does not know this option. */
let setpriv: string | undefined | null = null
function findSetpriv(): string | undefined {
  if (setpriv === null) setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path) && spawnSync(path, ['--pdeathsig', 'KILL', '--', 'true']).status === 0)
  return setpriv
}

/**
 * The command line that makes the kernel kill a child when the thread that started it ends, however it ends
 * (prctl PR_SET_PDEATHSIG, set by util-linux's setpriv). Without setpriv the child is still bound to us by its pipes:
 * a recorder dies of SIGPIPE, a player ends at end of input.
 */
export function tied(command: string, args: readonly string[]): [string, string[]] {
  const path = findSetpriv()
  return path ? [path, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, [...args]]
}

/**
 * Starts a helper program that must not outlive us. It gets its own session, so that Ctrl-C in a terminal reaches
 * only the core, which then stops everything in order. Messages come in English whatever the locale.
 */
export function spawnTied(command: string, args: readonly string[], options: { env?: Record<string, string>; cwd?: string } = {}): ChildProcess {
  const [file, all] = tied(command, args)
  return spawn(file, all, { stdio: 'pipe', detached: true, cwd: options.cwd, env: { ...process.env, LC_ALL: 'C', ...options.env } })
}

/** Runs a short program; resolves with what it printed on stdout, undefined where it is missing or failed. */
export function output(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, [...args], { timeout: 5_000, maxBuffer: 1_048_576, env: { ...process.env, LC_ALL: 'C' } }, (error, stdout) => { resolve(error ? undefined : stdout) })
  })
}

/** True when a program is on the PATH. */
export function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => folder !== '' && existsSync(`${folder}/${name}`))
}

/** The last lines a child wrote to stderr, for the message of its failure. */
export class LastWords {
  #text = ''
  constructor(child: ChildProcess, onLine?: (line: string) => void) {
    let partial = ''
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#text = (this.#text + chunk).slice(-2_000)
      if (!onLine) return
      const lines = (partial + chunk).split('\n')
      partial = lines.pop()!.slice(-2_000)
      for (const line of lines) onLine(line)
    })
  }
  /** Indented lines and the title are arecord's setup report, not words. */
  toString() { return this.#text.split('\n').filter((line) => /^(?!Recording )\S/.test(line)).slice(-3).join('; ') }
}
