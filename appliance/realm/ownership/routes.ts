import { MtorError } from '../../contracts/errors.ts'
import type { ControlRoute } from '../../gateway/control.ts'
import { realmName } from '../routes.ts'
import type { DeviceOwnership, DeviceView } from './index.ts'
import { MOVE_POLICIES, type MovePolicy } from './move.ts'

export interface DeviceRouteParts {
  node: string
  /** Undefined while this node is in no realm. */
  ownership: DeviceOwnership | undefined
  /** This node's own devices, for when it is in none. */
  own(): { id: string; kind: string; connected: boolean; epoch: number | undefined }[]
}

/** The routes of devices on the control socket. */
export function deviceRoutes({ node, ownership, own }: DeviceRouteParts): Record<string, ControlRoute> {
  return {
    'GET /devices': async (): Promise<DeviceView[]> => ownership?.list() ?? own().map(({ id, kind, connected, epoch }) => ({ device: id, kind, owner: node, epoch, wired: [node], lines: connected ? [node] : [], here: 'commands' })),
    'POST /devices/:device/move': async ({ params, body }) => {
      const { to, policy = 'wait' } = (body ?? {}) as { to?: unknown; policy?: unknown }
      if (!(MOVE_POLICIES as readonly unknown[]).includes(policy)) throw new MtorError('USAGE', `policy must be one of ${MOVE_POLICIES.join(', ')}, got ${JSON.stringify(policy)}`)
      if (!ownership) throw new MtorError('NOT_A_MEMBER', 'this node is in no realm, so that there is no other to give a device to', { hint: 'Make one with: mtor realm create NAME' })
      if (!ownership.has(params.device!)) throw new MtorError('NOT_FOUND', `the realm has no device ${JSON.stringify(params.device)}`, { hint: 'See the devices with: mtor device list' })
      return await ownership.move(params.device!, realmName(to, 'a node'), policy as MovePolicy)
    },
  }
}
