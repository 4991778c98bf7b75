import { toMtorError } from '../../../appliance/contracts/errors.ts'
import { findHeld, type RealmNode } from '../../lib/node.ts'
import { Realms, type Realm } from '../../lib/realm.ts'
import type { CompleteEvent, NodeConfig, Red } from '../../lib/red.ts'
import { settingsOf, type RealmCredentials, type RealmFields, type TlsNode } from '../../lib/settings.ts'

type Config = NodeConfig & RealmFields & { tls?: string }

const HOOK = 'onComplete.mtor-appliance'

/** The config node: one connection to an appliance for all nodes that name it, and what the editor's drop-downs are filled from. */
export default function register(RED: Red): void {
  const realms = new Realms()

  RED.nodes.registerType('mtor-realm', function (this: RealmNode & { credentials?: RealmCredentials }, config: Config) {
    RED.nodes.createNode(this, config)
    try {
      const tls = config.tls ? RED.nodes.getNode(config.tls) as (TlsNode & RealmNode) | null : undefined
      const { realm, release } = realms.acquire(settingsOf(config, this.credentials, tls ?? undefined))
      this.realm = realm
      this.on('close', (removed, done) => { void release(removed).finally(done) })
      watch(this, realm)
    } catch (error) { this.error(toMtorError(error)) }
  }, { credentials: { username: { type: 'text' }, password: { type: 'password' } } })

  const watch = (node: RealmNode, realm: Realm) => {
    const { connection } = realm
    let told: boolean | undefined
    const off = connection.onState(() => {
      if (connection.ready !== told) node.log(RED._(connection.ready ? 'log.connected' : 'log.disconnected', { url: connection.settings.url, realm: connection.settings.realm }))
      told = connection.ready
      if (connection.trouble) node.warn(connection.trouble)
    })
    realm.onRefused = ({ code, message }) => node.warn(`${code ?? ''} ${message ?? ''}`)
    node.on('close', (_removed, done) => { off(); done() })
  }

  RED.httpAdmin.get('/mtor-appliance/catalogue', RED.auth.needsPermission('flows.read'), (request, response) => {
    // A realm that is not deployed yet: what another one says is better than an empty list.
    const asked = typeof request.query.realm === 'string' ? (RED.nodes.getNode(request.query.realm) as RealmNode | null | undefined)?.realm : undefined
    const catalogue = asked?.catalogue ?? realms.all.find((realm) => realm.catalogue)?.catalogue
    if (catalogue) response.json(catalogue)
    else response.status(404).json({ code: 'NOT_RUNNING' })
  })

  // A node behind intent in that fails ends the intent, instead of leaving it to its deadline.
  const failIntent = ({ msg, error, node: { node } }: CompleteEvent) => {
    if (error === undefined || error === null || error === '') return
    const found = findHeld(RED, msg)
    if (!found?.held || isCaught(RED, node)) return
    const instance = RED.nodes.getNode(found.held.instance) as (RealmNode & { failOnError?: boolean }) | null | undefined
    if (!instance?.failOnError) return
    const { code, message } = toMtorError(error, 'FLOW_INVALID')
    found.realm.handler.report(found.held.task.id, { state: 'failed', code, message: `${node.name || node.type}: ${message}` })
  }
  RED.hooks?.remove(HOOK)
  RED.hooks?.add(HOOK, failIntent)
}

/** True where a catch node of the same tab looks after this node: then the flow says itself what becomes of the intent. */
function isCaught(RED: Red, node: RealmNode | CompleteEvent['node']['node']): boolean {
  let caught = false
  RED.nodes.eachNode((config) => {
    if (config.type !== 'catch' || config.z !== node.z || config.d) return
    const { scope, g } = config as NodeConfig & { scope?: 'group' | readonly string[] | null }
    if (scope === 'group' ? g !== undefined && g === (node as { g?: string }).g : !scope || scope.includes(node.id)) caught = true
  })
  return caught
}
