import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../appliance/contracts/clock.ts'
import { EtcdClient } from '../../appliance/journal/etcd/index.ts'
import { members } from '../../appliance/realm/etcd/index.ts'
import { RealmFolder } from '../../appliance/realm/folder.ts'

/** Has another member lead the consensus; without doing so the witness, which is never killed, soon leads for good. @see etcd's Maintenance.MoveLeader */
export async function lead(stateDir: string, from: string, to: string): Promise<void> {
  const folder = new RealmFolder(stateDir)
  const pem = (name: 'caCert' | 'cert' | 'key') => readFileSync(folder.of(name), 'utf8')
  const tls = { ca: pem('caCert'), cert: pem('cert'), key: pem('key') }
  const connect = (endpoints: string[]) => new EtcdClient({ endpoints, clock: systemClock, tls })
  const any = connect(JSON.parse(readFileSync(join(folder.path, 'cluster.json'), 'utf8')) as string[])
  try {
    const all = await members(any)
    const leader = connect(all.find(({ name }) => name === from)!.clientUrls)
    try { await leader.call('/v3/maintenance/transfer-leadership', { targetID: all.find(({ name }) => name === to)!.id }, { repeat: false }) } finally { leader.close() }
  } finally { any.close() }
}
