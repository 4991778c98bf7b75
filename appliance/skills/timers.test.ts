import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { ManualClock, systemClock } from '../contracts/clock.ts'
import type { MtorError } from '../contracts/errors.ts'
import { SqliteJournal } from '../journal/index.ts'
import { contextOf, instantOf } from './testing.ts'
import { makeTimerSkill } from './timer.ts'

const NOON = Date.UTC(2026, 5, 1, 12)

/** A box that can be restarted (same boot) or switched off and on (next boot) over the same store. */
function makeBox({ wallMs }: { wallMs: number | undefined } = { wallMs: NOON }) {
  const stored = new Map<string, string>()
  const said: string[] = []
  const box = {
    clock: new ManualClock(10_000, wallMs), boot: 1, said, stored, broken: false,
    values: {
      async put(key: string, value: unknown) {
        if (box.broken) throw new TypeError('disk full')
        if (value === undefined) stored.delete(key); else stored.set(key, JSON.stringify(value))
      },
      async read(key: string) { const text = stored.get(key); return text === undefined ? undefined : JSON.parse(text) as unknown },
      async keys(prefix: string) { return [...stored.keys()].filter((key) => key.startsWith(prefix)) },
    },
    skill: undefined as unknown as ReturnType<typeof makeTimerSkill>,
    async start() {
      box.skill = makeTimerSkill({ values: box.values, clock: box.clock, node: 'box', now: instantOf({ monoMs: () => box.clock.monoMs(), wallMs: () => box.clock.wallMs() }, () => box.boot), announce: (text) => { said.push(text) } })
      await box.skill.start!()
      await box.clock.advance(0)
    },
    /** The process dies at once and starts again. */
    async restart(afterMs: number) {
      await box.skill.stop!()
      await box.clock.advance(afterMs)
      await box.start()
    },
    async reboot(wallNow: number | undefined) {
      await box.skill.stop!()
      box.boot += 1
      box.clock = new ManualClock(5_000, wallNow)
      await box.start()
    },
    set: (durationS: number, name?: string) => box.skill.run(contextOf('timer.set', { durationS, ...(name ? { name } : {}) })),
    list: () => box.skill.run(contextOf('timer.list')),
    cancel: (name?: string) => box.skill.run(contextOf('timer.cancel', name ? { name } : {})),
  }
  return box
}

test('a timer is announced once when it is done, not before', async (t) => {
  const box = makeBox()
  await box.start()
  t.is((await box.set(300, 'pasta')).say, 'Pasta timer set for 5 minutes.')
  await box.clock.advance(299_999)
  t.deepEqual(box.said, [])
  t.is((await box.list()).say, 'The pasta timer has less than a second left.')
  await box.clock.advance(1)
  t.deepEqual(box.said, ['The pasta timer is done.'])
  t.is(box.stored.size, 0)
  await box.clock.advance(600_000)
  t.is(box.said.length, 1)
})

test('a timer is not announced with the one that is done a moment before it', async (t) => {
  const box = makeBox()
  await box.start()
  await box.set(10)
  await box.set(10.05, 'tea')
  await box.clock.advance(10_049)
  t.is(box.said.length, 1)
  await box.clock.advance(1)
  t.is(box.said.length, 2)
})

test('a timer goes on over a restart of the same boot, without any wall clock', async (t) => {
  const box = makeBox({ wallMs: undefined })
  await box.start()
  await box.set(60)
  await box.restart(20_000)
  t.is((await box.list()).say, 'The timer for 1 minute has 40 seconds left.')
  await box.clock.advance(40_000)
  t.deepEqual(box.said, ['The timer for 1 minute is done.'])
})

test('a timer that fell due while the process was down is announced once, with how late', async (t) => {
  const box = makeBox()
  await box.start()
  await box.set(60, 'tea')
  await box.restart(90_000)
  t.deepEqual(box.said, ['The tea timer was done 30 seconds ago.'])
  await box.restart(1_000)
  t.is(box.said.length, 1)
})

test('after a reboot a timer goes on by wall time, and after the next restart still', async (t) => {
  const box = makeBox()
  await box.start()
  await box.set(3_600, 'bread')
  await box.reboot(NOON + 600_000)
  t.is((await box.list()).say, 'The bread timer has 50 minutes left.')
  await box.restart(600_000)
  t.is((await box.list()).say, 'The bread timer has 40 minutes left.')
  await box.reboot(NOON + 3_900_000)
  t.deepEqual(box.said, ['The bread timer was done 5 minutes ago.'])
})

test('after a reboot without a clock the timer is announced as lost, once, after waiting for the clock', async (t) => {
  const box = makeBox()
  await box.start()
  await box.set(3_600, 'bread')
  await box.reboot(undefined)
  t.deepEqual(box.said, [])
  t.is((await box.list()).say, 'The bread timer has an unknown time left.')
  await box.clock.advance(60_000)
  t.deepEqual(box.said, ['The bread timer is lost: I was switched off and do not know for how long.'])
  await box.restart(1)
  t.is(box.said.length, 1)
})

test('a clock that becomes known soon after the reboot saves the timer', async (t) => {
  const box = makeBox()
  await box.start()
  await box.set(3_600, 'bread')
  await box.reboot(undefined)
  await box.clock.advance(10_000)
  const mono = box.clock.monoMs()
  box.clock.wallMs = () => NOON + 1_800_000 + box.clock.monoMs() - mono
  await box.clock.advance(5_000)
  t.is((await box.list()).say, 'The bread timer has 29 minutes and 55 seconds left.')
  t.deepEqual(box.said, [])
})

test('a timer set while the clock was unknown is lost with the boot, at once', async (t) => {
  const box = makeBox({ wallMs: undefined })
  await box.start()
  await box.set(3_600)
  await box.reboot(NOON)
  t.deepEqual(box.said, ['The timer for 1 hour is lost: I was switched off and do not know for how long.'])
})

test('a timer counts from when it was asked for on this node, not from when it was carried out', async (t) => {
  const box = makeBox()
  await box.start()
  await box.clock.advance(60_000)
  const context = contextOf('timer.set', { durationS: 100 }, { envelope: { issuedAt: { boot: 1, mono: box.clock.monoMs() - 40_000 } } })
  await box.skill.run(context)
  await box.clock.advance(60_000)
  t.is(box.said.length, 1)
})

test('a store that fails keeps the timer from being set, and a done timer from being announced twice', async (t) => {
  const box = makeBox()
  await box.start()
  box.broken = true
  await t.throwsAsync(box.set(5))
  box.broken = false
  await box.set(10)
  box.broken = true
  await box.clock.advance(30_000)
  t.is(box.said.length, 1)
  box.broken = false
  await box.clock.advance(5_000)
  t.is(box.said.length, 1)
  t.is(box.stored.size, 0)
})

test('timers are cancelled by name or all, and a wrong name is told with the right ones', async (t) => {
  const box = makeBox()
  await box.start()
  t.is((await box.cancel()).say, 'No timer is running.')
  await box.set(60, 'Tea')
  await box.set(90, 'pasta')
  await box.set(120)
  const error = await t.throwsAsync(box.cancel('eggs')) as MtorError
  t.is(error.code, 'NOT_FOUND')
  t.is(error.say, 'No timer is called eggs. Running are the Tea timer, the pasta timer and the timer for 2 minutes.')
  t.is((await box.cancel('tea')).say, 'Cancelled the Tea timer.')
  t.is((await box.cancel()).say, 'Cancelled 2 timers.')
  await box.clock.advance(600_000)
  t.deepEqual(box.said, [])
})

test('a damaged timer in the store is announced and removed, and the others run', async (t) => {
  const box = makeBox()
  box.stored.set('timers/x', '{"id":"x","durationS":"soon"}')
  await box.start()
  t.deepEqual(box.said, ['A timer was damaged and is lost.'])
  t.is(box.stored.size, 0)
  await box.set(1)
  await box.clock.advance(1_000)
  t.is(box.said.length, 2)
})

test('the hundred-and-first timer is refused', async (t) => {
  const box = makeBox()
  await box.start()
  for (let i = 0; i < 100; i++) await box.set(60)
  t.is((await t.throwsAsync(box.set(60)) as MtorError).code, 'BUSY')
})

test('whatever happens to the box, every timer is announced exactly once and none early', async (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), seconds: fc.integer({ min: 1, max: 600 }) }),
    fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 0, max: 300 }) }),
    fc.record({ kind: fc.constant('restart' as const), seconds: fc.integer({ min: 0, max: 300 }) }),
    fc.record({ kind: fc.constant('reboot' as const), seconds: fc.integer({ min: 1, max: 300 }) }),
  )
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
    const box = makeBox()
    await box.start()
    const due = new Map<string, number>()
    for (const [index, { kind, seconds }] of steps.entries()) {
      if (kind === 'set') {
        await box.set(seconds, `t${index}`)
        due.set(`t${index}`, box.clock.wallMs()! + seconds * 1000)
      } else if (kind === 'pass') await box.clock.advance(seconds * 1000)
      else if (kind === 'restart') await box.restart(seconds * 1000)
      else await box.reboot(box.clock.wallMs()! + seconds * 1000)
      const nowMs = box.clock.wallMs()!
      for (const [name, dueMs] of due) {
        const count = box.said.filter((text) => text.startsWith(`The ${name} timer `)).length
        if (count !== (nowMs >= dueMs ? 1 : 0)) return false
      }
    }
    return true
  }), { numRuns: 60 }))
})

test('in the real journal a timer outlives it, and leaves nothing behind when it is done', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'mtor-timers-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const clock = new ManualClock()
  const said: string[] = []
  const life = async (during: (skill: ReturnType<typeof makeTimerSkill>, journal: SqliteJournal) => Promise<void>) => {
    const journal = new SqliteJournal({ file: join(root, 'journal.sqlite'), clock: systemClock, maxFinished: 100, archiveMaxBytes: 1e6 })
    await journal.start()
    const skill = makeTimerSkill({ values: journal, clock, node: 'box', now: instantOf(clock, () => 1), announce: (text) => { said.push(text) } })
    await skill.start!()
    await during(skill, journal)
    await skill.stop!()
    await journal.stop()
  }
  await life(async (skill) => { await skill.run(contextOf('timer.set', { durationS: 60, name: 'tea' })) })
  await clock.advance(30_000)
  await life(async () => { await clock.advance(30_000) })
  t.deepEqual(said, ['The tea timer is done.'])
  await life(async (_skill, journal) => { t.deepEqual(await journal.keys('timers/'), []) })
})
