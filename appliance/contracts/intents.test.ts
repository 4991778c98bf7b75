import test from 'ava'
import { IntentTypeName } from './envelope.ts'
import { INTENTS, intentDefinition, isHazardous, MODES, type IntentDefinition } from './intents.ts'
import { validator } from './validate.ts'

const all = INTENTS as readonly IntentDefinition[]

test('there are at least 24 intent types, no two of one name, all of the agreed form', (t) => {
  t.true(all.length >= 24)
  t.is(new Set(all.map(({ type }) => type)).size, all.length)
  const name = validator(IntentTypeName)
  for (const { type } of all) t.true(name.check(type), type)
})

test('every number among the slots says its unit and its range', (t) => {
  for (const { type, slots } of all) {
    for (const [name, slot] of Object.entries(slots.properties as Record<string, { type?: string; minimum?: number; maximum?: number; 'x-unit'?: string }>)) {
      if (slot.type !== 'number' && slot.type !== 'integer') continue
      t.truthy(slot['x-unit'], `${type}.${name}`)
      t.true(slot.minimum !== undefined && slot.maximum !== undefined, `${type}.${name}`)
    }
  }
})

test('what moves the rover is never repeated by itself and dies early, except where it is harmless', (t) => {
  for (const { type, policy } of all) {
    if (!policy.actuates) continue
    t.true(policy.ttlMs <= 10_000, type)
    t.is(policy.retries, 0, type)
    // Setting a value twice is the same as setting it once; moving twice is not.
    if (policy.repeatable) t.true(['drive.speed', 'stop', 'light.set'].includes(type), type)
  }
})

test('stop is refused in no mode and served first', (t) => {
  const stop = intentDefinition('stop')!
  t.deepEqual(stop.policy.refusedIn, [])
  t.is(stop.policy.priority, 0)
  for (const { type, policy } of all) if (type !== 'stop') t.true(policy.priority > 0, type)
})

test('nothing drives in a mode other than normal', (t) => {
  for (const type of ['drive.move', 'drive.turn', 'drive.speed', 'sequence.run']) {
    t.deepEqual([...intentDefinition(type)!.policy.refusedIn].sort(), MODES.filter((mode) => mode !== 'normal').sort())
  }
})

test('arming is hazardous, disarming is not; an unknown type is not', (t) => {
  t.true(isHazardous('arm.set', { armed: true }))
  t.false(isHazardous('arm.set', { armed: false }))
  t.true(isHazardous('mail.send', {}))
  t.false(isHazardous('drive.move', { distanceM: 1 }))
  t.false(isHazardous('no.such', {}))
  t.is(intentDefinition('no.such'), undefined)
})

test('slots beyond the range, of another type or unknown are refused', (t) => {
  const move = validator(intentDefinition('drive.move')!.slots)
  t.true(move.check({ distanceM: -100 }))
  for (const slots of [{}, { distanceM: 100.1 }, { distanceM: '2' }, { distanceM: NaN }, { distanceM: 1, by: 'foot' }, { distanceM: 1, speedMps: 0 }]) t.false(move.check(slots), JSON.stringify(slots))
})
