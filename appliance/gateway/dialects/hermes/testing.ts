import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ExecutionContext } from 'ava'
import { MtorError } from '../../../contracts/errors.ts'
import { pythonWith } from '../python.ts'

/** For Python 3.11 and later. */
const RHASSPY_HERMES = ['rhasspy-hermes==0.6.2', 'paho-mqtt==1.5.0', 'setuptools==65.5.0', 'dataclasses-json==0.5.6', 'marshmallow==3.26.2', 'marshmallow-enum==1.5.1', 'mypy_extensions==1.2.0', 'typing-inspect==0.9.0', 'typing_extensions==4.16.0', 'packaging==26.4']

const PATIENCE_MS = 40_000

export interface HermesMessage { type: string; topic: string; message: Record<string, any> }

/** A real Hermes client of another's making, which keeps every message that its classes can read. */
export async function hermesClient(t: ExecutionContext, port: number) {
  const python = await pythonWith('rhasspy-hermes', RHASSPY_HERMES)
  const child = spawn(python, [join(import.meta.dirname, 'client.py'), '127.0.0.1', String(port)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const got: HermesMessage[] = []
  let unreadable: string | undefined
  let look = () => {}
  let isReady = false
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as { ready?: true; unreadable?: string } & HermesMessage
    if (said.ready) isReady = true
    else if (said.unreadable === undefined) got.push(said)
    else unreadable = JSON.stringify(said)
    look()
  })
  const until = <T>(what: string, find: () => T | undefined) => new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new MtorError('DEADLINE', `no ${what} within ${PATIENCE_MS} ms, but ${JSON.stringify(got)}`)), PATIENCE_MS)
    const end = (settle: () => void) => { clearTimeout(timer); look = () => {}; settle() }
    look = () => {
      if (unreadable !== undefined) return end(() => reject(new MtorError('MALFORMED', `a Hermes client cannot read ${unreadable}`)))
      const found = find()
      if (found !== undefined) end(() => resolve(found))
    }
    look()
  })
  t.teardown(async () => {
    child.stdin.end(`${JSON.stringify({ end: true })}\n`)
    await exited
  })
  await until('connection', () => isReady || undefined)
  return {
    send(type: string, fields: Record<string, unknown> = {}) { child.stdin.write(`${JSON.stringify({ send: type, with: fields })}\n`) },
    /** The next message of that class; what came before it is passed over. Rejects once anything came that no class can read. */
    next: (type: string) => until(type, () => { const at = got.findIndex((each) => each.type === type); return at < 0 ? undefined : got.splice(0, at + 1).at(-1)! }),
  }
}
