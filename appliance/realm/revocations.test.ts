import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { Membership } from './membership.ts'
import { RealmFolder } from './folder.ts'
import { revocationList } from './revocations.ts'
import { startNode, temporary } from './testing.ts'

const serial = (n: number) => n.toString(16).toUpperCase().padStart(32, '0')

test('openssl reads what is written, with none, one and as many as a member list may have', async (t) => {
  const made = await Membership.create({ folder: new RealmFolder(await temporary(t)), realm: 'home', node: 'a', host: '192.0.2.7', port: 7717, wallMs: undefined })
  const { keyPem } = made.credentials
  const folder = await temporary(t)
  const file = join(folder, 'list.crl')
  const read = (...args: string[]) => execFileSync('openssl', ['crl', '-inform', 'DER', '-in', file, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  for (const serials of [[], [serial(0x80)], ['F'.repeat(32), '7F'.padEnd(32, '0'), serial(1)], Array.from({ length: 4_096 }, (_, i) => `4${serial(i).slice(1)}`)]) {
    writeFileSync(file, revocationList({ serials, node: 'a', keyPem }))
    const text = read('-text', '-noout')
    t.deepEqual([...text.matchAll(/Serial Number: (\w+)/g)].map(([, one]) => one!.padStart(32, '0')), serials)
    t.regex(text, /Version 2[^]*Issuer: CN = a\n[^]*Last Update: Jan {2}1 00:00:00 1970[^]*Next Update: Dec 31 23:59:59 9999/)
  }
})

test('what a witness knows of two lists that it could not put together is still known after a restart, until one list says it', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a, start: false })
  const w = await startNode(t, 'w', { at: a, role: 'witness', start: false })
  b.membership.adopt(a.membership.signed)
  await a.membership.change({ revoke: [{ serial: serial(4), node: 'x', why: 'left' }] })
  await b.membership.change({ revoke: [{ serial: serial(5), node: 'x', why: 'left' }] })
  w.membership.adopt(a.membership.signed)
  w.membership.adopt(b.membership.signed)
  await w.membership.settled()
  const again = await Membership.load(w.folder)
  for (const { revoked } of [w.membership, again]) t.deepEqual(revoked, [serial(4), serial(5)])
  t.truthy(again.refusal('x', serial(4)))
  t.truthy(again.refusal('x', serial(5)))
  a.membership.adopt(b.membership.signed)
  again.adopt(a.membership.signed)
  await again.settled()
  const last = await Membership.load(w.folder)
  t.deepEqual([last.revoked, last.list.revoked.length], [[serial(4), serial(5)], 2])
})
