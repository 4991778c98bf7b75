import test from 'ava'
import { hasProbe, isProbe, PROBE_NODE_TYPES, PROBE_TAB, probeFlow, withoutProbe, withProbe } from './probe-flow.ts'

const mine = [{ id: 't', type: 'tab' }, { id: 'x', type: 'inject', z: 't' }]

test('the probe is put in once and taken out whole, with what somebody put on its tab', (t) => {
  const both = withProbe(withProbe(mine, 'c'), 'c')
  t.is(both.length, mine.length + probeFlow('c').length)
  t.deepEqual(withoutProbe([...both, { id: 'y', type: 'debug', z: PROBE_TAB }]), mine)
  t.false(mine.some(isProbe))
  t.deepEqual([...new Set(probeFlow('c').map(({ type }) => type))].sort(), ['tab', ...PROBE_NODE_TYPES].sort())
})

test('a probe that was moved is there; one that was changed, disabled or removed in part is not', (t) => {
  const both = withProbe(mine, 'c')
  const [tab, , input] = probeFlow('c')
  const changed = ({ id }: { id: string } = { id: '' }, change: object) => both.map((node) => node.id === id ? { ...node, ...change } : node)
  t.true(hasProbe(both, 'c'))
  t.true(hasProbe(changed(input, { x: 5, y: 5, l: true }), 'c'))
  t.false(hasProbe(mine, 'c'))
  t.false(hasProbe(both, 'another'))
  t.false(hasProbe(changed(tab, { disabled: true }), 'c'))
  t.false(hasProbe(changed(input, { d: true }), 'c'))
  t.false(hasProbe(changed(input, { wires: [] }), 'c'))
  t.false(hasProbe(both.slice(0, -1), 'c'))
})
