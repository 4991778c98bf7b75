import { MtorError } from '../../../appliance/contracts/errors.ts'
import { attached, failed, milliseconds, slotsFrom, type Field, type RealmUser } from '../../lib/node.ts'
import { packetsOf } from '../../lib/readings.ts'
import type { Red, RedNode } from '../../lib/red.ts'
import { submitting } from '../../lib/submitting.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser {
  mode?: 'command' | 'state'
  device?: string
  command?: string
  argsFrom?: 'payload' | 'fields'
  args?: readonly Field[]
  resultS?: number | string
}

/** One device: output 1 what became of a command, output 2 its state, whenever that changes. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-device', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const device = config.device?.trim() ?? ''
    let state: Record<string, unknown> | undefined
    const { to, run } = submitting(RED, this, config, () => state === undefined ? {} : state.connected === false ? { fill: 'red', shape: 'ring', text: RED._('status.lost') } : { fill: 'green', shape: 'dot', text: RED._('status.connected') })
    let before: string | undefined
    const off = to && device !== '' ? packetsOf(to.realm, { source: 'device', device }, ({ values }) => {
      state = values
      // Its age alone is no change.
      const text = JSON.stringify({ ...values, ageMs: undefined, at: undefined })
      if (text === before) return
      before = text
      to.refresh()
      this.send([null, { topic: device, payload: values }])
    }) : undefined
    this.on('close', (_removed, done) => { off?.(); done() })

    this.on('input', (msg, send, done) => {
      void (async () => {
        attached(to)
        const named = device || String(msg.device ?? '')
        if (named === '') throw new MtorError('CONFIG_INVALID', 'no device: choose one in the node, or send it as msg.device')
        if (config.mode === 'state') {
          if (state === undefined || named !== device) throw new MtorError('DEVICE_UNREACHABLE', `no state of ${named} has been heard`)
          send([{ ...msg, topic: named, payload: state }, null])
          return
        }
        const command = config.command?.trim() || String(msg.command ?? '')
        if (command === '') throw new MtorError('CONFIG_INVALID', 'no command: choose one in the node, or send it as msg.command')
        const args = await slotsFrom(RED, this, msg, { source: config.argsFrom ?? 'fields', fields: config.args })
        const event = await run(msg, { type: 'device.command', slots: { device: named, command, ...(Object.keys(args).length > 0 ? { args } : {}) }, ttlMs: 10_000, resultMs: milliseconds(config.resultS) })
        if (event.state !== 'succeeded') throw errorOf(event)
        send([{ ...msg, topic: named, payload: event.data ?? {}, event }, null])
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })
  })
}
