import { EXIT } from './exit-codes.ts'
import type { Finding } from './doctor.ts'
import { MtorError } from '../contracts/errors.ts'
import { intentDefinition } from '../contracts/intents.ts'
import type { DeviceView } from '../realm/ownership/index.ts'
import { table } from './table.ts'

/** What the CLI prints for people. Everything here takes what the daemon sent and gives text. */
type Json = Record<string, unknown>
const write = (text: string) => { process.stdout.write(`${text}\n`) }
const slotsText = (slots: unknown) => Object.entries((slots ?? {}) as Json).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(' ')

/** A conversation as it goes on; returns the exit code. */
export async function turns(lines: AsyncIterable<Json>, json: boolean): Promise<number> {
  let exitCode: number = EXIT.interrupted.code
  for await (const turn of lines) {
    if (json) write(JSON.stringify(turn))
    else {
      const text = turnText(turn)
      if (text !== undefined) write(text)
    }
    exitCode = exitOf(turn) ?? exitCode
  }
  return exitCode
}

function exitOf(turn: Json): number | undefined {
  if (turn.kind === 'say') return turn.expects ? EXIT.asked.code : turn.code === 'NOT_UNDERSTOOD' ? EXIT.notUnderstood.code : turn.code ? EXIT.failed.code : EXIT.done.code
  if (turn.kind === 'receipt') return (turn.receipt as Json).accepted ? undefined : EXIT.rejected.code
  if (turn.kind === 'event') {
    const { state } = turn.event as { state: string }
    if (state === 'succeeded') return EXIT.done.code
    if (state === 'failed' || state === 'expired' || state === 'aborted') return EXIT.failed.code
  }
  return undefined
}

function turnText(turn: Json): string | undefined {
  if (turn.kind === 'understood') return `understood  ${turn.type as string} ${slotsText(turn.slots)}`.trimEnd()
  if (turn.kind === 'receipt') {
    const receipt = turn.receipt as Json
    return receipt.accepted ? `accepted    ${receipt.id as string}` : `rejected    ${receipt.code as string}: ${receipt.message as string}\n            ${receipt.hint as string}`
  }
  if (turn.kind === 'say') return `box         ${turn.say as string}`
  const event = turn.event as Json
  if (event.state === 'accepted') return undefined
  if (event.state === 'started' || event.state === 'progress') return `${(event.state as string).padEnd(11)} ${event.message as string ?? slotsText(event.data)}`.trimEnd()
  return `${(event.state as string).padEnd(11)} ${event.code ? `${event.code as string}: ${event.message as string ?? ''}\n            ` : ''}${event.say as string ?? ''}`.trimEnd()
}

/** What was heard in a file or from a device; returns the exit code. */
export async function heard(lines: AsyncIterable<Json>, json: boolean): Promise<number> {
  let understood = false
  let exitCode: number = EXIT.notUnderstood.code
  for await (const event of lines) {
    if (json) write(JSON.stringify(event))
    else write(event.kind === 'listened' ? `listened    ${event.audioS as number} s of audio` : eventLine(event))
    if (event.state === 'succeeded') { understood = true; exitCode = EXIT.done.code }
    if (event.state === 'failed' || event.state === 'expired' || event.state === 'aborted') { understood = true; exitCode = EXIT.failed.code }
  }
  if (!understood && !json) write('Nothing was carried out.')
  return exitCode
}

/** One event, intent or system, on one line. */
export function eventLine(event: Json): string {
  const at = event.at as { wall?: number; mono: number }
  const time = at.wall === undefined ? `+${(at.mono / 1000).toFixed(3)}s` : new Date(at.wall).toISOString().slice(11, 23)
  const what = event.state === undefined
    ? `${(event.severity as string).padEnd(8)} ${event.component as string} ${event.name as string}`
    : `${(event.state as string).padEnd(8).replace(/^progress$/, 'progress')} ${event.type as string} ${(event.id as string).slice(-8)}`
  const detail = [event.code, event.message, event.say && event.say !== event.message ? `“${event.say as string}”` : undefined, event.message === undefined && event.data ? slotsText(event.data) : undefined].filter(Boolean).join(' ')
  return `${time}  ${what}  ${detail}`.trimEnd()
}

/** The status as lines. */
export function status(s: Json): string {
  const value = (v: unknown): string => v === null || v === undefined ? '-' : typeof v === 'object' ? Object.entries(v as Json).map(([k, x]) => `${k} ${typeof x === 'object' && x !== null ? JSON.stringify(x) : typeof x === 'number' ? Math.round(x * 1000) / 1000 : String(x)}`).join(', ') : String(v)
  const device = ({ connected, command, ...rest }: Json) => [connected ? 'connected' : 'not connected', ...(command ? [commandText(command as CommandOf)] : []), ...(Object.keys(rest).length > 0 ? [value(rest)] : [])].join(', ')
  return table(Object.entries(s).flatMap(([key, v]) => key === 'devices' ? Object.entries(v as Json).map(([id, d]) => [`device ${id}`, device(d as Json)]) : [[key, value(v)]]))
}

type CommandOf = Pick<DeviceView, 'here' | 'owner' | 'epoch' | 'alone'>
/** Which node commands a device, as seen from a node that has a line to it. */
function commandText({ here, owner, epoch, alone }: CommandOf): string {
  const under = epoch === undefined ? '' : `, epoch ${epoch}`
  if (here === 'commands') return `commanded by this node${alone ? ' alone' : ''}${under}`
  return owner === undefined ? `${here} (no node is known to command it)` : `${here} (${owner} commands it${under})`
}

/** The catalogue. @throws MtorError NOT_FOUND for an unknown type */
export function intents(types: readonly { type: string; title: string; examples: readonly string[] }[], only: string | undefined, json: boolean): void {
  const chosen = only === undefined ? types : types.filter((t) => t.type === only)
  if (chosen.length === 0) throw new MtorError('NOT_FOUND', `no intent type ${only}; see: mtor intents`)
  for (const { type, title, examples } of chosen) {
    const definition = intentDefinition(type)
    const properties = Object.entries((definition?.slots.properties ?? {}) as Record<string, Json>)
    const required = new Set((definition?.slots as { required?: string[] } | undefined)?.required ?? [])
    const slots = properties.map(([name, schema]) => ({ name, required: required.has(name), unit: schema['x-unit'], type: schema.enum ? (schema.enum as string[]).join(' | ') : schema.type, minimum: schema.minimum, maximum: schema.maximum, description: schema.description }))
    if (json) { write(JSON.stringify({ type, title, slots, policy: definition?.policy, examples })); continue }
    write(`${type.padEnd(16)} ${title}`)
    for (const slot of slots) write(`                 ${slot.name}${slot.required ? '' : '?'}: ${slot.type as string}${slot.unit ? ` in ${slot.unit as string}` : ''}${slot.minimum !== undefined && slot.maximum !== undefined ? `, ${slot.minimum as number} to ${slot.maximum as number}` : ''}${slot.description ? ` (${slot.description as string})` : ''}`)
    for (const example of only === undefined ? examples.slice(0, 2) : examples) write(`                 “${example}”`)
  }
}

/** Journal entries: a line each, or one in full. */
export function entries(list: readonly Json[], full: boolean): string {
  if (full) return list.map((e) => JSON.stringify(e, null, 2)).join('\n')
  if (list.length === 0) return 'None.'
  return table(list.map((e) => {
    const envelope = e.envelope as Json; const final = e.final as Json | undefined; const acceptedAt = e.acceptedAt as { wall?: number }
    return [acceptedAt.wall ? new Date(acceptedAt.wall).toISOString().slice(0, 19).replace('T', ' ') : '-', envelope.id as string, envelope.type as string, e.state as string, (final?.code as string) ?? '', slotsText(envelope.slots)]
  }), ['accepted', 'id', 'type', 'state', 'code', 'slots'])
}

/** What the doctor found. */
export function findings(list: readonly Finding[], json: boolean): void {
  if (json) { for (const finding of list) write(JSON.stringify(finding)); return }
  const mark = { good: '✓', note: '·', missing: '✗' }
  write(table(list.map((f) => [mark[f.state], f.what, f.found])))
  for (const f of list) if (f.advice) write(`\n${mark[f.state]} ${f.what}: ${f.advice}`)
}
