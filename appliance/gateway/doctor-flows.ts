import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { EditorAccess } from '../../flows/runtime/access.ts'
import type { FlowsStatus } from '../../flows/runtime/status.ts'
import { FlowStore } from '../../flows/runtime/store.ts'
import { PROJECT_DIR } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { toMtorError } from '../contracts/errors.ts'
import type { ControlClient } from './client.ts'
import type { Finding } from './doctor.ts'

/** What flows need: Node-RED, the nodes built, somebody who can log in; what is deployed, and how it runs. */
export async function examineFlows(config: Config, client: Pick<ControlClient, 'call'>): Promise<Finding[]> {
  if (!config.flows.enabled) return [{ what: 'flows', state: 'note', found: 'switched off in the configuration' }]
  const findings: Finding[] = [nodeRed(), nodes()]
  try {
    const { login } = new EditorAccess(config.bus, config.flows)
    findings.push({ what: 'flow editor', state: 'good', found: login ? 'asks for name and password' : `open to everyone on this machine at ${config.flows.host}:${config.flows.port}`, ...(login ? {} : { advice: 'It asks for name and password once an operator in bus.clients has one: mtor config hash-password' }) })
  } catch (error) {
    const { message, hint } = toMtorError(error)
    findings.push({ what: 'flow editor', state: 'missing', found: message, advice: hint })
  }
  findings.push(await deploys(config))
  try {
    const status = await client.call('GET', '/flows') as FlowsStatus
    findings.push({ what: 'flows', state: status.state === 'running' ? 'good' : 'missing', found: [status.state, status.url, status.rssMB === undefined ? undefined : `${status.rssMB} MB`, `${status.restarts} restarts`].filter((part) => part !== undefined).join(', '), ...(status.state === 'running' ? {} : { advice: 'See why with: mtor events --severity warning' }) })
  } catch { /* The daemon is not running: that is a finding of its own. */ }
  return findings
}

function nodeRed(): Finding {
  try {
    const { version } = createRequire(import.meta.url)('node-red/package.json') as { version: string }
    return { what: 'Node-RED', state: 'good', found: version }
  } catch { return { what: 'Node-RED', state: 'missing', found: 'not installed', advice: 'npm install' } }
}

function nodes(): Finding {
  const built = existsSync(join(PROJECT_DIR, 'flows/dist/mtor-intent-in.cjs'))
  return built ? { what: 'flow nodes', state: 'good', found: 'built' } : { what: 'flow nodes', state: 'missing', found: 'not built', advice: 'node flows/build.mjs' }
}

async function deploys(config: Config): Promise<Finding> {
  const store = new FlowStore(join(config.stateDir, 'flows'), { readOnly: true })
  const damaged = await store.open()
  if (damaged.length > 0) return { what: 'deploys', state: 'missing', found: `damaged: ${damaged.map(({ file }) => file).join(', ')}`, advice: 'They are set aside at the next start, and the last good one comes back.' }
  const { current } = store
  return { what: 'deploys', state: 'good', found: current ? `${store.list().length} kept, number ${current.n} by ${current.author} in force${current.good ? ', good' : ''}` : 'nothing has been deployed yet' }
}
