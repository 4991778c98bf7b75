import { toMtorError } from '../../contracts/errors.ts'
import type { ControlRoute } from '../../gateway/control.ts'
import type { Realm } from '../index.ts'
import { notInRealm } from '../routes.ts'
import type { Together } from '../together.ts'
import { planUpgrade, type UpgradeReport } from './plan.ts'
import { versionsValidator, type Versions } from './versions.ts'

/** The route of `mtor upgrade --check` on the control socket. */
export function upgradeRoutes({ realm, together }: { realm: Realm | undefined; together: Together | undefined }): Record<string, ControlRoute> {
  return {
    'POST /realm/upgrade': async ({ body }): Promise<UpgradeReport> => {
      if (!realm || !together) throw notInRealm()
      const { to } = (body ?? {}) as { to?: unknown }
      const asked = to === undefined ? undefined : versionsValidator.assert(to, 'MALFORMED', 'versions of a release')
      const peers = new Map(realm.peers.list().map((peer) => [peer.node, peer]))
      let registered = new Map<string, Versions>()
      let trouble: string | undefined
      try { registered = await together.versions.read() } catch (error) { trouble = toMtorError(error).message }
      const report = planUpgrade({
        realm: realm.membership.realm, ...(asked ? { to: asked } : {}), devices: together.ownership.list(),
        nodes: realm.membership.list.members.map(({ node, role }) => {
          const self = node === realm.membership.node
          const versions = self ? realm.versions : peers.get(node)?.versions ?? registered.get(node)
          return { node, self, role, online: self || peers.get(node)?.online === true, ...(versions ? { versions } : {}) }
        }),
      })
      return trouble === undefined ? report : { ...report, warnings: [...report.warnings, `The register of versions cannot be read: ${trouble}`] }
    },
  }
}
