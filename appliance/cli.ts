#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { addDeviceCommands } from './cli/device.ts'
import { addFlowsCommands } from './cli/flows.ts'
import { addHandlersCommands } from './cli/handlers.ts'
import { addInferenceCommands } from './cli/inference.ts'
import { addLearnCommands } from './cli/learn.ts'
import { addModelsCommands } from './cli/models.ts'
import { addRealmCommands } from './cli/realm.ts'
import { addUpgradeCommands } from './cli/upgrade.ts'
import type { CliContext } from './cli/context.ts'
import { inRunDir, loadConfig, PROJECT_DIR } from './config/load.ts'
import { MtorError, toMtorError } from './contracts/errors.ts'
import { EXIT, exitCodeOf } from './gateway/exit-codes.ts'
import { ControlClient } from './gateway/client.ts'
import * as show from './gateway/show.ts'
import type { TypeDescription } from './understand/index.ts'

/** The `mtor` command. Every subcommand takes --json; exit codes are in gateway/exit-codes.ts and in --help. */
const program = new Command('mtor')
  .description('Talk to the MTOR appliance on this box.')
  .option('--json', 'print JSON, one value a line, instead of text')
  .option('--config <file>', 'configuration of the daemon to talk to (default: $MTOR_CONFIG, else the built-in one)')
  .option('--socket <path>', 'control socket of the daemon (default: $MTOR_SOCKET, else from the configuration)')
  .version((JSON.parse(readFileSync(join(PROJECT_DIR, 'package.json'), 'utf8')) as { version: string }).version)
  .showHelpAfterError('(see mtor --help)')
  .configureOutput({ writeErr: (text) => { if (!json()) process.stderr.write(text) } })
  .exitOverride()
  .addHelpText('after', `\nExit codes:\n${Object.values(EXIT).map(({ code, meaning }) => `  ${code}  ${meaning}`).join('\n')}\n\nExamples:\n  mtor say "drive forward two metres"\n  mtor listen recording.wav\n  mtor events --follow\n  mtor stop\n`)

interface Globals { json?: boolean; config?: string; socket?: string }
const globals = () => program.opts<Globals>()
const config = () => loadConfig(globals().config ?? process.env.MTOR_CONFIG)
const givenSocket = () => globals().socket ?? process.env.MTOR_SOCKET
const client = () => new ControlClient(givenSocket() ?? inRunDir(config(), 'control.sock'))
// A wrong command line is answered before its options are known.
const json = () => globals().json === true || process.argv.includes('--json')
const print = (value: unknown, text: () => string) => { process.stdout.write(`${json() ? JSON.stringify(value) : text()}\n`) }
const printEntries = (entries: readonly Record<string, unknown>[], full: boolean) => {
  if (json()) for (const entry of entries) print(entry, () => '')
  else process.stdout.write(`${show.entries(entries, full)}\n`)
}

/** What can be said: of the daemon, which knows what flows declare; where none runs, of the intent files. */
async function spokenTypes(): Promise<TypeDescription[]> {
  try { return await client().call('GET', '/types') as TypeDescription[] } catch (error) { if (toMtorError(error).code !== 'NOT_RUNNING') throw error }
  const { Understander } = await import('./understand/index.ts')
  const { understand, sequences } = config()
  return (await Understander.load({ directories: understand.directories, sequences: Object.keys(sequences) })).types()
}

/** Aborted by Ctrl-C, so that following commands end cleanly. */
const interrupted = new AbortController()
process.once('SIGINT', () => { interrupted.abort(); setTimeout(() => process.exit(EXIT.interrupted.code), 500).unref() })
// A reader such as head that closes the pipe early is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EPIPE') process.exit(0) })

program.command('say').argument('<text...>', 'a sentence as you would speak it, without the wake word')
  .description('submit a sentence; prints receipt, progress and result')
  .option('--session <name>', 'conversation it belongs to (questions are answered in the same one)', 'cli')
  .option('--confirmed', 'you have asked; do not ask again')
  .action(async (words: string[], options: { session: string; confirmed?: true }) => {
    process.exitCode = await show.turns(client().lines('POST', '/say', { text: words.join(' '), ...options }, interrupted.signal), json())
  })

program.command('listen').argument('[file]', 'WAV file, any rate, 1 to 8 channels')
  .description('hear a WAV file through the same capture path as the microphone, or a capture device')
  .option('--device <name>', 'ALSA capture device such as hw:1; listens until Ctrl-C')
  .action(async (file: string | undefined, options: { device?: string }) => {
    if ((file === undefined) === (options.device === undefined)) throw new MtorError('USAGE', 'give either a WAV file or --device NAME')
    if (file !== undefined && !existsSync(file)) throw new MtorError('NOT_FOUND', `no file ${resolve(file)}`)
    process.exitCode = await show.heard(client().lines('POST', '/listen', file === undefined ? { device: options.device } : { file: resolve(file) }, interrupted.signal), json())
  })

program.command('intents').argument('[type]', 'only this type, such as drive.move')
  .description('the catalogue: what can be asked, with slots, units, ranges and examples')
  .action(async (type: string | undefined) => {
    show.intents(await spokenTypes(), type, json())
  })

program.command('events').description('what happens on the box')
  .option('-f, --follow', 'go on until Ctrl-C').option('-n, --last <n>', 'how many past events to begin with', '20')
  .option('--severity <level>', 'only this severity and above (debug, info, warning, error, critical)', 'info')
  .action(async (options: { follow?: boolean; last: string; severity: string }) => {
    const query = new URLSearchParams({ last: options.last, severity: options.severity, follow: String(options.follow === true) })
    for await (const event of client().lines('GET', `/events?${query}`, undefined, interrupted.signal)) print(event, () => show.eventLine(event))
  })

program.command('status').description('state of the box, its devices, speech and journal')
  .action(async () => { const status = await client().call('GET', '/status') as Record<string, unknown>; print(status, () => show.status(status)) })

program.command('stop').argument('[reason...]').description('EMERGENCY STOP: halt everything that moves, now; works without the daemon too')
  .action(async (reason: string[]) => {
    const { requestStop } = await import('./guard/stop-socket.ts')
    const { stopAllLines } = await import('./guard/last-resort.ts')
    const settings = config()
    const socket = givenSocket()
    // The daemon that is named is the one to stop: its sockets and its run file lie in one folder.
    if (socket !== undefined) settings.runDir = dirname(resolve(socket))
    const answer = await requestStop({ socketPath: inRunDir(settings, settings.guard.stopSocket), reason: `cli ${reason.join(' ')}`.trim(), lastResort: () => stopAllLines(inRunDir(settings, 'appliance.json')) })
    if (!answer) throw new MtorError('NOT_RUNNING', 'no daemon answered and no device line could be written')
    print({ stopped: true, by: answer.by, ms: Math.round(answer.ms * 10) / 10 }, () => `Stopped by the ${answer.by === 'daemon' ? 'daemon' : 'line itself: the daemon did not answer'} (${answer.ms.toFixed(1)} ms).`)
  })

program.command('doctor').description('what is installed, what is missing, what to do')
  .action(async () => {
    const { examine } = await import('./gateway/doctor.ts')
    const findings = await examine(config(), client())
    show.findings(findings, json())
    if (findings.some((f) => f.state === 'missing')) process.exitCode = EXIT.failed.code
  })

program.command('understand').argument('<file>', 'one sentence a line, or - for standard input; with expectations it is scored')
  .description('print what each sentence of a file means, without doing it')
  .option('--no-proposals', 'templates only')
  .action(async (file: string, options: { proposals: boolean }) => {
    const { runUnderstand } = await import('./understand/index.ts')
    process.exitCode = (await runUnderstand({ file, json: json(), proposals: options.proposals }, (line) => process.stdout.write(`${line}\n`))).exitCode
  })

const configCommand = program.command('config').description('check and show the configuration')
configCommand.command('check').argument('<file>').description('say what is wrong in a configuration file')
  .action((file: string) => { const checked = loadConfig(file); print({ ok: true, file: resolve(file) }, () => `${file}: good (realm ${checked.realm}, node ${checked.node}, ${checked.devices.length} device${checked.devices.length === 1 ? '' : 's'})`) })
configCommand.command('show').description('the configuration with all defaults filled in')
  .action(() => { const settings = config(); print(settings, () => JSON.stringify(settings, null, 2)) })
configCommand.command('hash-password').description('read a password from standard input, print its hash for bus.clients')
  .action(async () => {
    const { hashPassword } = await import('./bus/password.ts')
    const password = readFileSync(0, 'utf8').replace(/\r?\n$/, '')
    if (!password) throw new MtorError('USAGE', 'give the password on standard input')
    const passwordHash = await hashPassword(password)
    print({ passwordHash }, () => passwordHash)
  })

program.command('journal').argument('[id]', 'one intent by its id').description('the intents the box has accepted, newest first')
  .option('-n, --last <n>', 'how many', '20')
  .action(async (id: string | undefined, options: { last: string }) => {
    const entries = id === undefined ? await client().call('GET', `/intents?limit=${encodeURIComponent(options.last)}`) as Record<string, unknown>[] : [await client().call('GET', `/intents/${encodeURIComponent(id)}`) as Record<string, unknown>]
    printEntries(entries, id !== undefined)
  })

const context: CliContext = { config, client, json, print, interrupted }
addFlowsCommands(program, context)
addInferenceCommands(program, context)
addHandlersCommands(program, context)
addModelsCommands(program, context)
addLearnCommands(program, context)
addRealmCommands(program, context)
addDeviceCommands(program, context)
addUpgradeCommands(program, context)

const deadLetters = program.command('dead-letters').description('intents that failed and may be submitted again')
deadLetters.command('list', { isDefault: true }).description('list them')
  .action(async () => { printEntries(await client().call('GET', '/dead-letters') as Record<string, unknown>[], false) })
deadLetters.command('resubmit').argument('<id>').description('submit one again, under a new id')
  .action(async (id: string) => {
    const receipt = await client().call('POST', `/dead-letters/${encodeURIComponent(id)}/resubmit`) as { accepted: boolean; id: string | null; code?: string; message?: string }
    print(receipt, () => receipt.accepted ? `Accepted as ${receipt.id}.` : `Rejected: ${receipt.code} ${receipt.message}`)
    if (!receipt.accepted) process.exitCode = EXIT.rejected.code
  })
deadLetters.command('drop').argument('<id>').description('take one off the list')
  .action(async (id: string) => { print(await client().call('DELETE', `/dead-letters/${encodeURIComponent(id)}`), () => 'Dropped.') })

try {
  await program.parseAsync()
  if (interrupted.signal.aborted) process.exitCode = EXIT.interrupted.code
} catch (thrown) {
  // Help and version were asked for, and have been printed.
  if (!(thrown instanceof CommanderError) || thrown.exitCode !== 0) {
    const isUsage = thrown instanceof CommanderError
    const error = isUsage ? new MtorError('USAGE', thrown.code === 'commander.help' ? 'a command is missing' : thrown.message.replace(/^error: /, '')) : toMtorError(thrown)
    process.exitCode = exitCodeOf(error.code)
    if (json()) process.stdout.write(`${JSON.stringify({ error })}\n`)
    else if (!isUsage) process.stderr.write(`mtor: ${error.code}: ${error.message}\n  ${error.hint}\n`)
  }
}
