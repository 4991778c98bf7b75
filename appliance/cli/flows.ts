import type { Command } from 'commander'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { nameOf, type Flows } from '../../flows/runtime/flow.ts'
import type { LintProblem } from '../../flows/runtime/lint/index.ts'
import type { FlowsReader } from '../../flows/runtime/reader.ts'
import type { FlowsStatus } from '../../flows/runtime/status.ts'
import type { DeployMeta } from '../../flows/runtime/store.ts'
import type { Instant } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { EXIT } from '../gateway/exit-codes.ts'
import { table } from '../gateway/table.ts'
import type { CliContext } from './context.ts'

/** `mtor flows …`: what is deployed in Node-RED. Reading works without the daemon too. */
export function addFlowsCommands(program: Command, context: CliContext): void {
  const { print, json } = context
  const reader = async () => (await import('../../flows/runtime/reader.ts')).openReader(context.client(), join(context.config().stateDir, 'flows'))
  const flows = program.command('flows').description('what is deployed in Node-RED: history, going back, files')

  flows.command('status').description('how Node-RED is')
    .action(async () => { const status = await context.client().call('GET', '/flows') as FlowsStatus; print(status, () => statusText(status)) })

  flows.command('list', { isDefault: true }).description('all deploys that are kept, newest first')
    .action(async () => {
      const from = await reader()
      const list = await from.list()
      if (json()) { for (const meta of list) print(meta, () => ''); return }
      const status = await from.status()
      print(list, () => `${status ? statusLine(status) : 'The daemon does not run flows now; this is what is kept.'}\n${listText(list)}`)
    })

  flows.command('show').argument('[n]', 'number of a deploy; left out: the one in force').description('one deploy: with --json all of it')
    .action(async (n: string | undefined) => { const deploy = await (await reader()).read(numberOf(n)); print(deploy, () => `${listText([deploy])}\n\n${nodesText(deploy.flows)}`) })

  flows.command('diff').argument('[from]', 'number of a deploy; left out: the one before').argument('[to]', 'left out: the one in force').description('what changed between two deploys')
    .action(async (from: string | undefined, to: string | undefined) => {
      const source = await reader()
      const diff = await source.diff(from === undefined ? await beforeCurrent(source) : numberOf(from) as number, numberOf(to))
      print(diff, () => `deploy ${diff.from} → ${diff.to}\n${diff.lines.length > 0 ? diff.lines.join('\n') : '  nothing changed'}`)
    })

  flows.command('rollback').argument('[n]', 'number of a deploy; left out: the last good one before the one in force').description('go back to an older deploy; it becomes the newest')
    .action(async (n: string | undefined) => { const meta = await context.client().call('POST', '/flows/rollback', n === undefined ? {} : { n: numberOf(n) }) as DeployMeta; print(meta, () => `Deploy ${meta.of ?? meta.n} is back, as deploy ${meta.n}.`) })

  flows.command('export').argument('[file]', 'left out: standard output').option('--deploy <n>', 'number of a deploy; left out: the one in force').description('flows as Node-RED exports them, without credentials')
    .action(async (file: string | undefined, options: { deploy?: string }) => {
      const { n, flows: nodes } = await (await reader()).read(numberOf(options.deploy))
      const text = `${JSON.stringify(nodes, null, 2)}\n`
      if (file === undefined) { process.stdout.write(text); return }
      writeFileSync(file, text)
      print({ n, file: resolve(file) }, () => `Deploy ${n} is in ${resolve(file)}.`)
    })

  flows.command('import').argument('<file>', 'flows as Node-RED exports them').option('--force', 'deploy them whatever lint says').description('put the flows of a file in the place of those in force')
    .action(async (file: string, options: { force?: boolean }) => {
      const { readFlowFile } = await import('../../flows/runtime/flow-file.ts')
      const problems = await lint(context, await readFlowFile(file), await (await reader()).known())
      if (problems.some(({ severity }) => severity === 'error') && !options.force) throw new MtorError('FLOW_INVALID', `${file} was not deployed:\n${problemsText(problems)}`, { hint: 'Mend it, or deploy it all the same with --force.', data: { problems } })
      const meta = await context.client().call('POST', '/flows/import', { file: resolve(file) }) as DeployMeta
      print(meta, () => `${problems.length > 0 ? `${problemsText(problems)}\n` : ''}Deploy ${meta.n}: ${meta.summary}.`)
    })

  flows.command('lint').argument('[file]', 'left out: the deploy in force').description('what is wrong with flows, without running them')
    .action(async (file: string | undefined) => {
      const source = await reader()
      const { readFlowFile } = await import('../../flows/runtime/flow-file.ts')
      const problems = await lint(context, file === undefined ? (await source.read('current')).flows : await readFlowFile(file), await source.known())
      if (json()) for (const problem of problems) print(problem, () => '')
      else print(problems, () => problems.length > 0 ? problemsText(problems) : 'Nothing is wrong.')
      if (problems.some(({ severity }) => severity === 'error')) process.exitCode = EXIT.failed.code
    })
}

async function lint(context: CliContext, flows: Flows, known: { types?: string[]; declared?: string[] }): Promise<LintProblem[]> {
  const [{ lintFlows }, { Understander }] = await Promise.all([import('../../flows/runtime/lint/index.ts'), import('../understand/index.ts')])
  const { understand, sequences } = context.config()
  const understander = await Understander.load({ directories: understand.directories, sequences: Object.keys(sequences) })
  return lintFlows(flows, { ...known, checkSentences: (declares) => understander.checkDeclared(declares) })
}

function numberOf(text: string | undefined): number | 'current' {
  if (text === undefined) return 'current'
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new MtorError('USAGE', `expected the number of a deploy, got ${JSON.stringify(text)}`, { hint: 'See the deploys with: mtor flows list' })
  return Number(text)
}

async function beforeCurrent(source: FlowsReader): Promise<number> {
  const [, before] = await source.list()
  if (!before) throw new MtorError('NOT_FOUND', 'there is no older deploy to compare with', { hint: 'See the deploys with: mtor flows list' })
  return before.n
}

const timeOf = ({ wall }: Instant) => wall === undefined ? 'clock not set' : new Date(wall).toISOString().slice(0, 19).replace('T', ' ')
const stateOf = ({ good, crashed }: DeployMeta) => crashed ? 'crashed' : good ? 'good' : ''

function listText(list: readonly DeployMeta[]): string {
  if (list.length === 0) return 'Nothing has been deployed yet.'
  return table(list.map((meta) => [String(meta.n), timeOf(meta.at), meta.author, stateOf(meta), meta.summary]), ['n', 'at', 'by', 'ran', 'what'])
}

function statusLine({ state, url, rssMB, restarts, missing }: FlowsStatus): string {
  return [`Flows: ${state}`, url, rssMB === undefined ? undefined : `${rssMB} MB`, restarts > 0 ? `${restarts} restarts` : undefined, missing ? `node types not installed: ${missing.join(', ')}` : undefined].filter((part) => part !== undefined).join(', ')
}

function statusText(status: FlowsStatus): string {
  const { deploy, ...rest } = status
  return table([...Object.entries(rest).map(([key, value]) => [key, Array.isArray(value) ? value.join(', ') : String(value)]), ...(deploy ? [['deploy', `${deploy.n} by ${deploy.author}, ${timeOf(deploy.at)}${deploy.good ? ', good' : ''}`]] : [])])
}

/** Nodes under the tab or subflow they stand on. */
function nodesText(flows: Flows): string {
  const holders = flows.filter(({ type }) => type === 'tab' || type === 'subflow')
  const lines = (z: string | undefined) => flows.filter((node) => node.z === z && !holders.includes(node)).map((node) => `  ${nameOf(node)} (${node.id})`)
  const rest = flows.filter((node) => !holders.includes(node) && !holders.some(({ id }) => id === node.z)).map((node) => `  ${nameOf(node)} (${node.id})`)
  return [...holders.flatMap((holder) => [nameOf(holder), ...lines(holder.id)]), ...(rest.length > 0 ? ['configuration', ...rest] : [])].join('\n')
}

function problemsText(problems: readonly LintProblem[]): string {
  return problems.map(({ severity, node, on, id, message }) => `${severity === 'error' ? '✗' : '·'} ${node ?? 'flows'}${on === undefined ? '' : ` on “${on}”`}${id === undefined ? '' : ` (${id})`}: ${message}`).join('\n')
}
