import test from 'ava'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Appliance } from '../../hil-tests/resources/appliance.ts'
import { processState } from '../../appliance/inference/keeper.ts'
import type { FlowNode } from './flow.ts'
import type { FlowsStatus } from './status.ts'
import type { DeployMeta, Deploy } from './store.ts'
import { becomes } from './testing.ts'

/** Flows that carry out `airlock.open` and answer with `say`. */
const airlock = (say: string): FlowNode[] => [
  { id: 'tab', type: 'tab', label: 'Airlock' }, { id: 'realm', type: 'mtor-realm', name: 'box' },
  { id: 'def', type: 'mtor-intent-define', z: 'tab', realm: 'realm', intentType: 'airlock.open', title: 'Open the airlock', slots: [], sentences: ['open the airlock'], actuates: false, hazardous: false, repeatable: true, deadlineS: 20 },
  { id: 'in', type: 'mtor-intent-in', z: 'tab', realm: 'realm', intentType: 'airlock.open', concurrent: 1, failOnError: true, wires: [['out'], []] },
  { id: 'out', type: 'mtor-intent-result', z: 'tab', outcome: 'succeeded', say, sayType: 'str', wires: [] },
]

test('the daemon runs flows, proves them by an intent, and after kill −9 in the middle of deploys has the old ones or the new', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-flows-daemon-'))
  const appliance = new Appliance(dir, { flows: { port: 0, probePeriodMs: 500 }, speech: { enabled: false } })
  t.teardown(async () => { await appliance.stop(); rmSync(dir, { recursive: true, force: true }) })
  await appliance.start()
  const { control } = appliance
  const status = async () => await control.call('GET', '/flows').catch(() => ({})) as FlowsStatus
  const run = async () => { await becomes(async () => { const { state, startMs } = await status(); return state === 'running' && startMs !== undefined }) }
  const deploys = async () => await control.call('GET', '/flows/deploys') as DeployMeta[]
  const deploy = (say: string) => {
    const file = join(dir, `${say}.json`)
    writeFileSync(file, JSON.stringify(airlock(say)))
    return control.call('POST', '/flows/import', { file })
  }
  const asked = async () => {
    for await (const turn of control.lines('POST', '/say', { text: 'open the airlock' })) {
      const event = turn['event'] as { state: string; say?: string } | undefined
      if (event?.state === 'succeeded') return event.say
    }
    return undefined
  }
  await run()
  t.true((await status()).probeMs! > 0, 'an intent went through the probe flow')
  t.like(await control.call('GET', '/status'), { flows: { state: 'running' } })
  await deploy('first')
  await becomes(async () => await asked() === 'first')

  // Deploys one after the other, and the power goes.
  let sure = 0
  for (let i = 0; sure < 3; i++) await deploy(`say ${i}`).then(() => { sure = i })
  const last = deploy('at the end').catch(() => undefined)
  const { pid } = await status()
  appliance.killCore()
  await last
  // Node-RED dies with the core; the kernel takes a moment.
  await becomes(() => processState(pid!) === undefined)
  await appliance.answering()
  await run()
  const [newest] = await deploys()
  t.true(newest!.n === sure + 2 || newest!.n === sure + 3, `${newest!.n}`)
  const { flows } = await control.call('GET', '/flows/deploys/current') as Deploy
  const { say } = flows.find(({ id }) => id === 'out') as { say?: string }
  t.is(say, newest!.n === sure + 2 ? `say ${sure}` : 'at the end')
  await becomes(async () => await asked() === say)

  // The file of the deploy in force is damaged while the power is off.
  appliance.killCore(3_000)
  writeFileSync(join(appliance.stateDir, `flows/deploys/${String(newest!.n).padStart(6, '0')}.json`), 'damaged')
  await appliance.answering()
  t.like((await deploys())[0], { author: 'appliance', of: newest!.n - 1 })
  await run()
  await becomes(async () => await asked() === `say ${newest!.n - 3}`)
  const said = readFileSync(appliance.factLog, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { name?: string; say?: string })
  t.is(said.filter(({ name }) => name === 'rolled-back').length, 1)
})
