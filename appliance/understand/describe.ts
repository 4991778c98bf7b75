import { intentDefinition } from '../contracts/intents.ts'
import type { DeclaredIntent, SlotKind } from '../contracts/handlers.ts'
import { withArticle } from '../contracts/objects.ts'

/** A number as it is said: at most three decimals, no trailing zeros. */
const plain = (value: number) => String(Number(value.toFixed(3)))
const counted = (value: number, one: string, many = `${one}s`) => `${plain(value)} ${Math.abs(value) === 1 ? one : many}`
const number = (value: unknown): number | undefined => typeof value === 'number' && Number.isFinite(value) ? value : undefined

/** Seconds as "1 hour 30 minutes". */
export function sayDuration(durationS: number): string {
  const parts: string[] = []
  let restS = Math.round(durationS * 10) / 10
  for (const [seconds, name] of [[86_400, 'day'], [3600, 'hour'], [60, 'minute']] as const) {
    const count = Math.floor(restS / seconds)
    if (count > 0) parts.push(counted(count, name))
    restS -= count * seconds
  }
  if (restS > 0 || parts.length === 0) parts.push(counted(restS, 'second'))
  return parts.join(' ')
}

/** Metres as "2 metres" or "50 centimetres". */
export const sayDistance = (distanceM: number): string => Math.abs(distanceM) < 1 && distanceM !== 0 ? counted(distanceM * 100, 'centimetre') : counted(distanceM, 'metre')

type Slots = Readonly<Record<string, unknown>>
const speed = (speedMps: unknown) => { const value = number(speedMps); return value === undefined ? '' : ` at ${counted(value, 'metre')} per second` }
const named = (slots: Slots) => typeof slots.name === 'string' ? ` called ${slots.name}` : ''

type Factors = Readonly<Record<string, number>>
/** The direction of a number that is still missing. */
const direction = (factor: number | undefined, positive: string, negative: string) => factor === undefined ? '' : factor < 0 ? ` ${negative}` : ` ${positive}`

const SAYINGS: Readonly<Record<string, (slots: Slots, factors: Factors) => string>> = {
  'drive.move': (slots, factors) => { const value = number(slots.distanceM); return (value === undefined ? `drive${direction(factors.distanceM, 'forward', 'back')}` : `drive ${value < 0 ? 'back' : 'forward'} ${sayDistance(Math.abs(value))}`) + speed(slots.speedMps) },
  'drive.turn': (slots, factors) => { const value = number(slots.angleDeg); return value === undefined ? `turn${direction(factors.angleDeg, 'left', 'right')}` : `turn ${value < 0 ? 'right' : 'left'} by ${counted(Math.abs(value), 'degree')}` },
  'drive.speed': (slots) => { const value = number(slots.speedMps); return value === undefined ? 'set the travel speed' : `set the travel speed to ${counted(value, 'metre')} per second` },
  'stop': () => 'stop',
  'camera.capture': () => 'take a picture',
  'vision.describe': () => 'say what is in view',
  'vision.read': () => 'read the text in view',
  'vision.find': (slots) => `look for ${typeof slots.object === 'string' ? withArticle(slots.object) : 'an object'}`,
  'vision.watch': (slots) => { const value = number(slots.durationS); return `watch for ${typeof slots.object === 'string' ? withArticle(slots.object) : 'an object'}${value === undefined ? '' : ` for ${sayDuration(value)}`}` },
  'vision.unwatch': (slots) => `stop watching${typeof slots.object === 'string' ? ` for ${withArticle(slots.object)}` : ''}`,
  'power.status': () => 'report the battery',
  'sensor.read': (slots) => `read the ${slots.sensor ?? 'sensor'}${slots.sensor === 'battery' || slots.sensor === 'light' ? ' sensor' : ''}`,
  'system.status': () => 'report my state',
  'node.list': () => 'list the nodes',
  'light.set': (slots) => { const value = number(slots.brightness); return slots.on === false ? 'turn the lights off' : value === undefined ? `turn the lights${slots.on ? ' on' : ' on or off'}` : `set the lights to ${plain(value * 100)} percent` },
  'timer.set': (slots) => { const value = number(slots.durationS); return `set a timer${named(slots)}${value === undefined ? '' : ` for ${sayDuration(value)}`}` },
  'timer.list': () => 'list the timers',
  'timer.cancel': (slots) => typeof slots.name === 'string' ? `cancel the timer${named(slots)}` : 'cancel the timers',
  'log.record': (slots) => typeof slots.text === 'string' ? `note: ${slots.text}` : 'take a note',
  'log.play': (slots) => { const value = number(slots.count); return value === undefined ? 'read the last notes' : `read the last ${counted(value, 'note')}` },
  'sequence.run': (slots) => typeof slots.name === 'string' ? `run the ${slots.name} sequence` : 'run a sequence',
  'mode.set': (slots) => typeof slots.mode === 'string' ? `switch to ${slots.mode} mode` : 'change the mode',
  'arm.set': (slots) => slots.armed === true ? 'arm the drive' : slots.armed === false ? 'disarm the drive' : 'arm or disarm the drive',
  'help': (slots) => typeof slots.topic === 'string' ? `help with ${slots.topic}` : 'help',
  'repeat': () => 'repeat the last answer',
  'cancel': () => 'cancel',
  'chat.ask': (slots) => typeof slots.text === 'string' ? `ask: ${slots.text}` : 'ask a question',
  'weather.report': (slots) => typeof slots.place === 'string' ? `report the weather in ${slots.place}` : 'report the weather',
  'mail.send': (slots) => `send a mail${typeof slots.to === 'string' ? ` to ${slots.to}` : ''}${typeof slots.text === 'string' ? ` saying: ${slots.text}` : ''}`,
  'time.tell': () => 'tell the time',
}

/** A request in words, such as "turn left by 90 degrees"; slots that are missing are left out. */
export function describe(type: string, slots: Slots, factors: Factors = {}): string {
  const saying = Object.hasOwn(SAYINGS, type) ? SAYINGS[type] : undefined
  return saying ? saying(slots, factors) : (intentDefinition(type)?.title ?? type).toLowerCase()
}

const VALUES: Readonly<Partial<Record<SlotKind, (value: number) => string>>> = {
  length: sayDistance, duration: sayDuration, angle: (value) => counted(value, 'degree'), speed: (value) => `${counted(value, 'metre')} per second`, fraction: (value) => `${plain(value * 100)} percent`,
}

/** A request of a declared type in words: its title, and what was said of its slots, such as "open a door: front, 10 minutes". */
export function describeDeclared({ title, slots: declared }: DeclaredIntent, slots: Slots): string {
  const values = declared.flatMap(({ name, kind }) => slots[name] === undefined ? [] : [typeof slots[name] === 'number' ? (VALUES[kind] ?? plain)(slots[name]) : String(slots[name])])
  const begin = /^\p{Lu}{2}/u.test(title) ? title : title.charAt(0).toLowerCase() + title.slice(1)
  return values.length > 0 ? `${begin}: ${values.join(', ')}` : begin
}
