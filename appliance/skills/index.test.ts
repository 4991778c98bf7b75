import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import type { MtorError } from '../contracts/errors.ts'
import type { Source } from '../contracts/envelope.ts'
import { INTENTS, type Mode } from '../contracts/intents.ts'
import { makeSkills, type SkillsDeps } from './index.ts'
import { contextOf, instantOf } from './testing.ts'

const clock = new ManualClock()
const spoken: string[] = []
const cancelled: [Source, string][] = []
const deps = (stateDir: string): SkillsDeps => ({
  clock, node: 'box', now: instantOf(clock, () => 1), stateDir,
  values: { put: async () => {}, read: async () => undefined, keys: async () => [] },
  deviceState: () => undefined,
  nodes: () => [{ node: 'box', online: true }, { node: 'mast', online: true }, { node: 'base', online: false }],
  guard: { mode: 'normal' as Mode, armed: true, setMode: async () => {}, setArmed: async () => {} },
  canceller: { cancel: async (source, exceptId) => { cancelled.push([source, exceptId]); return cancelled.length === 1 ? ['drive.move'] : [] } },
  children: { run: async () => { throw new TypeError('not asked for') } },
  sequences: {},
  examples: () => [
    { type: 'drive.move', title: 'Drive a distance', examples: ['drive forward two metres', 'go back one metre'] },
    { type: 'light.set', title: 'Lights on, off or dimmed', examples: ['lights on', 'dim the lights to half'] },
    { type: 'chat.ask', title: 'Ask the language model', examples: [] },
  ],
  lastSpoken: () => spoken.at(-1),
  announce: () => {},
  voice: { say: async () => {}, ask: async () => ({ answer: true, text: 'yes' }) },
})
const skills = makeSkills(deps(tmpdir()))
const run = (type: (typeof INTENTS)[number]['type'], slots: Record<string, unknown> = {}) => skills.find((s) => s.types.includes(type))!.run(contextOf(type, slots))

test('every intent type is served by exactly one skill', (t) => {
  t.deepEqual(skills.flatMap((skill) => skill.types).sort(), INTENTS.map((intent) => intent.type).sort())
  t.is(new Set(skills.map((skill) => skill.name)).size, skills.length)
})

test('all skills start and stop, and stopping twice is fine', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'mtor-skills-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const own = makeSkills(deps(root))
  for (const skill of own) await skill.start?.()
  for (const skill of [...own, ...own]) await t.notThrowsAsync(async () => skill.stop?.())
})

test('no skill imports another skill, nor any part it is to be given', async (t) => {
  const here = import.meta.dirname
  const helpers = new Set(['./port.ts', './words.ts', './box.ts', './notes-file.ts', './timers.ts', './sight.ts'])
  for (const file of (await readdir(here)).filter((f) => /^[a-z-]+\.ts$/.test(f) && !['index.ts', 'testing.ts'].includes(f))) {
    for (const [, from] of (await readFile(join(here, file), 'utf8')).matchAll(/from '(\..+?)'/g)) {
      t.true(from!.startsWith('../contracts/') || helpers.has(from!), `${file} imports ${from}`)
    }
  }
})

test('the nodes are named, this one and those offline too', async (t) => {
  t.is((await run('node.list')).say, '2 nodes online: box, which is me and mast. Base is offline.')
})

test('help gives one example of each kind, all of one kind for a topic, and the topics for an unknown one', async (t) => {
  t.is((await run('help')).say, 'You can say: drive forward two metres or lights on.')
  t.is((await run('help', { topic: 'Driving' })).say, 'You can say: drive forward two metres or go back one metre.')
  t.is((await run('help', { topic: 'lights' })).say, 'You can say: lights on or dim the lights to half.')
  const error = await t.throwsAsync(run('help', { topic: 'cooking' })) as MtorError
  t.is(error.code, 'NOT_FOUND')
  t.is(error.say, 'I have no help on that. Topics are drive and light.')
})

test('repeat says the last sentence, and that there is none', async (t) => {
  t.is((await t.throwsAsync(run('repeat')) as MtorError).say, 'I have not said anything yet.')
  spoken.push('Moved 2 metres forward.')
  t.is((await run('repeat')).say, 'Moved 2 metres forward.')
})

test('cancel ends what its own source asked for, but not itself', async (t) => {
  const skill = skills.find((s) => s.types.includes('cancel'))!
  const context = contextOf('cancel')
  t.is((await skill.run(context)).say, 'Cancelled: drive a distance.')
  t.deepEqual(cancelled[0], [context.intent.source, context.intent.id])
  t.is((await run('cancel')).say, 'There is nothing to cancel.')
})
