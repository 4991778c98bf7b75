import type { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { MtorError } from '../contracts/errors.ts'
import { EXIT } from '../gateway/exit-codes.ts'
import { table } from '../gateway/table.ts'
import type { UpgradeReport } from '../realm/upgrade/plan.ts'
import { versionsValidator, type Versions } from '../realm/upgrade/versions.ts'
import type { CliContext } from './context.ts'

/** `mtor upgrade --check`: whether a release fits the realm as it runs, and in which order. It installs nothing. */
export function addUpgradeCommands(program: Command, context: CliContext): void {
  program.command('upgrade').description('whether a release can join the running realm, and which node to take first; installs nothing')
    .option('--check', 'say it').option('--to <file>', 'of a release that is not installed here yet: what "npm run -s versions" printed there')
    .action(async ({ check, to }: { check?: boolean; to?: string }) => {
      if (!check) throw new MtorError('USAGE', 'mtor upgrade installs nothing', { hint: 'It only says what to do: mtor upgrade --check, or with --to FILE for a release that is not installed yet.' })
      const report = await context.client().call('POST', '/realm/upgrade', to === undefined ? {} : { to: versionsOf(to) }) as UpgradeReport
      context.print(report, () => upgradeText(report, to !== undefined))
      if (!report.ok) process.exitCode = EXIT.failed.code
    })
}

/** @throws MtorError NOT_FOUND, MALFORMED */
function versionsOf(file: string): Versions {
  let text: string
  try { text = readFileSync(file, 'utf8') } catch (error) { throw new MtorError('NOT_FOUND', `no file ${file}`, { cause: error, hint: 'In the folder of the new release: npm run -s versions > FILE' }) }
  let value: unknown
  try { value = JSON.parse(text) } catch (error) { throw new MtorError('MALFORMED', `${file} is not JSON`, { cause: error, hint: 'In the folder of the new release: npm run -s versions > FILE' }) }
  return versionsValidator.assert(value, 'MALFORMED', file)
}

/** For a terminal. */
export function upgradeText({ realm, ok, to, inUse, nodes, refused, warnings, steps }: UpgradeReport, isToCome: boolean): string {
  const rows = nodes.map(({ node, self, role, online, versions: its }) => [node + (self ? ' (this)' : ''), role, online ? 'online' : 'away', its?.software ?? 'not known', its?.protocol ?? '', its?.schema ?? '', its?.envelope ?? ''])
  const what = isToCome ? `Release ${to.software}` : `This node (${to.software})`
  return [
    ok ? `${what} can join realm ${realm} as it runs now.` : `${what} CANNOT join realm ${realm} as it runs now.`, '',
    table([...rows, ['asked about', '', '', to.software, to.protocol, to.schema, to.envelope], ...(inUse ? [['in use', '', '', '', inUse.protocol, inUse.schema, inUse.envelope]] : [])], ['node', 'role', 'state', 'release', 'protocol', 'schema', 'envelope'], [4, 5, 6]),
    ...(refused.length === 0 ? [] : ['', ...refused.map(({ code, message }) => `✗ ${code}: ${message}.`)]),
    ...(warnings.length === 0 ? [] : ['', ...warnings]),
    ...(steps.length === 0 ? ok && isToCome ? ['', 'Every node runs it already.'] : [] : ['', 'One node after the other, by hand (nothing is installed by this command):', ...steps.map((step, i) => `${i + 1}. ${step}.`)]),
  ].join('\n')
}
