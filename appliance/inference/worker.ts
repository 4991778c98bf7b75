import { performance } from 'node:perf_hooks'
import type { FromWorker, ToWorker } from './messages.ts'
import type { Conversation } from './worker/conversation.ts'

/**
 * Entry of an inference worker: the child process in which models run. It is started by the supervisor (Keeper) and talks
 * over its IPC channel; stdout is not used. What it needs is imported on the first message, so that it is up at once.
 */
const send = (message: FromWorker) => { if (process.connected) process.send!(message, undefined, undefined, () => { /* a core that is gone ends us through 'disconnect' */ }) }

let conversation: Promise<Conversation> | undefined
const begin = () => conversation ??= import('./worker/conversation.ts').then(({ Conversation: Begun }) => new Begun(send))

if (!process.send) {
  process.stderr.write('this is an inference worker; it is started by the appliance: npm start\n')
  process.exitCode = 64
} else {
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'shutdown' && !conversation) process.exit(0)
    void begin().then((begun) => begun.take(message))
  })
  process.once('disconnect', () => process.exit(0))
  send({ kind: 'up', startMs: Math.round(performance.now()) })
  // The core will ask next: what comes meanwhile waits in the pipe.
  void begin()
}
