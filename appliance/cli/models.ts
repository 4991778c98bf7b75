import type { Command } from 'commander'
import { resolve } from 'node:path'
import { systemClock } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { EXIT } from '../gateway/exit-codes.ts'
import { table } from '../gateway/table.ts'
import type { Manifest } from '../inference/manifest.ts'
import { TASK_NAMES } from '../inference/port.ts'
import { readYaml } from '../inference/store/yaml.ts'
import type { ModelStore, Progress, Verified } from '../inference/store/index.ts'
import { parseSource } from '../inference/store/sources/parse.ts'
import type { CliContext } from './context.ts'
import { megabytes, ProgressLine } from './progress.ts'

const sizeOf = ({ files }: Manifest) => files.reduce((sum, { bytes }) => sum + bytes, 0)
const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`
/** Fields of a manifest that a file for `add` may leave out are found out. */
type Draft = Partial<Manifest>

/** `mtor models …`: everything here works without the daemon. */
export function addModelsCommands(program: Command, context: CliContext): void {
  const models = program.command('models').description('the models of this box: what they are, whether they are the right ones, adding and removing; works without the daemon')

  models.command('list', { isDefault: true }).description('all models, and which of them are here')
    .action(async () => {
      const store = await open(context)
      const defaults = new Set(store.defaults().map(({ name }) => name))
      const rows = await Promise.all(store.list().map(async (manifest) => ({
        name: manifest.name, version: manifest.version, task: manifest.task, state: await store.presence(manifest.name), own: store.isOwn(manifest.name), default: defaults.has(manifest.name),
        bytes: sizeOf(manifest), licence: manifest.licence.spdx, source: await sourceOf(manifest), title: manifest.title,
      })))
      context.print(rows, () => table(rows.map((row) => [row.name, row.version, row.task, row.state, megabytes(row.bytes), row.licence, row.own ? 'own' : row.default ? 'default' : 'on demand', row.source]), ['model', 'version', 'task', 'here', 'size', 'licence', 'kind', 'from'], [4]))
    })

  models.command('show').argument('<name>').description('the manifest of a model, and where its files are')
    .action(async (name: string) => {
      const store = await open(context)
      const manifest = store.manifest(name)
      const [verified] = await store.verify(name, { signal: context.interrupted.signal })
      const { stringify } = await import('yaml')
      context.print({ manifest, verified }, () => `${stringify(short(manifest), { lineWidth: 110 })}\n${verifiedText([verified!])}`)
    })

  models.command('pull').argument('[names...]').description('bring models that are not here, or not whole; asked again, a download goes on where it was cut off')
    .option('--default', 'all that the set-up brings')
    .action(async (names: string[], options: { default?: boolean }) => {
      const store = await open(context)
      if (names.length === 0 && options.default !== true) throw new MtorError('USAGE', 'name a model, or --default', { hint: 'List them with: mtor models list' })
      const wanted = [...new Set([...names.map((name) => store.manifest(name).name), ...options.default === true ? store.defaults().map(({ name }) => name) : []])]
      const results = []
      for (const name of wanted) results.push(await pullOne(store, name, context))
      if (context.json()) context.print(results, () => '')
      if (results.some((result) => 'error' in result)) process.exitCode = context.interrupted.signal.aborted ? EXIT.interrupted.code : EXIT.failed.code
    })

  models.command('add').argument('<source>', 'a path, http(s)://…, npm:PACKAGE@VERSION#PATH, debian:PACKAGE#PATH or pypi:PACKAGE==VERSION#PATH')
    .description('add a model of your own; its hashes are pinned as it comes now, its signature is read, and it is run once')
    .option('--name <name>', 'what it is called from now on').option('--model-version <version>', 'its version', undefined)
    .option('--task <task>', `what it does: ${TASK_NAMES.join(', ')}; left out: tensor`).option('--title <text>', 'what it is, in words')
    .option('--licence <spdx>', 'its licence, as SPDX writes it').option('--licence-note <text>', 'open questions of the licence')
    .option('--option <key=value>', 'option of the task, such as decoder=yolo; may be given several times', (pair: string, pairs: string[]) => [...pairs, pair], [])
    .option('--convert <from>', 'tfjs or ctranslate2: make ONNX of it').option('--prove <when>', 'each or idle')
    .option('--manifest <file>', 'YAML with any fields of a manifest').option('--replace', 'replace a model of the same name')
    .action(async (given: string, options: AddOptions) => {
      const store = await open(context)
      const { name, ...addition } = await additionOf(given, options)
      const startedMs = performance.now()
      const manifest = await withProgress(name, context, (onProgress) => store.add({ name, ...addition }, { onProgress, signal: context.interrupted.signal }))
      context.print(manifest, () => `${name} ${manifest.version}: added in ${seconds(startedMs)}, ${manifest.files.length} file${manifest.files.length === 1 ? '' : 's'}, ${megabytes(sizeOf(manifest))}; hashes are pinned\n${manifest.files.map(({ path, sha256 }) => `  ${sha256}  ${path}`).join('\n')}`)
    })

  models.command('verify').argument('[name]').description('read every file of a model, or of all, and compare it with its hash; changes nothing')
    .action(async (name?: string) => {
      const store = await open(context)
      const verified = await store.verify(name, { signal: context.interrupted.signal })
      context.print(verified, () => verifiedText(verified))
      if (verified.some(({ state }) => state === 'damaged')) process.exitCode = EXIT.failed.code
    })

  models.command('scrub').description('verify, and mend what is damaged from the other copy; the daemon does so by itself now and then')
    .action(async () => {
      const store = await open(context)
      const report = await store.scrub(context.interrupted.signal)
      context.print(report, () => [`${report.models} models, ${megabytes(report.bytes)} read in ${(report.durationMs / 1000).toFixed(1)} s`, ...report.repaired.map((file) => `put right: ${file}`), ...report.problems, ...report.untrusted.map((name) => `${name}: every copy is damaged; bring it again with: mtor models pull ${name}`)].join('\n'))
      if (report.untrusted.length > 0) process.exitCode = EXIT.failed.code
    })

  models.command('remove').argument('<name>').description('take the files of a model away; one of your own is gone for good')
    .action(async (name: string) => {
      const { manifest, own } = await (await open(context)).remove(name)
      context.print({ removed: name, own }, () => own ? `${name} is removed.` : manifest.source.kind === 'installed' ? `${name}: its second copy is removed; the files of the npm package stay.` : `${name}: its files are removed; bring them again with: mtor models pull ${name}`)
    })
}

async function open(context: CliContext): Promise<ModelStore> {
  const { ModelStore } = await import('../inference/store/index.ts')
  return new ModelStore({
    ...context.config().inference, clock: systemClock,
    onEvent: ({ name, message, severity }) => { if (!context.json() && severity !== 'info') process.stderr.write(`${name}: ${message}\n`) },
  })
}

async function withProgress<R>(name: string, context: CliContext, work: (onProgress: (progress: Progress) => void) => Promise<R>): Promise<R> {
  const line = context.json() ? undefined : new ProgressLine(name)
  try { return await work((progress) => line?.show(progress)) } finally { line?.end() }
}

/** One that fails does not keep the others away. */
async function pullOne(store: ModelStore, name: string, context: CliContext) {
  const startedMs = performance.now()
  try {
    const { how, manifest } = await withProgress(name, context, (onProgress) => store.pull(name, { onProgress, signal: context.interrupted.signal }))
    if (!context.json()) process.stdout.write(`${name} ${manifest.version}: ${how === 'present' ? 'here and right' : how === 'mended' ? 'put right from its copy' : `fetched, ${megabytes(sizeOf(manifest))}`} (${seconds(startedMs)})\n`)
    return { name, version: manifest.version, how }
  } catch (thrown) {
    const error = toMtorError(thrown)
    if (!context.json()) process.stderr.write(`${name}: ${error.code}: ${error.message}\n  ${error.hint}\n`)
    return { name, error }
  }
}

interface AddOptions { name?: string; modelVersion?: string; task?: string; title?: string; licence?: string; licenceNote?: string; option: string[]; convert?: string; prove?: string; manifest?: string; replace?: boolean }

/** @throws MtorError USAGE, MODEL_INVALID */
async function additionOf(text: string, options: AddOptions) {
  const { source, members, name } = parseSource(text)
  const draft: Draft = options.manifest === undefined ? {} : readDraft(options.manifest)
  const oneOf = <T extends string>(flag: string, value: string | undefined, allowed: readonly T[]): T | undefined => {
    if (value === undefined || (allowed as readonly string[]).includes(value)) return value as T | undefined
    throw new MtorError('USAGE', `--${flag} ${value}: expected ${allowed.join(', ')}`)
  }
  const task = oneOf('task', options.task, TASK_NAMES)
  const prove = oneOf('prove', options.prove, ['each', 'idle'])
  const given: Draft = {
    ...draft, ...(task && { task }), ...(prove && { prove }), ...(options.title !== undefined && { title: options.title }), ...(options.modelVersion !== undefined && { version: options.modelVersion }),
    ...((options.licence !== undefined || options.licenceNote !== undefined) && { licence: { spdx: options.licence ?? draft.licence?.spdx ?? 'NOASSERTION', ...(options.licenceNote === undefined ? {} : { note: options.licenceNote }) } }),
    ...(options.option.length > 0 && { options: { ...draft.options, ...Object.fromEntries(options.option.map(keyValue)) } }),
  }
  return { name: options.name ?? draft.name ?? name, source, members, given, convert: oneOf('convert', options.convert, ['tfjs', 'ctranslate2']), replace: options.replace }
}

function readDraft(file: string): Draft {
  const value = readYaml(resolve(file))
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new MtorError('MODEL_INVALID', `${file}: fields of a manifest are expected`)
  // Where it comes from is said on the command line.
  const { source: _, ...draft } = value as Draft
  return draft
}

/** A value is JSON where it can be read as such, else text. */
function keyValue(pair: string): [string, unknown] {
  const at = pair.indexOf('=')
  if (at <= 0) throw new MtorError('USAGE', `--option ${pair}: expected KEY=VALUE`)
  const text = pair.slice(at + 1)
  let value: unknown = text
  try { value = JSON.parse(text) } catch { /* Text. */ }
  return [pair.slice(0, at), value]
}

const sourceOf = async ({ source }: Manifest) => (await import('../inference/store/index.ts')).describeSource(source)

/** Known answers can be long lists of numbers. */
function short(manifest: Manifest): unknown {
  const knownAnswers = manifest.knownAnswers.map((answer) => { const text = JSON.stringify(answer); return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : answer })
  return { ...manifest, knownAnswers }
}

function verifiedText(verified: readonly Verified[]): string {
  const rows = verified.map(({ model, version, state, places }) => [model, version, state, ...['installed', 'store', 'copy'].map((kind) => {
    const place = places.find((one) => one.kind === kind)
    if (!place) return ''
    const states = Object.values(place.files)
    const bad = Object.entries(place.files).filter(([, file]) => file === 'damaged').map(([path]) => path)
    if (bad.length > 0) return `damaged: ${bad.join(', ')}`
    return states.every((file) => file === 'good') ? 'right' : states.every((file) => file === 'missing') ? '–' : 'files missing'
  })])
  return table(rows, ['model', 'version', 'state', 'npm', 'store', 'copy'], [])
}
