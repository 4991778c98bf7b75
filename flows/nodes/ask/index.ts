import type { AnswerKind } from '../../../appliance/contracts/intents.ts'
import { MtorError } from '../../../appliance/contracts/errors.ts'
import { failed, numberOf, valueOf, type RealmUser } from '../../lib/node.ts'
import type { Red, RedNode } from '../../lib/red.ts'
import { submitting } from '../../lib/submitting.ts'
import { errorOf } from '../../lib/submitter.ts'

interface Config extends RealmUser { question?: string; questionType?: string; answerKind?: AnswerKind; values?: string; timeoutS?: number | string }

const WORD = /^[a-z0-9' ]{1,40}$/
/** What the appliance may take for the whole of question and answer, beyond the answer's own time. */
const TALK_MS = 180_000
const wordsOf = (values: unknown): string[] => (Array.isArray(values) ? values.map(String) : String(values ?? '').split(',')).map((word) => word.trim().toLowerCase()).filter((word) => word !== '')

/** Speaks a question and waits for the answer: output 1 has it, output 2 says why there is none. */
export default function register(RED: Red): void {
  RED.nodes.registerType('mtor-ask', function (this: RedNode, config: Config) {
    RED.nodes.createNode(this, config)
    const { to, run } = submitting(RED, this, config)
    const kind = config.answerKind ?? 'yes-no', words = wordsOf(config.values)
    // The ears listen for what they are told to expect.
    const off = kind === 'choice' && to ? to.realm.handler.expect(this.id, words.filter((word) => WORD.test(word))) : undefined
    this.on('close', (_removed, done) => { off?.(); done() })

    this.on('input', (msg, send, done) => {
      void (async () => {
        const question = String(await valueOf(RED, this, msg, config.question ?? 'payload', config.questionType ?? 'msg') ?? '').trim()
        if (question === '') throw new MtorError('INVALID_SLOTS', 'nothing to ask: the question is empty')
        const values = words.length > 0 ? words : wordsOf(msg.values)
        if (kind === 'choice' && values.length === 0) throw new MtorError('INVALID_SLOTS', 'a choice needs answers: in the node, or as msg.values')
        const timeoutS = numberOf(config.timeoutS, undefined)
        const event = await run(msg, { type: 'speech.ask', slots: { question, kind, ...(kind === 'choice' ? { values } : {}), ...(timeoutS === undefined ? {} : { timeoutS }) }, ttlMs: 60_000, resultMs: TALK_MS + 60_000 })
        if (event.state === 'succeeded') send([{ ...msg, payload: event.data?.answer, text: event.data?.text, event }, null])
        else send([null, { ...msg, payload: event, error: errorOf(event).toJSON() }])
      })().then(() => done(), (error: unknown) => failed(this, done, error))
    })
  })
}
