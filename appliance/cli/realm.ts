import type { Command } from 'commander'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { table } from '../gateway/table.ts'
import type { Invitation } from '../realm/index.ts'
import type { RealmStatus } from '../realm/status.ts'
import type { CliContext } from './context.ts'

const DISCOVER_MS = 2_000

/**
 * `mtor realm …`: who belongs to this realm. `create`, `join`, `status` and `leave --force` do without the daemon where
 * it does not run; the others need it, because they need the other nodes.
 */
export function addRealmCommands(program: Command, context: CliContext): void {
  const realm = program.command('realm').description('the nodes that act as one appliance')
  const { print } = context
  const own = () => { const { stateDir, node, peers } = context.config(); return { stateDir, node, config: peers } }

  realm.command('create').argument('<name>', 'such as home').description('make a realm whose first node this is')
    .option('--address <host[:port]>', 'where the others reach this node (default: peers.address, else the first address of this machine)')
    .action(async (name: string, options: { address?: string }) => {
      const made = await daemonOr(context, 'POST', '/realm/create', { name, ...options }, async () => (await import('../realm/routes.ts')).createRealm(own(), { name, ...options }))
      print(made.value, () => `Realm ${made.value.realm} made; this node is ${made.value.node} at ${made.value.address}.\n${restart(made.byDaemon)}\nThen let others in with: mtor realm token`)
    })

  realm.command('token').description('a token with which one node may join, once')
    .option('--role <role>', 'full, or witness (only votes)', 'full').option('--minutes <n>', 'how long it is good', '15')
    .action(async (options: { role: string; minutes: string }) => { printInvitation(context, await context.client().call('POST', '/realm/token', options) as Invitation) })

  realm.command('join').argument('<address>', 'HOST[:PORT] of a full node').argument('<token>', 'as it was printed there').description('join the realm of another node')
    .option('--address <host[:port]>', 'where the others reach this node (default: peers.address, else the address it comes from)')
    .action(async (at: string, token: string, options: { address?: string }) => {
      const joined = await daemonOr(context, 'POST', '/realm/join', { at, token, ...options }, async () => (await import('../realm/routes.ts')).joinWith(own(), { at, token, ...options }))
      print(joined.value, () => `Joined realm ${joined.value.realm} as ${joined.value.node} (${joined.value.role}); it has ${joined.value.nodes.join(', ')}.\n${restart(joined.byDaemon)}`)
    })

  realm.command('status').description('the nodes, who is online, times, versions, clocks')
    .action(async () => {
      const status = await daemonOr(context, 'GET', '/realm', undefined, async () => (await import('../realm/routes.ts')).storedStatus(context.config().stateDir))
      print({ running: status.byDaemon, ...status.value }, () => statusText(status.value, status.byDaemon))
    })

  realm.command('leave').description('leave the realm: the others forget this node, and it forgets its keys')
    .option('--force', 'although no other full node is online to be told')
    .action(async (options: { force?: boolean }) => {
      const left = await daemonOr(context, 'POST', '/realm/leave', options, async () => {
        if (!options.force) throw new MtorError('NOT_RUNNING', 'the daemon does not run, so that nobody can be told', { hint: 'Start it, or forget the realm here alone with: mtor realm leave --force' })
        const { RealmFolder } = await import('../realm/folder.ts')
        const folder = new RealmFolder(context.config().stateDir)
        if (!folder.isMember) throw (await import('../realm/routes.ts')).notInRealm()
        await folder.remove()
        return { told: false }
      })
      print(left.value, () => `Left the realm.${left.value.told ? '' : ' Nobody could be told: remove this node there with: mtor realm replace NODE'}\n${restart(left.byDaemon)}`)
    })

  realm.command('replace').argument('<node>', 'as in the status').description('take a lost node off the list for good, and print a token with which a new board takes its name')
    .option('--force', 'although it is online').option('--minutes <n>', 'how long the token is good', '15')
    .action(async (node: string, options: { force?: boolean; minutes: string }) => { printInvitation(context, await context.client().call('POST', '/realm/replace', { node, ...options }) as Invitation) })

  realm.command('discover').description('realms that announce themselves in the local network; a hint where to join, no proof of anything')
    .action(async () => {
      const { Discovery } = await import('../realm/discovery.ts')
      const found = await new Discovery().find(DISCOVER_MS)
      if (context.json()) for (const one of found) print(one, () => '')
      else print(found, () => found.length === 0 ? 'None. Nodes announce themselves with peers.discovery: true.' : table(found.map(({ realm: name, node, role, address, port, fingerprint }) => [name, node, role, `${address}:${port}`, fingerprint.slice(0, 16)]), ['realm', 'node', 'role', 'address', 'fingerprint'], []))
    })
}

const restart = (byDaemon: boolean) => byDaemon ? 'Stop the daemon and start it again for this to take effect.' : 'Start the daemon with: npm start'

/** Asks the daemon where it runs, so that the files are its own; else does it here. */
async function daemonOr<T>(context: CliContext, method: 'GET' | 'POST', route: string, body: unknown, here: () => Promise<T>): Promise<{ value: T; byDaemon: boolean }> {
  try { return { value: await context.client().call(method, route, body) as T, byDaemon: true } } catch (error) {
    if (toMtorError(error).code !== 'NOT_RUNNING') throw error
    return { value: await here(), byDaemon: false }
  }
}

function printInvitation({ print }: CliContext, invitation: Invitation): void {
  const { address, token, expiresInS, role, node } = invitation
  print(invitation, () => `On the new ${role} node, within ${Math.round(expiresInS / 60)} minutes:\n\n  mtor realm join ${address} ${token}\n\nThe token is good once${node === undefined ? '' : `, for a board that takes the name ${node}`}. Whoever has it can join: pass it on as you would a password.`)
}

const ms = (value: number | undefined) => value === undefined ? '' : value < 10 ? value.toFixed(1) : String(Math.round(value))

/** For a terminal. */
export function statusText(status: RealmStatus, running: boolean): string {
  const nodes = status.nodes.map((one) => [
    one.node + (one.self ? ' (this)' : ''), one.role, one.address, one.online === undefined ? '?' : one.online ? 'online' : `offline: ${one.offline ?? ''}`,
    one.self ? '' : ms(one.rttMs), one.self ? '' : ms(one.lastHeardMs), one.version ?? '', one.protocol ?? '',
    one.clock === undefined ? '' : one.clock.good ? one.clock.offsetMs === undefined ? 'good' : `good, ${one.clock.offsetMs >= 0 ? '+' : ''}${Math.round(one.clock.offsetMs)} ms` : 'not known good',
  ])
  return [
    `Realm ${status.realm}: this node is ${status.node} (${status.role}${status.admits ? ', admits others' : ''})${running ? '' : '; the daemon does not run'}`,
    ...(status.removed === undefined ? [] : [`REMOVED: ${status.removed}`]),
    '', table(nodes, ['node', 'role', 'address', 'state', 'rtt ms', 'heard ms ago', 'version', 'protocol', 'clock'], [4, 5]), '',
    `Leader: ${status.leader ?? 'none known'}. Member list: version ${status.listVersion}, ${status.revoked} revoked. Certificate until ${status.certificateUntil.slice(0, 10)}. Authority: ${status.fingerprint.slice(0, 16)}…`,
    `Clock: ${status.clock.good ? 'known good' : 'not known good'}${Object.entries(status.clock.seenBy).map(([node, offsetMs]) => `; ${node} sees it ${Math.abs(Math.round(offsetMs))} ms ${offsetMs >= 0 ? 'ahead' : 'behind'}`).join('')}`,
  ].join('\n')
}
