// A node in a process of its own, for tests that stop or kill it: testing-child.ts STATE_DIR PORT
import { systemClock } from '../contracts/clock.ts'
import { Hub } from '../contracts/hub.ts'
import { RealmFolder } from './folder.ts'
import { Membership } from './membership.ts'
import { TlsPeers } from './peers/index.ts'

const [stateDir, port] = process.argv.slice(2)
const membership = await Membership.load(new RealmFolder(stateDir!))
const hub = new Hub(systemClock, membership.node)
hub.onSystem((event) => process.stdout.write(`${JSON.stringify({ name: event.name, data: event.data })}\n`))
const peers = new TlsPeers({ membership, clock: systemClock, hub, host: '127.0.0.1', port: Number(port), version: '0.1.0', heartbeatMs: 100, offlineAfterMs: 500, onNewcomer: (socket) => socket.destroy() })
peers.serve('echo', async (_, message) => message)
await peers.start()
