// A node with a bus in a process of its own, for tests that stop or kill it: testing-child.ts STATE_DIR PORT
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bus } from '../../bus/index.ts'
import { makeConfig } from '../../config/load.ts'
import { systemClock as clock } from '../../contracts/clock.ts'
import { PROTOCOL_VERSION } from '../../contracts/envelope.ts'
import { Hub } from '../../contracts/hub.ts'
import { EmergencyStop } from '../../guard/emergency-stop.ts'
import { RealmFolder } from '../folder.ts'
import { Membership } from '../membership.ts'
import { TlsPeers } from '../peers/index.ts'
import { OneBus } from './index.ts'

const [realmDir, port] = process.argv.slice(2)
const say = (fact: object) => process.stdout.write(`${JSON.stringify(fact)}\n`)
const membership = await Membership.load(new RealmFolder(realmDir!))
const { node, realm } = membership
const hub = new Hub(clock, node)
const peers = new TlsPeers({ membership, clock, hub, host: '127.0.0.1', port: Number(port), version: '0.1.0', heartbeatMs: 100, offlineAfterMs: 500, onNewcomer: (socket) => socket.destroy() })
const stop = new EmergencyStop(hub)
stop.addDriver({ id: 'wheels', emergencyStop: (reason) => { say({ name: 'stopped', reason }) } })
const oneBus = new OneBus({ membership, peers, clock, hub, stop })
const { mesh } = oneBus
const stateDir = mkdtempSync(join(tmpdir(), 'mtor-child-'))
const bus: Bus = new Bus({
  config: makeConfig({ bus: { listeners: [{ kind: 'tcp', port: 0 }] } }, stateDir).bus, realm, node, stateDir, hub, clock, mesh,
  submit: async (envelope) => ({ v: PROTOCOL_VERSION, id: (envelope as { id: string }).id, accepted: true, at: hub.now() }),
  emergencyStop: (reason) => stop.trigger(reason),
})
await peers.start()
oneBus.start()
oneBus.join(bus)
await bus.start()
say({ name: 'ready', port: bus.addresses()[0]!.port })
