import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import { RealmDemo } from './realm-demo.ts'
import { showDemo } from './screen.ts'
import { runScript } from './script.ts'

const HELP = `npm run demo:realm [-- flags]
A realm of two boards and a witness, all on this machine, with one simulated rover on a line to each board.

  --script   no keys and no picture: a fixed sequence, one line for each step; exit code 1 if one went wrong
  --keep     leaves the folder with the states and logs of the nodes
  -h, --help
`

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { script: { type: 'boolean' }, keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
  if (values.help) { process.stdout.write(HELP); return 0 }
  const script = values.script === true
  if (!script && !(process.stdin.isTTY && process.stdout.isTTY)) throw new MtorError('USAGE', 'the picture needs a terminal', { hint: 'Without one: npm run demo:realm -- --script' })
  const folder = mkdtempSync(join(tmpdir(), 'mtor-demo-'))
  const abort = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => { abort.abort(new MtorError('CANCELLED', `${signal}`)) })
  const demo = new RealmDemo(folder)
  const interrupted = new Promise<never>((_, fail) => { abort.signal.addEventListener('abort', () => { fail(abort.signal.reason as Error) }) })
  interrupted.catch(() => { /* Whoever waits for it hears it. */ })
  try {
    process.stderr.write(`Three nodes start in ${folder} …\n`)
    await Promise.race([demo.start(), interrupted])
    if (!script) { await showDemo(demo, abort.signal); return 0 }
    const wrong = await runScript(demo, (line) => { process.stdout.write(`${line}\n`) }, abort.signal)
    process.stdout.write(wrong.length === 0 ? 'All as it should be.\n' : `${wrong.length} went wrong.\n`)
    return wrong.length === 0 ? 0 : 1
  } finally {
    process.stderr.write('The nodes end …\n')
    await demo.stop()
    if (values.keep) process.stderr.write(`Kept: ${folder}\n`)
    else rmSync(folder, { recursive: true, force: true })
  }
}

let code = 1
try { code = await main() } catch (thrown) {
  const error = toMtorError(thrown)
  process.stderr.write(`✗ ${error.code}: ${error.message}\n  ${error.hint}\n`)
  code = error.code === 'USAGE' ? 2 : error.code === 'CANCELLED' ? 130 : 1
}
process.stdout.write('', () => process.exit(code))
