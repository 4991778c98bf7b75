import test from 'ava'
import { hashSync } from 'bcryptjs'
import { hashPassword } from '../../appliance/bus/index.ts'
import { EditorAccess } from './access.ts'

const passwordHash = await hashPassword('secret', { N: 1024 })
const ann = { username: 'ann', passwordHash, role: 'operator' as const }
const local = { host: '127.0.0.1' }

test('who has no password on the bus needs none at the editor; who has one must log in', (t) => {
  t.false(new EditorAccess({ clients: [] }, local).login)
  t.true(new EditorAccess({ clients: [ann] }, local).login)
  t.true(new EditorAccess({ clients: [ann], anonymousRole: 'operator' }, local).login)
  t.true(new EditorAccess({ clients: [{ username: 'card', role: 'device' }] }, local).login, 'the bus is closed to who has no name')
  t.true(new EditorAccess({ clients: [], anonymousRole: 'observer' }, local).login)
  t.false(new EditorAccess({ clients: [{ username: 'card', role: 'device' }], anonymousRole: 'operator' }, local).login)
})

test('beyond loopback there must be an operator with a password', (t) => {
  for (const host of ['0.0.0.0', '192.168.1.5', '::', 'box.local']) {
    t.throws(() => new EditorAccess({ clients: [] }, { host }), { code: 'CONFIG_INVALID' }, host)
    t.throws(() => new EditorAccess({ clients: [{ username: 'card', role: 'operator' }, { ...ann, role: 'observer' }] }, { host }), { code: 'CONFIG_INVALID' })
    t.notThrows(() => new EditorAccess({ clients: [ann] }, { host }))
  }
})

test('operators may everything, observers read, others nothing; hashes of bcrypt count too', async (t) => {
  const access = new EditorAccess({ clients: [ann, { username: 'eve', passwordHash: hashSync('other', 4), role: 'observer' }, { username: 'dev', passwordHash, role: 'device' }, { username: 'card', role: 'operator' }] }, local)
  t.deepEqual(await access.authenticate('ann', 'secret'), { username: 'ann', permissions: '*' })
  t.deepEqual(await access.authenticate('eve', 'other'), { username: 'eve', permissions: 'read' })
  for (const [name, password] of [['ann', 'other'], ['ann', ''], ['dev', 'secret'], ['card', ''], ['nobody', 'secret'], ['', '']] as const) t.is(await access.authenticate(name, password), null, `${name}:${password}`)
  t.deepEqual([access.user('ann'), access.user('eve'), access.user('dev'), access.user('nobody')], [{ username: 'ann', permissions: '*' }, { username: 'eve', permissions: 'read' }, null, null])
  t.is(await new EditorAccess({ clients: [] }, local).authenticate('', ''), null)
})
