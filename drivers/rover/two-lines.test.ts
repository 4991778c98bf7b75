import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { rig } from './testing.ts'

/** Two boards, each with a line of its own to one controller. The first is in command with epoch 1. */
async function two(t: ExecutionContext, mayCommand = () => true) {
  const folder = mkdtempSync(join(tmpdir(), 'rover-two-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const second = join(folder, 'second')
  const r = await rig(t, { link: join(folder, 'first'), moreLinks: [second] }, { mayCommand })
  const other = r.make({ port: second, mayCommand: () => true })
  await other.start()
  for (let i = 0; !other.connected && i < 500; i++) await sleep(10)
  return { ...r, other, received: (line: string) => r.log().filter((f) => f.fact === 'received' && f.line === line) }
}

test('ROV-020 a line without command hears everything, asks and stops, and keeps nobody alive', async (t) => {
  const { other, run, driver, log, received, until } = await two(t)
  const moving = run('move', { distanceM: 4, speedMps: 0.5 }, 1)
  await until((state) => state.moving === true)
  while (other.state().moving !== true) await sleep(10)
  t.like(other.state(), { connected: true, epoch: 1 })
  t.is((await other.pastOutcome({ device: 'rover', epoch: 1, sequence: 1 })).outcome, 'running')
  driver.standBy()
  t.is((await moving.catch((error: { code: string }) => error) as { code: string }).code, 'INTERRUPTED', 'found out by asking')
  t.is(log().find((f) => f.fact === 'motion.stop')?.cause, 'deadMan', 'the line that stands by sends no heartbeat')
  t.deepEqual([...new Set(received('second').map((f) => f.command))], ['QUERY'])
  other.emergencyStop('test')
  for (let i = 0; !received('second').some((f) => f.command === 'STOP') && i < 500; i++) await sleep(10)
  t.true(received('second').some((f) => f.command === 'STOP' && f.verdict === 'ok'))
})

test('ROV-021 command goes from one line to the other and back, each time with a newer epoch', async (t) => {
  const { driver, other, run, executions } = await two(t)
  await run('move', { distanceM: 0.5 }, 1)
  driver.standBy()
  await other.takeCommand(2)
  await run('move', { distanceM: 0.5 }, 1, { epoch: 2, by: other })
  t.true(driver.connected, 'what the other does is no loss')
  other.standBy()
  await driver.takeCommand(3)
  await run('move', { distanceM: 0.5 }, 1, { epoch: 3 })
  t.deepEqual(executions().map((f) => [f.line, f.epoch]), [['first', 1], ['second', 2], ['first', 3]])
})

test('ROV-022 who may no longer command sends neither command nor heartbeat, also no repeat of a command under way', async (t) => {
  let may = true
  const { simulator, run, failureOf, received, log, other } = await two(t, () => may)
  await simulator.control({ do: 'line', direction: 'toHost', dropFrameFraction: 1, cable: 0 })
  await simulator.control({ do: 'dropNext', direction: 'toController', type: 'MOVE', count: 1, cable: 0 })
  const lost = failureOf(run('move', { distanceM: 1 }, 1))
  may = false
  t.is((await failureOf(run('move', { distanceM: 1 }, 2))).code, 'STALE_EPOCH')
  await other.takeCommand(2)
  await run('move', { distanceM: 0.5 }, 1, { epoch: 2, by: other })
  t.is((await lost).code, 'OUTCOME_UNKNOWN')
  t.deepEqual(received('first').filter((f) => f.command === 'MOVE'), [])
  t.is(log().filter((f) => f.fact === 'execute').length, 1)
})
