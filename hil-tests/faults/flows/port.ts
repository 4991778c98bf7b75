import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FlowsStatus } from '../../../flows/runtime/index.ts'
import type { Appliance } from '../../resources/appliance.ts'
import type { FlowNode } from '../../../flows/runtime/flow.ts'

/** What a fault of flows may lay hands on. */
export interface FlowsVictim {
  appliance: Appliance
  /** The flows that work; a fault adds to them. */
  good: readonly FlowNode[]
  random(): number
}

/** One kind of fault. */
export interface FlowsFault {
  kind: string
  /** How often it is drawn, relative to the others. */
  weight: number
  /**
   * What must come of the flows by themselves. back: the good ones run again. stay: what was deployed goes on beside the good
   * part of it; the campaign deploys the good ones again.
   */
  then: 'back' | 'stay'
  /** The core itself is down for a moment: voice and stop at the daemon are excused that long. */
  core?: boolean
  /** Does it once and says what it did; undefined when there was nothing to do it to. */
  inject(victim: FlowsVictim): Promise<Record<string, unknown> | undefined>
}

/** State of Node-RED as the daemon tells it; undefined while that does not answer. */
export const flowsStatus = async ({ appliance }: Pick<FlowsVictim, 'appliance'>): Promise<FlowsStatus | undefined> =>
  await appliance.control.call('GET', '/flows').catch(() => undefined) as FlowsStatus | undefined

/** Deploys through the editor's own interface, as a person does. Resolves with the HTTP status, 0 where the connection broke. */
export async function deploy(victim: Pick<FlowsVictim, 'appliance'>, flows: readonly FlowNode[]): Promise<number> {
  const status = await flowsStatus(victim)
  if (status?.url === undefined) return 0
  return fetch(new URL('flows', status.url), { method: 'POST', headers: { 'content-type': 'application/json', 'Node-RED-API-Version': 'v1', 'Node-RED-Deployment-Type': 'full' }, body: JSON.stringify(flows) }).then((response) => response.status, () => 0)
}

/** A function node with a clock before it, in a tab of its own. */
export function timed(everyS: number, code: string): FlowNode[] {
  return [
    { id: 'bad0tab', type: 'tab', label: 'Bad', disabled: false },
    { id: 'bad0clock', type: 'inject', z: 'bad0tab', name: '', props: [], repeat: String(everyS), once: true, onceDelay: 0.2, x: 120, y: 60, wires: [['bad0code']] },
    { id: 'bad0code', type: 'function', z: 'bad0tab', name: 'bad', func: code, outputs: 1, timeout: 0, noerr: 0, initialize: '', finalize: '', libs: [], x: 320, y: 60, wires: [[]] },
  ]
}

/** kill −9 of Node-RED; false where there is none. */
export async function killNodeRed(victim: Pick<FlowsVictim, 'appliance'>): Promise<number | undefined> {
  const pid = (await flowsStatus(victim))?.pid
  if (pid === undefined) return undefined
  try { process.kill(pid, 'SIGKILL'); return pid } catch { return undefined }
}

/** The file of the deploy that is in force. */
export function newestDeployFile({ appliance }: Pick<FlowsVictim, 'appliance'>): string | undefined {
  const dir = join(appliance.stateDir, 'flows', 'deploys')
  const newest = readdirSync(dir).filter((name) => /^\d+\.json$/.test(name)).toSorted().at(-1)
  return newest && join(dir, newest)
}
