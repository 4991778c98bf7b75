import test from 'ava'
import { keyOf, picture, type Scene } from './picture.ts'

const scene = (more: Partial<Scene> = {}): Scene => ({
  runS: 65, nowMs: 10_000, epoch: 3, owner: 'board-b', loss: { node: 'board-a', how: 'killed', by: 'board-b', tookMs: 412 },
  rover: { connected: true, xM: 1.2, yM: 0, headingDeg: 90, speedMps: 0.3, moving: true },
  nodes: [
    { name: 'board-a', role: 'full', state: 'killed', backInS: 3.4, leads: false, line: false, commands: false },
    { name: 'board-b', role: 'full', state: 'online', leads: true, line: true, commands: true },
    { name: 'witness', role: 'witness', state: 'online', leads: false, line: undefined, commands: false },
  ],
  intents: [{ id: '1', type: 'drive.move', slots: { distanceM: 0.5 }, from: 'witness', by: 'board-b', epoch: 3, state: 'succeeded', startMs: 8_000, endMs: 9_500 }],
  facts: [{ atMs: 4_000, node: 'board-a', text: 'kill −9' }], ...more,
})
const plain = (given: Scene, width = 100) => picture(given, width, false)

test('the picture says who drives under which epoch, who is gone and when it is back, and who carried out what', (t) => {
  const lines = plain(scene())
  const of = (start: string) => lines.find((one) => one.startsWith(start)) ?? ''
  t.regex(of('board-a'), /full +killed, back in 4 s +dead/)
  t.regex(of('board-b'), /full +online +leads +works +◀ drives the rover/)
  t.regex(of('witness'), /witness +online +votes +none/)
  t.is(of('Rover'), 'Rover       ↑ at 1.20 m, 0.00 m   moving 0.30 m/s   board-b commands it, epoch 3')
  t.is(of('Last loss'), 'Last loss   board-a was killed: board-b had the rover 0.41 s later')
  t.regex(of('drive.move'), /^drive\.move 0\.5 m +board-b, epoch 3 +succeeded +1\.50 s +witness$/)
  t.regex(of('6 s ago'), /board-a +kill −9/)
})

test('the picture tells a lost majority from boards that are both away, and neither where one node is gone', (t) => {
  const { nodes } = scene()
  const as = (...states: Scene['nodes'][number]['state'][]) => plain(scene({ owner: undefined, nodes: nodes.map((node, i) => ({ ...node, state: states[i]!, commands: false })) })).join('\n')
  t.regex(as('killed', 'killed', 'online'), /nobody commands it[^]*No majority/)
  // The etcd of a stopped process goes on.
  t.regex(as('killed', 'stopped', 'online'), /No board is there to drive/)
  t.notRegex(as('killed', 'online', 'online'), /No majority|No board/)
  t.notRegex(plain(scene()).join('\n'), /No majority|No board/)
})

test('no line is wider than the terminal, with colours or without, and the picture keeps its height', (t) => {
  const long = scene({ facts: [{ atMs: 0, node: 'board-a', text: 'x'.repeat(300) }] })
  for (const width of [20, 60, 100]) for (const colours of [true, false]) {
    const lines = picture(long, width, colours)
    for (const text of lines) t.true(text.replaceAll(/\u001b\[\d+m/g, '').length <= width, text)
    t.is(lines.length, picture(scene(), width, colours).length)
  }
})

test('keys: a stop comes before everything, arrows mean nothing, capitals count', (t) => {
  t.is(keyOf('k'), 'kill')
  t.is(keyOf('S'), 'pause')
  t.is(keyOf('m'), 'move')
  t.is(keyOf('d'), 'drive')
  t.is(keyOf('dk '), 'stop')
  t.is(keyOf('q \u001b'), 'stop')
  t.is(keyOf('\u0003'), 'quit')
  t.is(keyOf('\u001b[A'), undefined)
  t.is(keyOf('x'), undefined)
})
