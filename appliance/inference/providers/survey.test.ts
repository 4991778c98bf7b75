import test from 'ava'
import { systemClock } from '../../contracts/clock.ts'
import { survey } from './survey.ts'

test('each provider is tried in a process of its own: the CPU works, what is not here does not, and why is told', async (t) => {
  const [cpu, coreml, unknown] = await survey(['cpu', 'coreml', 'gpu'], systemClock)
  t.like(cpu, { provider: 'cpu', works: true })
  t.true(cpu!.nodeCounts!.cpu! >= 1)
  t.like(coreml, { provider: 'coreml', works: false })
  t.regex(coreml!.reason!, /not found|unsupported/)
  t.like(unknown, { works: false })
  t.regex(unknown!.reason!, /unknown execution provider "gpu"/)
})

test('one that does not answer is given up', async (t) => {
  const [cpu] = await survey(['cpu'], systemClock, 1)
  t.deepEqual(cpu, { provider: 'cpu', works: false, reason: 'it did not answer within 0.001 s' })
})
