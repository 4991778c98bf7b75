import test from 'ava'
import type { FlowNode, Flows } from '../flow.ts'
import { hasEndlessLoop } from './function.ts'
import { lintFlows } from './index.ts'

const define = { id: 'def', type: 'mtor-intent-define', z: 'tab', realm: 'realm', intentType: 'airlock.open', title: 'Open the airlock', slots: [], sentences: ['open the airlock'], deadlineS: 10 }
const good: Flows = [
  { id: 'tab', type: 'tab', label: 'Airlock' }, { id: 'realm', type: 'mtor-realm' }, define,
  { id: 'in', type: 'mtor-intent-in', z: 'tab', realm: 'realm', intentType: 'airlock.open', wires: [['fn'], []] },
  { id: 'fn', type: 'function', z: 'tab', name: 'Open', func: 'return msg', wires: [['out']] },
  { id: 'out', type: 'mtor-intent-result', z: 'tab', outcome: 'succeeded', wires: [] },
]
const changed = (id: string, change: Partial<FlowNode>): Flows => good.map((node) => node.id === id ? { ...node, ...change } : node)
const found = (flows: Flows, options?: Parameters<typeof lintFlows>[1]) => lintFlows(flows, options).map(({ severity, id, message }) => `${severity} ${id ?? '-'}: ${message}`)

test('good flows have no problem', (t) => { t.deepEqual(found(good), []) })

/** An intent out for what must be confirmed. */
const out = (intentType: string, more: Record<string, unknown> = {}): FlowNode => ({ id: 'x', type: 'mtor-intent-out', z: 'tab', realm: 'realm', intentType, slotsFrom: 'fields', slots: [{ name: 'armed', value: 'true', valueType: 'bool' }], ...more })

const cases: readonly (readonly [what: string, flows: Flows, problem: RegExp])[] = [
  ['an id that is there twice', [...good, good[4]!], /error fn: id fn is there twice/],
  ['a wire to nowhere', changed('out', { wires: [['gone']] }), /error out: it is wired to gone/],
  ['a link to nowhere', [...good, { id: 'l', type: 'link out', z: 'tab', links: ['gone'] }], /error l: it is wired to gone/],
  ['a tab that is missing', changed('fn', { z: 'gone' }), /error fn: it stands on gone/],
  ['an unknown node type', [...good, { id: 'x', type: 'dashboard', z: 'tab' }], /error x: no node of type dashboard/],
  ['an exec node', [...good, { id: 'x', type: 'exec', z: 'tab' }], /error x: programs of the operating system/],
  ['a subflow that is missing', [...good, { id: 'x', type: 'subflow:gone', z: 'tab' }], /error x: no node of type subflow:gone/],
  ['no realm', changed('in', { realm: '' }), /error in: it names no realm/],
  ['a realm that is missing', changed('in', { realm: 'gone' }), /error in: its realm gone/],
  ['an intent in without a type', changed('in', { intentType: ' ' }), /error in: it names no intent type/],
  ['an intent in of an unknown type', changed('in', { intentType: 'airlock.close' }), /error in: the intent type airlock\.close is not known/],
  ['an intent in of what the box does itself', changed('in', { intentType: 'drive.move' }), /error in: drive\.move is carried out by the appliance/],
  ['an intent in that reaches no result', changed('fn', { wires: [[]] }), /error in: nothing behind it reaches an intent result/],
  ['an intent out of an unknown type', [...good, { id: 'x', type: 'mtor-intent-out', z: 'tab', realm: 'realm', intentType: 'no.such' }], /error x: the intent type no\.such/],
  ['an intent out of what must be confirmed', [...good, out('sequence.run')], /warning x: sequence\.run must be confirmed/],
  ['an intent out of what must be confirmed with its slots', [...good, out('arm.set')], /warning x: arm\.set must be confirmed/],
  ['an intent out of a declared type that must be confirmed', [...changed('def', { hazardous: true }), out('airlock.open')], /warning x: airlock\.open must be confirmed/],
  ['a limit that submits what must be confirmed', [...good, out('sequence.run', { type: 'mtor-limit', action: true })], /warning x: sequence\.run must be confirmed/],
  ['a declaration with a wrong type', changed('def', { intentType: 'Airlock' }), /error def: intent type: expected/],
  ['a declaration of a built-in type', changed('def', { intentType: 'drive.move' }), /error def: drive\.move is a type of the appliance itself/],
  ['a declaration with a wrong slot', changed('def', { slots: [{ name: 'x', kind: 'number' }] }), /error def: slot x: expected one of/],
  ['a declaration that nobody can say', changed('def', { sentences: [] }), /error def: airlock\.open has no sentence/],
  ['a type declared twice', [...good, { ...define, id: 'def2' }], /error def2: airlock\.open is declared twice/],
  ['code that is no JavaScript', changed('fn', { func: 'return msg\nif (' }), /error fn: its code is no JavaScript: .* \(line \d\)/],
  ['start code that is no JavaScript', changed('fn', { initialize: '(' }), /error fn: its start code is no JavaScript/],
  ['a function that asks for modules', changed('fn', { libs: [{ var: 'os', module: 'os' }] }), /error fn: it asks for modules/],
  ['an endless loop', changed('fn', { func: 'while (true) { msg.n++ }' }), /warning fn: its code has a loop that never ends/],
]
for (const [what, flows, problem] of cases) test(`${what} is found`, (t) => { t.true(found(flows).some((text) => problem.test(text)), found(flows).join('\n')) })

test('disabled nodes may be wrong; types of others and built-in ones that are vacant may be handled', (t) => {
  t.deepEqual(found([...good, { id: 'x', type: 'dashboard', z: 'tab', d: true }]), [])
  t.deepEqual(found(changed('in', { intentType: 'hatch.open' }), { declared: ['hatch.open'] }), [])
  t.deepEqual(found(changed('in', { intentType: 'chat.ask' })), [])
  t.deepEqual(found([...good, { id: 'x', type: 'dashboard', z: 'tab' }], { types: ['dashboard', ...good.map(({ type }) => type)] }), [])
})

test('nothing is said of what needs no confirmation, says that it was confirmed, or may be told so by a message', (t) => {
  const fine: FlowNode[][] = [
    [out('arm.set', { slots: [{ name: 'armed', value: 'false', valueType: 'bool' }] })], [out('arm.set', { slotsFrom: 'payload' })], [out('light.set')], [out('sequence.run', { confirmed: true })],
    [out('sequence.run', { type: 'mtor-limit', action: false })], [out('sequence.run'), { id: 'c', type: 'change', z: 'tab', rules: [{ t: 'set', p: 'confirmed', pt: 'msg', to: 'true', tot: 'bool' }] }],
  ]
  for (const more of fine) t.deepEqual(found([...good, ...more]), [])
})

test('a result is reached along links, calls, subflows, and nodes that watch others', (t) => {
  const rest = good.filter(({ id }) => id !== 'fn')
  const at = (node: FlowNode) => ({ z: 'tab', ...node })
  const ways: Flows[] = [
    [at({ id: 'fn', type: 'link out', mode: 'link', links: ['li'] }), at({ id: 'li', type: 'link in', links: ['fn'], wires: [['out']] })],
    [at({ id: 'fn', type: 'link call', links: ['li'], wires: [['out']] }), at({ id: 'li', type: 'link in', wires: [['lo']] }), at({ id: 'lo', type: 'link out', mode: 'return' })],
    [at({ id: 'fn', type: 'subflow:s', wires: [] }), { id: 's', type: 'subflow', in: [{ wires: [{ id: 'inner' }] }], out: [] }, { id: 'inner', type: 'mtor-intent-result', z: 's', wires: [] }],
    [at({ id: 'fn', type: 'file', wires: [] }), at({ id: 'c', type: 'complete', scope: ['fn'], wires: [['out']] })],
    [at({ id: 'fn', type: 'file', wires: [] }), at({ id: 'c', type: 'catch', scope: null, wires: [['out']] })],
  ]
  for (const way of ways) t.deepEqual(found([...rest, ...way]), [], way.map(({ type }) => type).join())
  t.is(found([...rest, at({ id: 'fn', type: 'file', wires: [] }), at({ id: 'c', type: 'complete', scope: ['other'], wires: [['out']] })]).length, 1)
})

test('what the appliance says of sentences is told at the node that has them', (t) => {
  t.deepEqual(found(good, { checkSentences: (declares) => declares.map(({ type }) => ({ type, code: 'SENTENCE_TAKEN', message: 'that means something else' })) }), ['error def: SENTENCE_TAKEN: that means something else'])
})

for (const code of ['while (true) {}', 'while(1) { n++ }', 'for (;;) await null', 'for (;;) { if (a) { b() } }', 'do { n++ } while (true)', 'while (true) { /* break */ n = "return" }']) test(`${code} never ends`, (t) => { t.true(hasEndlessLoop(code)) })
for (const code of ['while (true) { if (a) break }', 'for (;;) { if (a) { return msg } }', 'while (n < 5) n++', 'for (let i = 0; i < 5; i++) {}', 'do { if (a) break } while (true)', '// while (true) {}', 'const s = "while (true) {}"', 'while (true) { throw new Error() }']) test(`${code} may end`, (t) => { t.false(hasEndlessLoop(code)) })
