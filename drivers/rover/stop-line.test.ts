import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { MtorError } from '../../appliance/contracts/errors.ts'
import { systemClock } from '../../appliance/contracts/clock.ts'
import { STOP_REPEATS, writeStopFrame } from './stop-line.ts'
import { rig } from './testing.ts'

test('ROV-010 the stop of last resort works while another process holds the port, and the driver learns of it', async (t) => {
  const r = await rig(t)
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  const writtenMs = systemClock.monoMs()
  await writeStopFrame(r.port)
  const error = await running
  t.is(error.code, 'STOPPED')
  const facts = r.log()
  const stop = facts.find((f) => f.fact === 'motion.stop')!
  t.is(stop.cause, 'stop')
  t.log(`stop written → wheels braking: ${(stop.at - writtenMs).toFixed(1)} ms`)
  t.is(facts.find((f) => f.command === 'STOP')!.reason, 'lastResort')
  t.true(r.log().filter((f) => f.command === 'STOP').length <= STOP_REPEATS)
  t.like((await r.run('move', { distanceM: 0.1 }, 2)).data, { distanceM: 0.1 })
})

test('ROV-010 the stop of last resort says when a path is no serial port', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'stop-line-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'file')
  writeFileSync(file, '')
  for (const path of [file, join(directory, 'missing'), directory]) {
    t.is((await t.throwsAsync<MtorError>(writeStopFrame(path))).code, 'PORT_INVALID', path)
  }
})
