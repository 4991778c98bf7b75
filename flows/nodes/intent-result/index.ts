import { isCode } from '../../../appliance/contracts/codes.ts'
import { MtorError } from '../../../appliance/contracts/errors.ts'
import type { Report } from '../../lib/handler.ts'
import { failed, findHeld, valueOf } from '../../lib/node.ts'
import type { Message, NodeConfig, Red, RedNode } from '../../lib/red.ts'

interface Config extends NodeConfig {
  outcome: 'succeeded' | 'failed' | 'progress'
  code?: string
  message?: string; messageType?: string
  say?: string; sayType?: string
  data?: string; dataType?: string
}

/** Says what became of an intent that intent in gave to this flow. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-intent-result', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    this.on('input', (msg, _send, done) => {
      void (async () => {
        const report = await reportOf(msg)
        const found = findHeld(RED, msg)
        if (!found) throw new MtorError('NOT_FOUND', 'this message is of no intent that an intent in node sent: pass its message on, with msg._mtor and msg._msgid')
        found.realm.handler.report(found.intent!, report)
        this.status({ fill: report.state === 'failed' ? 'yellow' : 'green', shape: 'dot', text: report.state === 'failed' ? report.code ?? 'failed' : RED._(`status.${report.state}`) })
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })

    const reportOf = async (msg: Message): Promise<Report> => {
      const text = async (value: string | undefined, type: string | undefined) => {
        const got = value === undefined || (value === '' && type !== 'msg') ? undefined : await valueOf(RED, this, msg, value, type ?? 'str')
        return got === undefined || got === null || got === '' ? undefined : String(got)
      }
      const say = await text(config.say, config.sayType), message = await text(config.message, config.messageType)
      const data = await dataOf(msg)
      if (config.outcome !== 'failed') return { state: config.outcome === 'progress' ? 'progress' : 'succeeded', say, message, data }
      // An error that a catch node brought knows its own code and words.
      const caught = msg.error as { code?: unknown; message?: unknown } | undefined
      const code = config.code || (isCode(caught?.code) ? caught.code : 'FLOW_INVALID')
      if (!isCode(code)) throw new MtorError('CONFIG_INVALID', `${code} is no code of the catalogue`)
      return { state: 'failed', code, say, message: message ?? (caught?.message === undefined ? undefined : String(caught.message)), data }
    }

    const dataOf = async (msg: Message): Promise<Record<string, unknown> | undefined> => {
      if (!config.data) return undefined
      const got = await valueOf(RED, this, msg, config.data, config.dataType ?? 'msg')
      if (got === undefined || got === null || got === '') return undefined
      return typeof got === 'object' && !Array.isArray(got) ? got as Record<string, unknown> : { value: got }
    }
  })
}
