import { join } from 'node:path'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { ControlClient } from '../../appliance/gateway/client.ts'
import { diffFlows, diffLines, type FlowDiff } from './diff.ts'
import { readObject } from './files.ts'
import type { FlowsStatus } from './status.ts'
import { FlowStore, type Deploy, type DeployMeta } from './store.ts'

export type ShownDeploy = Omit<Deploy, 'credentials'>
export type ShownDiff = FlowDiff & { from: number; to: number; lines: string[] }

/** What the command line reads of flows: from the daemon, or where it does not run from its folder. */
export interface FlowsReader {
  /** Undefined without the daemon. */
  status(): Promise<FlowsStatus | undefined>
  list(): Promise<DeployMeta[]>
  read(n: number | 'current'): Promise<ShownDeploy>
  diff(from: number, to: number | 'current'): Promise<ShownDiff>
  /** Node types that are installed, and intent types that others declare; each undefined where it is not known. */
  known(): Promise<{ types?: string[]; declared?: string[] }>
}

/** @param dir `<state>/flows` */
export async function openReader(client: ControlClient, dir: string): Promise<FlowsReader> {
  try {
    const status = await client.call('GET', '/flows') as FlowsStatus
    // Switched off in the daemon: what was deployed before can be read all the same.
    if (status.state !== 'off') return overSocket(client, status)
  } catch (error) { if (!(error instanceof MtorError && error.code === 'NOT_RUNNING')) throw error }
  const store = new FlowStore(dir, { readOnly: true })
  await store.open()
  return fromStore(store)
}

function overSocket(client: ControlClient, status: FlowsStatus): FlowsReader {
  return {
    status: async () => status,
    list: async () => await client.call('GET', '/flows/deploys') as DeployMeta[],
    read: async (n) => await client.call('GET', `/flows/deploys/${n}`) as ShownDeploy,
    diff: async (from, to) => await client.call('GET', `/flows/diff/${from}/${to}`) as ShownDiff,
    known: async () => await client.call('GET', '/flows/known') as { types: string[]; declared: string[] },
  }
}

function fromStore(store: FlowStore): FlowsReader {
  const read = async (n: number | 'current'): Promise<ShownDeploy> => {
    const wanted = n === 'current' ? store.current?.n ?? store.list()[0]?.n : n
    if (wanted === undefined) throw new MtorError('NOT_FOUND', 'nothing has been deployed yet', { hint: 'Deploy flows in the editor, or with: mtor flows import FILE' })
    const { credentials: _, ...deploy } = await store.read(wanted)
    return deploy
  }
  return {
    status: async () => undefined,
    list: async () => store.list(),
    read,
    diff: async (from, to) => {
      const [before, after] = await Promise.all([read(from), read(to)])
      const diff = diffFlows(before.flows, after.flows)
      return { from: before.n, to: after.n, ...diff, lines: diffLines(diff) }
    },
    known: async () => {
      const { types } = await readObject(join(store.dir, 'types.json')) ?? {}
      return Array.isArray(types) ? { types: types as string[] } : {}
    },
  }
}
