import test from 'ava'
import { planUpgrade, type UpgradeDevice, type UpgradeNode } from './plan.ts'
import { inUse, isTooOld, mismatch, OWN_NUMBERS, type Versions } from './versions.ts'

const at = (n: number): Versions => ({ software: `0.${n}.0`, protocol: n, schema: n, envelope: n })
const node = (name: string, more: Partial<UpgradeNode> = {}): UpgradeNode => ({ node: name, self: name === 'a', role: name === 'w' ? 'witness' : 'full', online: true, versions: at(3), ...more })
const devices: UpgradeDevice[] = [{ device: 'rover', owner: 'a', lines: ['a', 'b'] }]

test('neighbouring versions fit, one number that is further off does not', (t) => {
  t.is(mismatch(at(3), at(3)), undefined)
  t.is(mismatch(at(3), at(2)), undefined)
  t.is(mismatch(at(3), { ...at(3), schema: 4 }), undefined)
  t.is(mismatch(at(3), { ...at(3), schema: 1 }), 'journal schema 1, expected 2 to 4')
  t.is(mismatch(at(1), at(3)), 'link protocol 3, expected 2; journal schema 3, expected 2; envelope version 3, expected 2')
  t.true(isTooOld(at(3), at(1)))
  t.false(isTooOld(at(1), at(3)))
})

test('in use is the lowest of all members, each number for itself', (t) => {
  t.deepEqual(inUse([{ protocol: 3, schema: 2, envelope: 1 }, { protocol: 2, schema: 3, envelope: 1 }]), { protocol: 2, schema: 2, envelope: 1 })
  t.deepEqual(inUse([OWN_NUMBERS]), OWN_NUMBERS)
})

test('the witness is taken first, then who stands by, then the owner after its device was moved', (t) => {
  const report = planUpgrade({ realm: 'home', nodes: [node('a'), node('b'), node('w')], devices, to: at(4) })
  t.true(report.ok)
  t.deepEqual(report.inUse, { protocol: 3, schema: 3, envelope: 3 })
  t.deepEqual(report.steps.map((step) => step.split(': ')[0]), ['w (witness)', 'b (stands by)', 'a (commands a device)'])
  t.regex(report.steps[2]!, /^a \(commands a device\): mtor device move rover b; stop its daemon, install 0\.4\.0/)
  t.deepEqual(report.warnings, ['Until every member has journal schema 4, all write 3.'])
})

test('half way through, what is left is said the same at a node that is done and at one that is not', (t) => {
  for (const self of ['a', 'w']) {
    const nodes = [node('a'), node('b'), node('w', { versions: at(4) })].map((one) => ({ ...one, self: one.node === self }))
    const report = planUpgrade({ realm: 'home', nodes, devices })
    t.true(report.ok)
    t.deepEqual(report.steps.map((step) => step.split(': ')[0]), ['b (stands by)', 'a (commands a device)'])
    t.regex(report.steps[0]!, /install 0\.4\.0/)
  }
})

test('a device that no other node has a line to is said to stand still meanwhile', (t) => {
  t.regex(planUpgrade({ realm: 'home', nodes: [node('a'), node('b'), node('w')], devices: [{ device: 'rover', owner: 'a', lines: ['a'] }], to: at(4) }).steps[2]!, /rover stands still meanwhile/)
})

test('a release that is two steps from a member is refused, with what to do, and no steps', (t) => {
  const ahead = planUpgrade({ realm: 'home', nodes: [node('a'), node('b'), node('w', { versions: at(2) })], devices, to: at(4) })
  t.false(ahead.ok)
  t.deepEqual(ahead.refused.map(({ node: name, code }) => [name, code]), [['w', 'VERSION_MISMATCH']])
  t.regex(ahead.refused[0]!.message, /link protocol 2, expected 3 to 5.*upgrade it to a release between 0\.2\.0 and 0\.4\.0 first/)
  t.deepEqual(ahead.steps, [])
  const behind = planUpgrade({ realm: 'home', nodes: [node('a'), node('b')], devices, to: at(1) })
  t.deepEqual(behind.refused.map(({ node: name }) => name), ['b', 'a'])
  t.regex(behind.refused[0]!.message, /0\.1\.0 is too old for it/)
})

test('this node is looked at against the others, not against itself', (t) => {
  const report = planUpgrade({ realm: 'home', nodes: [node('a', { versions: at(1) }), node('b'), node('w')], devices })
  t.deepEqual(report.refused.map(({ node: name }) => name), ['w', 'b'])
  t.true(planUpgrade({ realm: 'home', nodes: [node('a', { versions: at(1) })], devices: [], to: at(9) }).ok, 'who is alone meets nobody')
})

test('of a member that is away and was never seen nothing can be promised', (t) => {
  const unseen: UpgradeNode = { node: 'w', self: false, role: 'witness', online: false }
  const report = planUpgrade({ realm: 'home', nodes: [node('a'), node('b'), unseen], devices })
  t.false(report.ok)
  t.deepEqual(report.refused.map(({ node: name, code }) => [name, code]), [['w', 'NODE_UNREACHABLE']])
  t.is(report.inUse, undefined)
})

test('no node is taken down while that would leave no majority', (t) => {
  const nodes = [node('a'), node('b'), node('w', { online: false })]
  t.deepEqual(planUpgrade({ realm: 'home', nodes, devices, to: at(4) }).refused.map(({ node: name, code }) => [name, code]), [['w', 'NO_QUORUM']])
  const without = planUpgrade({ realm: 'home', nodes, devices })
  t.true(without.ok)
  t.regex(without.warnings[0]!, /w is away: take no other node down/)
  const two = planUpgrade({ realm: 'home', nodes: [node('a'), node('b')], devices, to: at(4) })
  t.true(two.ok)
  t.regex(two.warnings[0]!, /Two nodes have no majority/)
})
