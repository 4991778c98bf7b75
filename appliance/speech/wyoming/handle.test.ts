import test from 'ava'
import { freePort } from '../../contracts/free-port.ts'
import { Bench } from '../../../hil-tests/resources/bench.ts'
import { becomes } from '../testing.ts'
import { ask } from './testing.ts'

test.serial('a text of a client is carried out as if it had been said, and what the box says comes back', async (t) => {
  const port = await freePort()
  const bench = await Bench.open({ speedFactor: 20, settings: { dialects: { wyoming: { enabled: true, port, handle: true } } } })
  t.teardown(() => bench.close())
  t.like((await ask(t, port, 'info')).info, { handle: [{ name: 'mtor' }] })
  const context = { conversation: '7' }
  t.deepEqual(await ask(t, port, 'handle', 'Drive forward two metres.'), { handled: true, text: 'Moved 2 metres forward.', context })
  t.true(bench.controllerFacts().some(({ fact, command }) => fact === 'received' && command === 'MOVE') && bench.controllerFacts().some(({ outcome }) => outcome === 'done'))
  t.like(await ask(t, port, 'handle', 'Colourless green ideas sleep furiously.'), { handled: false })
  // What is hazardous is asked about, as it is aloud.
  t.deepEqual(await ask(t, port, 'handle', 'Arm the drive.'), { handled: true, text: 'Say confirm to arm the drive.', context })
  t.like(await ask(t, port, 'handle', 'Confirm.'), { handled: true, context })
  t.deepEqual(await ask(t, port, 'handle', 'Stop!'), { handled: true, text: 'Stopped.', context })
  await becomes(() => bench.controllerFacts().some(({ command, fact }) => /stop/i.test(`${String(command)} ${fact}`)))
})
