import test from 'ava'
import { readdirSync } from 'node:fs'
import { Understander } from '../../appliance/understand/index.ts'
import type { Form } from '../../flows/editor/form.ts'
import { lintFlows } from '../../flows/runtime/lint/index.ts'
import { declarationOf, type DeclarationFields } from '../../flows/lib/declaration.ts'
import { EXAMPLES, readExample, type ExampleNode } from '../resources/flows.ts'

// What can be said of the examples without running them.
const names = readdirSync(EXAMPLES).filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length))
let understander: Understander
test.before(async () => { understander = await Understander.load() })
test.after.always(async () => { await understander.stop() })

/** Begin by themselves, or only say something. */
const SOURCES = new Set(['comment', 'catch', 'mtor-intent-define', 'mtor-intent-in', 'mtor-limit', 'mtor-telemetry-in'])
/** Can fail; the end of an intent and a sentence about a failure cannot be told any further. */
const MAY_FAIL = new Set(['function', 'file', 'mtor-intent-out', 'mtor-see', 'mtor-ask', 'mtor-device'])
const onTab = (nodes: readonly ExampleNode[]) => nodes.filter(({ z }) => z !== undefined)
const called = ({ name, type, intentType }: ExampleNode) => String(name || intentType || type)

/** About as large as the editor draws it: centre, and half of its size. */
const boxOf = (node: ExampleNode) => ({ x: node.x!, y: node.y!, halfWidth: Math.max(100, 7.5 * called(node).length + 60) / 2, halfHeight: 15 * Math.max(1, (node.wires?.length ?? 0) * 0.6) })

test('there are seven, and all of them can be deployed together', (t) => {
  t.is(names.length, 7, names.join())
  t.deepEqual(lintFlows(names.flatMap(readExample), { checkSentences: (declares) => understander.checkDeclared(declares) }), [])
})

for (const name of names) {
  const nodes = readExample(name)

  test(`${name}: nothing is wrong with it, and its sentences are free`, (t) => {
    t.deepEqual(lintFlows(nodes, { checkSentences: (declares) => understander.checkDeclared(declares) }), [])
  })

  test(`${name}: its realm is the appliance it runs in, and it holds no secret`, (t) => {
    const realms = nodes.filter(({ type }) => type === 'mtor-realm')
    t.is(realms.length, 1)
    t.like(realms[0], { url: '', realm: '', clientId: '', tls: '' })
    t.notRegex(JSON.stringify(nodes), /credential|password|secret|token/i)
  })

  test(`${name}: a comment explains it, every node takes part, and whatever may fail is caught`, (t) => {
    const here = onTab(nodes), wired = new Set(here.flatMap(({ wires = [] }) => wires.flat()))
    const [comment, ...more] = here.filter(({ type }) => type === 'comment')
    t.is(more.length, 0)
    t.true(String(comment!.info).length > 100)
    t.deepEqual(here.filter(({ type, id }) => !SOURCES.has(type) && !wired.has(id)).map(called), [], 'nothing leads to these')
    const caught = new Set(here.flatMap(({ type, scope }) => type === 'catch' ? scope as string[] : []))
    t.deepEqual(here.filter(({ type, id }) => MAY_FAIL.has(type) && !caught.has(id) && !isLast(here, id)).map(called), [], 'nobody catches what these throw')
  })

  test(`${name}: laid out on the grid, nothing over another`, (t) => {
    const boxes = onTab(nodes).map((node) => ({ name: called(node), ...boxOf(node) }))
    t.deepEqual(boxes.filter(({ x, y }) => x % 20 !== 0 || y % 20 !== 0).map((box) => box.name), [])
    t.deepEqual(boxes.filter(({ x, halfWidth }) => x < halfWidth || x + halfWidth > 1200).map((box) => box.name), [], 'beyond what an editor shows at first')
    const over = boxes.flatMap((a, at) => boxes.slice(at + 1).filter((b) => Math.abs(a.x - b.x) < a.halfWidth + b.halfWidth && Math.abs(a.y - b.y) < a.halfHeight + b.halfHeight).map((b) => `${a.name} over ${b.name}`))
    t.deepEqual(over, [])
  })

  test(`${name}: its nodes have every property that the editor would save, and no other`, async (t) => {
    for (const node of nodes.filter(({ type }) => type.startsWith('mtor-'))) {
      const { form } = await import(`../../flows/nodes/${node.type.slice('mtor-'.length)}/form.ts`) as { form: Form }
      const saved = form.fields.flatMap((field) => 'credential' in field || field.kind === 'note' ? [] : field.kind === 'typed' ? [field.name, `${field.name}Type`] : [field.name])
      const { id: _, type, z: __, x: ___, y: ____, wires, ...properties } = node
      t.deepEqual(Object.keys(properties).sort(), ['name', ...saved].sort(), `${type} ${called(node)}`)
      t.is(wires?.length ?? 0, form.outputs ?? 0, `${type} ${called(node)}`)
      for (const field of form.fields) if (field.kind === 'select') t.true(field.options.includes(String(node[field.name])), `${type} ${called(node)}: ${field.name} ${String(node[field.name])}`)
    }
  })

  test.serial(`${name}: the sentence it gives as an example is understood as its own`, (t) => {
    const declares = nodes.filter(({ type }) => type === 'mtor-intent-define').map((node) => declarationOf(node as DeclarationFields))
    understander.learn(declares)
    const said = /"Computer, ([^"]+)"/.exec(String(nodes.find(({ type }) => type === 'comment')!.name))?.[1]
    if (declares.length === 0) { t.is(said, undefined); return }
    t.is(understander.match(said!).type, declares[0]!.type)
  })
}

/** True for a node behind which nothing waits: what it throws is told by its status and in the log. */
const isLast = (here: readonly ExampleNode[], id: string) => here.find((node) => node.id === id)!.wires?.flat().length === 0
