import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'
import { MtorError } from '../../contracts/errors.ts'
import { WYOMING_VERSION } from './codec.ts'

const run = promisify(execFile)
const CLIENT = join(import.meta.dirname, 'testing-client.py')
const CACHE = join(import.meta.dirname, '../../../.cache')
const VENV = join(CACHE, `wyoming-client-${WYOMING_VERSION}`)
const PYTHON = join(VENV, 'bin/python')

/** The published client in an environment of its own, fetched once: each test process that finds none makes one aside, the first to be done puts it in place. */
async function install(): Promise<void> {
  if (existsSync(VENV)) return
  mkdirSync(CACHE, { recursive: true })
  const aside = mkdtempSync(`${VENV}.`)
  try {
    await run('python3', ['-m', 'venv', aside])
    await run(join(aside, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `wyoming==${WYOMING_VERSION}`], { timeout: 150_000 })
    if (!existsSync(VENV)) renameSync(aside, VENV)
  } catch (error) {
    if (!existsSync(VENV)) throw new MtorError('NOT_FITTED', `the client to test with is not there: ${(error as Error).message}`, { cause: error, hint: 'It needs Debian’s python3-venv, and PyPI once.' })
  } finally { rmSync(aside, { recursive: true, force: true }) }
}
let installed: Promise<void> | undefined

export interface Client {
  /** The next thing that the client tells; rejects with what it said when it has ended. */
  next(): Promise<Record<string, unknown>>
  kill(): void
}

/** Starts the published client with a command of testing-client.py. */
export async function startClient(t: ExecutionContext, port: number, ...command: string[]): Promise<Client> {
  await (installed ??= install())
  const child = spawn(PYTHON, [CLIENT, String(port), ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (data: Buffer) => { errors = (errors + data.toString()).slice(-2_000) })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const kill = () => { child.kill('SIGKILL') }
  t.teardown(kill)
  return {
    kill,
    async next() {
      const { value, done } = await lines.next() as { value?: string; done?: boolean }
      if (done) throw new MtorError('INTERNAL', `the client has ended: ${errors}`)
      return JSON.parse(value!) as Record<string, unknown>
    },
  }
}

/** What the client tells of one command. */
export async function ask(t: ExecutionContext, port: number, ...command: string[]): Promise<Record<string, unknown>> {
  return (await startClient(t, port, ...command)).next()
}
