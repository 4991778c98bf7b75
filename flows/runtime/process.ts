import type { NodeRedProcess } from './node-red.ts'
import type { FromNodeRed, ToNodeRed } from './messages.ts'

/** Entry of the child process in which Node-RED runs. It is started by the core (FlowsHost) and talks over its IPC channel. */
const send = (message: FromNodeRed) => { if (process.connected) process.send!(message, undefined, undefined, () => { /* a core that is gone ends us through 'disconnect' */ }) }

let nodeRed: Promise<NodeRedProcess> | undefined

if (!process.send) {
  process.stderr.write('this is Node-RED of the appliance; it is started by the appliance: npm start\n')
  process.exitCode = 64
} else {
  process.on('message', (message: ToNodeRed) => {
    if (message.kind === 'shutdown' && !nodeRed) process.exit(0)
    nodeRed ??= import('./node-red.ts').then(({ NodeRedProcess: Process }) => new Process(send))
    void nodeRed.then((started) => { started.take(message) })
  })
  process.once('disconnect', () => process.exit(0))
  send({ kind: 'up' })
}
