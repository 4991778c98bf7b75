import type { RoverState } from '../../appliance/contracts/telemetry.ts'
import type { Fact, IntentView } from './watch.ts'

/** All that the picture shows, as of one moment. */
export interface Scene {
  runS: number
  nodes: readonly { name: string; role: string; state: 'starting' | 'online' | 'killed' | 'stopped' | 'silent'; backInS?: number; leads: boolean; line: boolean | undefined; commands: boolean }[]
  epoch: number | undefined
  owner: string | undefined
  rover: RoverState | undefined
  loss: { node: string; how: string; by?: string; tookMs?: number } | undefined
  intents: readonly IntentView[]
  facts: readonly Fact[]
  nowMs: number
}

type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'invert'
const CODES: Record<Colour, number> = { bold: 1, dim: 2, invert: 7, red: 31, green: 32, yellow: 33, cyan: 36 }
/** A piece of a line; what is cut or filled up is its text, so that colours have no width. */
type Piece = string | [text: string, colour: Colour]

const STATES = { starting: 'yellow', online: 'green', killed: 'red', stopped: 'yellow', silent: 'red' } as const
const ENDS: Record<string, Colour> = { succeeded: 'green', failed: 'red', expired: 'red', aborted: 'yellow', started: 'cyan', accepted: 'dim' }
const ARROWS = '→↗↑↖←↙↓↘'
const INTENTS = 7
const FACTS = 6

const cell = (text: string, width: number) => text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)
const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`

/** One line of the terminal: not wider than it, coloured if it is to be. */
function line(pieces: readonly Piece[], width: number, colours: boolean): string {
  let left = width
  let text = ''
  for (const piece of pieces) {
    const [all, colour] = typeof piece === 'string' ? [piece, undefined] : piece
    const part = all.length > left ? `${all.slice(0, Math.max(0, left - 1))}${left > 0 ? '…' : ''}` : all
    left -= part.length
    text += colour && colours && part ? `\u001b[${CODES[colour]}m${part}\u001b[0m` : part
  }
  return text
}

const slotsText = (slots: Record<string, unknown>) => Object.entries(slots).map(([name, value]) => name === 'distanceM' ? `${Number(value)} m` : `${name}=${String(value)}`).join(' ')

function roverLine({ rover, owner, epoch }: Scene): Piece[] {
  if (!rover || owner === undefined) return [['nobody commands it', 'red']]
  const { xM = 0, yM = 0, headingDeg = 0, speedMps = 0, moving } = rover
  const arrow = ARROWS[Math.round((((headingDeg % 360) + 360) % 360) / 45) % 8]!
  return [`${arrow} at ${xM.toFixed(2)} m, ${yM.toFixed(2)} m   `, moving ? [`moving ${Math.abs(speedMps).toFixed(2)} m/s`, 'cyan'] : ['stands', 'dim'], `   ${owner} commands it, `, [`epoch ${epoch ?? '?'}`, 'bold']]
}

function lossLine({ loss }: Scene): Piece[] {
  if (!loss) return [['none yet: press k', 'dim']]
  if (loss.tookMs === undefined) return [[`${loss.node} was ${loss.how}: `, 'yellow'], ['another node is about to take the rover', 'bold']]
  return [`${loss.node} was ${loss.how}: ${loss.by} had the rover `, [`${seconds(loss.tookMs)} later`, 'bold']]
}

/** A stopped process votes on: its etcd is another one. */
function troubleLine({ nodes, owner }: Scene): Piece[] {
  const votes = nodes.filter(({ state }) => state === 'online' || state === 'stopped').length
  if (votes <= nodes.length / 2) return ['            ', ['No majority: nothing new is accepted until a second node is back. Stop works.', 'red']]
  if (owner === undefined && !nodes.some(({ role, state }) => role === 'full' && state === 'online')) return ['            ', ['No board is there to drive: what is asked for waits as long as it may. Stop works.', 'red']]
  return []
}

/** The lines of the terminal, top to bottom. */
export function picture(scene: Scene, width: number, colours: boolean): string[] {
  const rows: Piece[][] = [
    [['Two boards and a witness', 'bold'], ['   demo of a realm, all on this machine   ', 'dim'], `${Math.floor(scene.runS / 60)}:${String(Math.floor(scene.runS % 60)).padStart(2, '0')}`],
    [],
    [['node        role      state               realm    line to rover', 'dim']],
    ...scene.nodes.map(({ name, role, state, backInS, leads, line: works, commands }): Piece[] => [
      [cell(name, 12), 'bold'], cell(role, 10),
      [cell(state === 'killed' && backInS !== undefined ? backInS > 0 ? `killed, back in ${Math.ceil(backInS)} s` : 'starts again' : state, 20), STATES[state]],
      cell(leads ? 'leads' : state === 'online' || state === 'stopped' ? 'votes' : '', 9), works === undefined ? cell('none', 9) : works ? [cell('works', 9), 'green'] : [cell('dead', 9), 'red'],
      commands ? ['◀ drives the rover', 'invert'] : '',
    ]),
    [],
    ['Rover       ', ...roverLine(scene)],
    ['Last loss   ', ...lossLine(scene)],
    troubleLine(scene),
    [['intent                carried out by        state       took     taken in at', 'dim']],
    ...Array.from({ length: INTENTS }, (_, i): Piece[] => {
      const one = scene.intents.at(-1 - i)
      if (!one) return i === 0 ? [['none yet: press d', 'dim']] : []
      const doer = one.by === undefined ? '' : `${one.by}${one.epoch === undefined ? '' : `, epoch ${one.epoch}`}`
      return [cell(`${one.type} ${slotsText(one.slots)}`, 22), cell(doer, 22), [cell(one.state, 12), ENDS[one.state] ?? 'dim'], cell(seconds((one.endMs ?? scene.nowMs) - one.startMs), 9), one.from, one.code === undefined ? '' : [`  ${one.code}`, 'yellow']]
    }),
    [],
    [['what happened', 'dim']],
    ...Array.from({ length: FACTS }, (_, i): Piece[] => {
      const fact = scene.facts.at(-1 - i)
      return fact ? [[cell(`${Math.round((scene.nowMs - fact.atMs) / 1000)} s ago`, 10), 'dim'], cell(fact.node, 11), fact.text] : []
    }),
    [],
    [[' k ', 'invert'], ' kill −9 the driver  ', [' s ', 'invert'], ' stop / go on  ', [' m ', 'invert'], ' move  ', [' d ', 'invert'], ' drive  ', [' space ', 'invert'], [' STOP', 'red'], '  ', [' q ', 'invert'], ' end'],
  ]
  return rows.map((pieces) => line(pieces, width, colours))
}

export type Key = 'kill' | 'pause' | 'move' | 'drive' | 'stop' | 'quit'

/** What keys mean; stop before all others where several come at once. An arrow or function key begins with Esc and means nothing. */
export function keyOf(keys: string): Key | undefined {
  if (/^\u001b[[O]/.test(keys)) return undefined
  if (/[ \u001b]/.test(keys)) return 'stop'
  if (/[qQ\u0003\u0004]/.test(keys)) return 'quit'
  const [first] = /[ksmd]/i.exec(keys) ?? []
  return first === undefined ? undefined : ({ k: 'kill', s: 'pause', m: 'move', d: 'drive' } as const)[first.toLowerCase() as 'k']
}
