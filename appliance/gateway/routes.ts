import { SEVERITIES, type IntentEvent, type SystemEvent } from '../contracts/events.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import type { Identity } from '../contracts/intents.ts'
import type { Handlers, IntentService } from '../dispatch/index.ts'
import type { Journal } from '../journal/port.ts'
import type { Conversation } from '../speech/conversation.ts'
import type { ControlRoute } from './control.ts'
import { Feed } from './feed.ts'

export interface RouteParts {
  hub: Hub
  journal: Journal
  service: IntentService
  conversation: Conversation
  feed: Feed
  status(): Promise<Record<string, unknown>>
  /** What can be said, declared types too. */
  types(): readonly unknown[]
  handlers: Pick<Handlers, 'status' | 'forget'>
  /** Undefined while speech is off. */
  ears: { listen(file: string, signal?: AbortSignal): Promise<{ audioS: number }>; capture(device: string | undefined): void } | undefined
}

const text = (value: unknown, what: string, most: number): string => {
  if (typeof value !== 'string' || value.trim() === '' || value.length > most) throw new MtorError('USAGE', `${what} must be text of 1 to ${most} characters`)
  return value
}
const yes = (value: unknown, what: string): boolean => {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw new MtorError('USAGE', `${what} must be true or false, got ${JSON.stringify(value)}`)
}
const whole = (value: string | null, what: string, usual: number, most: number): number => {
  if (value === null) return usual
  if (!/^\d{1,9}$/.test(value)) throw new MtorError('USAGE', `${what} must be a whole number from 0, got ${JSON.stringify(value)}`)
  return Math.min(Number(value), most)
}

/** The routes of the control socket. */
export function controlRoutes(p: RouteParts): Record<string, ControlRoute> {
  const cli: Identity = { client: 'cli', role: 'operator', kind: 'cli' }
  return {
    'GET /status': () => p.status(),
    'GET /types': async () => p.types(),
    'GET /handlers': async () => p.handlers.status(),
    'DELETE /handlers/:client': async ({ params }) => { await p.handlers.forget(params.client!); return { forgotten: params.client } },
    'POST /say': ({ body, signal }) => {
      const { text: sentence, session, confirmed } = (body ?? {}) as { text?: unknown; session?: unknown; confirmed?: unknown }
      return p.conversation.hear(session === undefined ? 'cli' : `cli:${text(session, 'session', 64)}`, text(sentence, 'text', 1000), cli, { spoken: false, confirmed: yes(confirmed, 'confirmed'), signal })
    },
    'POST /intents': ({ body, signal }) => {
      const given = (body ?? {}) as { v?: unknown; type?: unknown; slots?: unknown; confirmed?: unknown }
      const envelope = given.v === undefined ? p.service.envelope(text(given.type, 'type', 64), (given.slots ?? {}) as Record<string, unknown>, { kind: 'cli' }, { confirmed: yes(given.confirmed, 'confirmed') }) : given
      return p.conversation.submit(envelope as { id: string }, cli, signal)
    },
    'GET /intents': async ({ query }) => p.journal.list({ limit: whole(query.get('limit'), 'limit', 20, 1000) }),
    'GET /intents/:id': async ({ params }) => await p.journal.get(params.id!) ?? Promise.reject(new MtorError('NOT_FOUND', `no intent ${params.id}`)),
    'GET /dead-letters': () => p.journal.list({ deadLetter: true, limit: 1000 }),
    'POST /dead-letters/:id/resubmit': ({ params }) => p.service.resubmit(params.id!, cli),
    'DELETE /dead-letters/:id': async ({ params }) => {
      if (!await p.journal.clearDeadLetter(params.id!)) throw new MtorError('NOT_FOUND', `no dead letter ${params.id}`)
      return { dropped: params.id }
    },
    'GET /events': ({ query, signal }) => events(p.feed, query, signal),
    'POST /listen': ({ body, signal }) => {
      const { file, device } = (body ?? {}) as { file?: unknown; device?: unknown }
      if (!p.ears) throw new MtorError('SPEECH_DOWN', 'speech is switched off in the configuration', { hint: 'Set speech.enabled to true and start again.' })
      return file === undefined ? listenDevice(p, p.ears, text(device, 'device', 200), signal) : listenFile(p, p.ears, text(file, 'file', 4096), signal)
    },
  }
}

async function* events(feed: Feed, query: URLSearchParams, signal: AbortSignal) {
  const least = (SEVERITIES as readonly string[]).indexOf(query.get('severity') ?? 'info')
  if (least < 0) throw new MtorError('USAGE', `severity must be one of ${SEVERITIES.join(', ')}, got ${JSON.stringify(query.get('severity'))}`)
  const wanted = (event: IntentEvent | SystemEvent) => !('severity' in event) || SEVERITIES.indexOf(event.severity) >= least
  for await (const event of feed.read(whole(query.get('last'), 'last', 20, 500), query.get('follow') === 'true' ? signal : undefined, wanted)) yield event
}

/** The events of what is heard, until the file is through and what it started has ended. */
async function* listenFile(p: RouteParts, ears: NonNullable<RouteParts['ears']>, file: string, signal: AbortSignal) {
  const open = new Set<string>()
  let utterances = 0
  const over = new AbortController()
  const ends = AbortSignal.any([signal, over.signal])
  let listened: { audioS: number } | undefined
  let failure: MtorError | undefined
  const settle = () => { if (listened && open.size === 0 && utterances === 0) over.abort() }
  const off = p.hub.onIntent((event) => {
    if (event.source?.kind !== 'voice') return
    if (event.state === 'accepted') open.add(event.id)
    else if (open.has(event.id) && ['succeeded', 'failed', 'expired', 'aborted'].includes(event.state)) { open.delete(event.id); setImmediate(settle) }
  })
  const offHeard = p.hub.onSystem((event) => {
    if (event.component !== 'speech') return
    if (event.name === 'heard') utterances += 1
    // Every heard utterance ends in one of these: it was answered, refused, or became an intent.
    if (event.name === 'answered' && utterances > 0) { utterances -= 1; setImmediate(settle) }
  })
  ears.listen(file, signal).then((result) => { listened = result; setTimeout(settle, 300) }, (error: unknown) => { failure = toMtorError(error); over.abort() })
  try {
    const voiceOnly = (event: IntentEvent | SystemEvent) => 'severity' in event ? event.component === 'speech' && event.severity !== 'debug' : event.source?.kind === 'voice' || open.has(event.id)
    yield* p.feed.read(0, ends, voiceOnly)
    if (failure) throw failure
    if (listened) yield { kind: 'listened', audioS: Math.round(listened.audioS * 100) / 100 }
  } finally { off(); offHeard() }
}

async function* listenDevice(p: RouteParts, ears: NonNullable<RouteParts['ears']>, device: string, signal: AbortSignal) {
  ears.capture(device)
  try { yield* p.feed.read(0, signal, (event) => 'severity' in event ? event.component === 'speech' && event.severity !== 'debug' : event.source?.kind === 'voice') } finally { ears.capture(undefined) }
}
