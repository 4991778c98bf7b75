import test from 'ava'
import { LogLines } from './log-lines.ts'

test('warnings and worse are passed on with the node that says it, no more than is bearable; the next line tells how many were left out', (t) => {
  let nowMs = 0
  const lines: { level: string; message: string; leftOut: number }[] = []
  const log = new LogLines((line) => { lines.push(line) }, () => nowMs)
  log.take({ level: 40, msg: 'info is not for the core' })
  log.take({ level: 30, msg: 'careful' })
  log.take({ level: 20, msg: new Error('failed'), type: 'function', name: 'Open', id: 'a' })
  log.take({ level: 20, msg: { code: 5 }, type: 'function', id: 'a' })
  log.take({ level: 10, msg: undefined })
  t.deepEqual(lines, [
    { level: 'warning', message: 'careful', leftOut: 0 }, { level: 'error', message: 'function “Open”: failed', leftOut: 0 },
    { level: 'error', message: 'function a: {"code":5}', leftOut: 0 }, { level: 'critical', message: 'undefined', leftOut: 0 },
  ])
  for (let i = 0; i < 1000; i++) log.take({ level: 20, msg: 'x'.repeat(5000) })
  t.is(lines.length, 20)
  t.is(lines.at(-1)!.message.length, 1000)
  nowMs = 1_000
  log.take({ level: 20, msg: 'later' })
  t.deepEqual(lines.at(-1), { level: 'error', message: 'later', leftOut: 984 })
})
