import test from 'ava'
import { makeConfig } from '../../config/load.ts'
import { ManualClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { Hub } from '../../contracts/hub.ts'
import { topicsOf } from '../../contracts/topics.ts'
import { Dialects } from './index.ts'

const never = () => { throw new MtorError('INTERNAL', 'nothing is asked for before the start') }
async function opened(dialects: Record<string, unknown>): Promise<string[]> {
  const clock = new ManualClock()
  const made = new Dialects({
    config: makeConfig({ dialects }), version: '1', hub: new Hub(clock, 'base'), clock, topics: topicsOf('home'), expectAnswer: never, bus: { publish: never, subscribe: never },
    values: { read: async () => undefined, put: async () => {} }, service: { envelope: never, run: never }, conversation: { hear: never }, understander: { match: never },
  })
  await made.prepare()
  return made.foreign
}

test('while no dialect is on, no topic beyond our own root is open', async (t) => {
  t.deepEqual(await opened({}), [])
})

test('each dialect opens its own topics, and never those that carry sound', async (t) => {
  t.deepEqual(await opened({ homeAssistant: { enabled: true, discoveryPrefix: 'ha/discovery' } }), ['ha/discovery/#', 'homeassistant/status'])
  const hermes = await opened({ hermes: { enabled: true } })
  t.true(hermes.includes('hermes/tts/#'))
  t.false(hermes.some((topic) => topic === 'hermes/#' || topic.startsWith('hermes/audioServer')))
})

for (const discoveryPrefix of ['mtor', 'mtor/1/home', '#', 'home/+', '$SYS', '', '/x', 'x/']) test(`${discoveryPrefix || '(empty)'} is no prefix for the topics of others`, (t) => {
  t.throws(() => makeConfig({ dialects: { homeAssistant: { discoveryPrefix } } }), { code: 'CONFIG_INVALID', message: /discoveryPrefix/ })
})
