import { readFile } from 'node:fs/promises'
import { MtorError } from '../../../appliance/contracts/errors.ts'
import { failed, valueOf, type RealmUser } from '../../lib/node.ts'
import type { Red, RedNode } from '../../lib/red.ts'
import { submitting } from '../../lib/submitting.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser { what?: 'camera.capture' | 'vision.describe' | 'vision.find' | 'vision.read'; object?: string; objectType?: string; load?: boolean }

/** Takes a picture, and describes it, looks for something in it, or reads it. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-see', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const { run } = submitting(RED, this, config)
    this.on('input', (msg, send, done) => {
      void (async () => {
        const type = config.what ?? 'vision.describe'
        const object = type === 'vision.find' ? String(await valueOf(RED, this, msg, config.object ?? '', config.objectType ?? 'str') ?? '').trim() : ''
        if (type === 'vision.find' && object === '') throw new MtorError('INVALID_SLOTS', 'nothing to look for: the object is empty')
        const event = await run(msg, { type, slots: type === 'vision.find' ? { object } : {}, resultMs: 120_000 })
        if (event.state !== 'succeeded') throw errorOf(event)
        const { file, annotated } = (event.data ?? {}) as { file?: string; annotated?: string }
        const picture = config.load ? await pictureOf(annotated) ?? await pictureOf(file) : undefined
        send({ ...msg, payload: event.data ?? {}, say: event.say, ...(picture ? { picture } : {}) })
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })
  })
}

/** Continuous pictures never travel over the broker, only where they lie: on another machine there is nothing to load. */
async function pictureOf(file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined
  try { return await readFile(file) } catch { return undefined }
}
