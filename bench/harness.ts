import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { MtorError, toMtorError } from '../appliance/contracts/errors.ts'
import { mulberry32 } from '../appliance/contracts/random.ts'
import { rowsTable } from './table.ts'

/** One figure. `goal` in words ("<= 400"), `holds` whether it was reached; both absent where there is no goal. */
export interface Row { metric: string; value: number | string | null; unit: string; goal?: string; holds?: boolean }

export interface MeasureContext {
  /** Ends within 45 s, at the price of wider spread. */
  quick: boolean
  seed: number
  /** Seeded, 0 <= x < 1: the same seed gives the same run. */
  random(): number
  /** One line for whoever waits; not part of the result. */
  progress(text: string): void
  flags: Record<string, string | undefined>
  /** Aborted on Ctrl-C: end what was started, then return or throw. */
  signal: AbortSignal
}

/** A bench or a campaign: `bench/<name>.ts` and `hil-tests/campaigns/<name>.ts` export one as default. */
export interface Measure { name: string; title: string; flags?: { flag: string; help: string }[]; run(context: MeasureContext): Promise<Row[]> }

export interface Report {
  name: string
  at: string
  seed: number
  quick: boolean
  machine: { cpu: string; cores: number; memoryBytes: number; kernel: string; node: string }
  rows: Row[]
}

const QUICK_LIMIT_MS = 45_000
/** After Ctrl-C a measure has this long to end what it started. */
const CLEAN_UP_MS = 15_000

const OPTIONS = {
  json: { type: 'string' }, quick: { type: 'boolean' }, seed: { type: 'string' }, check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
} as const

const HELP = `  --quick       ends within 45 s
  --json FILE   writes the rows, the machine and the seed there ("-": to standard output)
  --seed N      the same seed gives the same run (default 1)
  --check       exit code 1 if a goal is missed`

/** Names of the measures of a folder. Files without a default export are helpers, and are not run to find out. */
async function namesIn(folder: string): Promise<string[]> {
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts')).sort()
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  return files.filter((_, index) => /^export default /m.test(texts[index]!)).map((file) => file.slice(0, -3))
}

const load = async (folder: string, name: string): Promise<Measure> => ((await import(pathToFileURL(join(folder, `${name}.ts`)).href)) as { default: Measure }).default

/** One line a measure; one that does not load is listed with the reason. */
async function list(folder: string, names: string[]): Promise<string> {
  const lines = await Promise.all(names.map(async (name) => `  ${name.padEnd(12)}  ${await load(folder, name).then((measure) => measure.title, (error) => `does not load: ${toMtorError(error).message}`)}`))
  return lines.join('\n') || '  none yet'
}

const machine = (): Report['machine'] => ({ cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryBytes: totalmem(), kernel: release(), node: process.versions.node })

/** The flags that are not the harness's own: `--human DIR`, `--human=DIR`, `--verbose`. */
function ownFlags(tokens: ReturnType<typeof parseArgs>['tokens'] & object, measure: Measure): Record<string, string | undefined> {
  const known = new Map((measure.flags ?? []).map(({ flag }) => [/^--([\w-]+)/.exec(flag)?.[1] ?? flag, flag]))
  const flags: Record<string, string | undefined> = {}
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'option' || token.name in OPTIONS) continue
    if (!known.has(token.name)) throw new MtorError('USAGE', `${measure.name} has no flag --${token.name}; it has: ${[...known.values()].join(', ') || 'none of its own'}`)
    const next = tokens[index + 1]
    flags[token.name] = token.value ?? (next?.kind === 'positional' ? next.value : 'true')
  }
  return flags
}

/** Runs one measure; Ctrl-C reaches it as `signal`, a second one ends the process. */
export async function runMeasure(measure: Measure, options: { quick: boolean; seed: number; flags: Record<string, string | undefined> }): Promise<Row[]> {
  const abort = new AbortController()
  const startedMs = performance.now()
  const seconds = () => `${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s`
  const warning = options.quick ? setTimeout(() => process.stderr.write(`${seconds()}  ! --quick promises an end within 45 s\n`), QUICK_LIMIT_MS) : undefined
  warning?.unref()
  const interrupted = (signal: NodeJS.Signals) => {
    if (abort.signal.aborted) process.exit(130)
    process.stderr.write(`${seconds()}  ${signal}: cleaning up\n`)
    abort.abort(new MtorError('CANCELLED', `${measure.name} was interrupted`))
    setTimeout(() => process.exit(130), CLEAN_UP_MS).unref()
  }
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted)
  try {
    const rows = await measure.run({
      ...options,
      random: mulberry32(options.seed),
      progress: (text) => { process.stderr.write(`${seconds()}  ${text}\n`) },
      signal: abort.signal,
    })
    abort.signal.throwIfAborted()
    return rows
  } finally {
    clearTimeout(warning)
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
  }
}

/**
 * The command line of a folder of measures. Resolves to the exit code: 0, 1 (a goal was missed with --check, or the
 * measure failed), 2 (usage), 130 (interrupted). The table goes to standard output, progress to standard error.
 */
export async function main(folder: string, command: string, args: string[] = process.argv.slice(2)): Promise<number> {
  try {
    const { values, positionals, tokens } = parseArgs({ args, options: OPTIONS, strict: false, allowPositionals: true, tokens: true })
    const names = await namesIn(folder)
    const name = positionals[0]
    if (name === undefined) {
      process.stdout.write(`npm run ${command} -- NAME [flags]\n\n${await list(folder, names)}\n\n${HELP}\n`)
      return 0
    }
    if (!names.includes(name)) throw new MtorError('USAGE', `there is no ${command} ${name}; there are: ${names.join(', ') || 'none'}`)
    const measure = await load(folder, name)
    if (values.help) {
      process.stdout.write(`npm run ${command} -- ${name} [flags]\n${measure.title}\n\n${(measure.flags ?? []).map(({ flag, help }) => `  ${(flag.startsWith('--') ? flag : `--${flag}`).padEnd(12)}  ${help}\n`).join('')}${HELP}\n`)
      return 0
    }
    const seed = Number(values.seed ?? 1)
    if (!Number.isInteger(seed) || seed < 0) throw new MtorError('USAGE', `--seed ${String(values.seed)}: expected a whole number from 0`)
    const quick = values.quick === true
    const rows = await runMeasure(measure, { quick, seed, flags: ownFlags(tokens, measure) })
    const report: Report = { name, at: new Date().toISOString(), seed, quick, machine: machine(), rows }
    await write(report, typeof values.json === 'string' ? values.json : undefined)
    const missed = rows.filter((row) => row.holds === false)
    if (missed.length > 0) process.stderr.write(`${missed.length} of ${rows.filter((row) => row.holds !== undefined).length} goals missed\n`)
    return values.check === true && missed.length > 0 ? 1 : 0
  } catch (thrown) {
    const error = toMtorError(thrown)
    process.stderr.write(`✗ ${error.code}: ${error.message}\n${error.code === 'INTERNAL' ? `${error.stack ?? ''}\n` : `  ${error.hint}\n`}`)
    return error.code === 'USAGE' ? 2 : error.code === 'CANCELLED' ? 130 : 1
  }
}

async function write(report: Report, file: string | undefined): Promise<void> {
  const json = `${JSON.stringify(report, null, 2)}\n`
  if (file === '-') { process.stdout.write(json); return }
  const { cpu, cores, memoryBytes, kernel, node } = report.machine
  process.stdout.write(`\n${report.name} on ${cores} × ${cpu}, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${kernel}, Node ${node}, seed ${report.seed}${report.quick ? ', quick' : ''}\n\n${rowsTable(report.rows)}\n`)
  if (file === undefined) return
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, json)
}

/** Ends the process once what was printed is out: a pipe that is cut off by process.exit loses its end. */
export function exit(code: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}
