import test from 'ava'
import { diffFlows, diffLines, summaryOf } from './diff.ts'

const before = [{ id: 't', type: 'tab', label: 'Airlock' }, { id: 'f', type: 'function', z: 't', name: 'Open', func: 'a', x: 1, y: 2 }, { id: 'd', type: 'debug', z: 't', x: 1 }]

test('what came, went and changed is told by name and place; what only moved is counted', (t) => {
  const diff = diffFlows(before, [{ ...before[0]! }, { ...before[1]!, func: 'b', x: 9 }, { id: 'i', type: 'inject', z: 't' }])
  t.deepEqual(diff, {
    added: [{ id: 'i', type: 'inject', name: 'inject i', on: 'Airlock' }], removed: [{ id: 'd', type: 'debug', name: 'debug d', on: 'Airlock' }],
    changed: [{ id: 'f', type: 'function', name: 'function “Open”', on: 'Airlock', properties: ['func'] }], moved: 0,
  })
  t.is(summaryOf(diff), 'added inject i; removed debug d; changed function “Open”')
  t.deepEqual(diffLines(diff), ['- debug d on “Airlock” (d)', '+ inject i on “Airlock” (i)', '~ function “Open” on “Airlock” (f): func'])
  const moved = diffFlows(before, [before[0]!, { ...before[1]!, x: 5, y: 5 }, before[2]!])
  t.deepEqual([moved.moved, summaryOf(moved), diffLines(moved)], [1, '1 moved', ['  1 only moved on the canvas']])
  t.is(summaryOf(diffFlows(before, before)), 'nothing changed')
})

test('many changes are told by their number', (t) => {
  const many = Array.from({ length: 100 }, (_, i) => ({ id: `n${i}`, type: 'function', name: `number ${i}` }))
  t.is(summaryOf(diffFlows(before, [...before, ...many])), '100 added')
})
