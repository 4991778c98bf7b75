import test from 'ava'
import { startFlows } from './testing.ts'

test('first light', async (t) => {
  const b = await startFlows(t)
  console.log(await b.host.ready())
  console.log(b.events.map((e) => `${e.component} ${e.name} ${e.message}`))
  const r = await b.admin('/flows')
  console.log(r.status, (await r.text()).slice(0, 500))
  const s = await b.admin('/flows', { json: [{ id: 't1', type: 'tab', label: 'Mine' }, { id: 'a1', type: 'inject', z: 't1', name: 'x', props: [], wires: [[]] }] })
  console.log(s.status, await s.text())
  console.log(b.host.status(), b.host.deploys.store.list(), b.values.kept)
  t.true(s.ok)
})
