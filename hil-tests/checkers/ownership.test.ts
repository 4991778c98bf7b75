import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { judgeOwnership } from './ownership.ts'

const owner = (node: string, mono: number, revision: number, owned?: [string, number]) => ({ kind: 'system', name: 'device.owner', node, at: { mono }, data: { device: 'rover', revision, ...(owned ? { owner: owned[0], epoch: owned[1] } : {}) } })
const execute = (at: number, line: string, epoch: number, sequence: number) => ({ at, fact: 'execute', command: 'MOVE', line, epoch, sequence })
const hello = (at: number, line: string, epoch: number) => ({ at, fact: 'received', command: 'HELLO', verdict: 'ok', line, epoch })

/** A good run: a commands with epoch 1, is lost at 100, b commands with epoch 2. `change` spoils it. */
function verdict(t: ExecutionContext, change: { controller?: object[]; a?: object[]; b?: object[] } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-judge-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = (name: string, facts: { at: unknown }[]) => { writeFileSync(join(dir, name), facts.map((fact) => `${JSON.stringify(fact)}\n`).join('')); return join(dir, name) }
  const controller = [hello(10, 'line-a', 1), execute(20, 'line-a', 1, 1), execute(50, 'line-a', 1, 2), hello(120, 'line-b', 2), execute(130, 'line-b', 2, 1), ...change.controller ?? []] as { at: number }[]
  return judgeOwnership({
    controller: file('controller', controller.sort((x, y) => x.at - y.at)), lines: { 'line-a': 'a', 'line-b': 'b' },
    nodes: { a: file('a', [owner('a', 8, 11, ['a', 1]), ...change.a ?? []] as { at: unknown }[]), b: file('b', [owner('b', 9, 11, ['a', 1]), owner('b', 100, 20), owner('b', 110, 21, ['b', 2]), ...change.b ?? []] as { at: unknown }[]) },
  })
}

test('a good run is found good', (t) => {
  t.deepEqual(verdict(t), { executions: 3, changes: 1, violations: [] })
})

test('an epoch that goes back at the controller is found', (t) => {
  t.regex(verdict(t, { controller: [execute(140, 'line-a', 1, 3)] }).violations.join('\n'), /obeyed epoch 1 after 2/)
  t.regex(verdict(t, { controller: [hello(140, 'line-a', 1)] }).violations.join('\n'), /obeyed epoch 1 after 2/)
})

test('two nodes within one epoch are found', (t) => {
  t.regex(verdict(t, { controller: [execute(60, 'line-b', 1, 3)] }).violations.join('\n'), /came by line-b, others of this epoch by line-a/)
})

test('a sequence that is used twice or goes back is found', (t) => {
  t.regex(verdict(t, { controller: [execute(60, 'line-a', 1, 2)] }).violations.join('\n'), /1\/2 was carried out twice/)
  t.regex(verdict(t, { controller: [execute(140, 'line-b', 2, 5), execute(150, 'line-b', 2, 4)] }).violations.join('\n'), /2\/4 after sequence 5/)
})

test('a command of a node that is not the owner, or of an epoch that nobody ever owned, is found', (t) => {
  t.regex(verdict(t, { controller: [hello(140, 'line-a', 3), execute(150, 'line-a', 3, 1)], b: [owner('b', 135, 22, ['b', 3])] }).violations.join('\n'), /came from a, the owner was b/)
  t.regex(verdict(t, { controller: [execute(140, 'line-b', 7, 1)] }).violations.join('\n'), /no node saw an owner with epoch 7/)
})

test('a command that the controller obeyed after its owner had lost the device is found, also before anybody else took command', (t) => {
  t.regex(verdict(t, { controller: [execute(105, 'line-a', 1, 3)] }).violations.join('\n'), /5\.0 ms after a had lost the device/)
})

test('nodes that saw different owners at one revision, and epochs that do not grow, are found', (t) => {
  t.regex(verdict(t, { a: [owner('a', 111, 21, ['a', 2])] }).violations.join('\n'), /revision 21/)
  t.regex(verdict(t, { b: [owner('b', 140, 25, ['a', 2])] }).violations.join('\n'), /epoch 2 after 2/)
})
