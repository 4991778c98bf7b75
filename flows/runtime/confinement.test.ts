import test from 'ava'
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROJECT_DIR } from '../../appliance/config/load.ts'
import { makePlaces, placesOf, realmUrl, withLocalListener } from './confinement.ts'

const tcp = (host: string, tls?: boolean) => ({ kind: 'tcp' as const, host, port: 1883, ...(tls === undefined ? {} : { tls }) })

test('the appliance\'s own nodes are linked into the folder of Node-RED, also where the link was another', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-places-'))
  t.teardown(() => { rmSync(dir, { recursive: true }) })
  const places = placesOf(dir)
  const link = join(places.userDir, 'node_modules/@mtor/node-red-appliance')
  const linked = () => { makePlaces(places); return readlinkSync(link) }
  t.is(linked(), join(PROJECT_DIR, 'flows'))
  t.is(linked(), join(PROJECT_DIR, 'flows'))
  rmSync(link)
  symlinkSync('/elsewhere', link)
  t.is(linked(), join(PROJECT_DIR, 'flows'))
  rmSync(link)
  mkdirSync(link)
  t.is(linked(), join(PROJECT_DIR, 'flows'))
})

test('Node-RED comes to the bus by a plain listener on loopback; where there is none, the bus gets one more', (t) => {
  for (const there of [[tcp('127.0.0.1')], [tcp('0.0.0.0', false)], [tcp('10.0.0.1'), { kind: 'ws' as const, host: 'localhost', port: 9001 }]]) t.deepEqual(withLocalListener(there), there)
  for (const away of [[], [tcp('0.0.0.0')], [tcp('127.0.0.1', true)], [tcp('10.0.0.1', false)]]) t.deepEqual(withLocalListener(away).at(-1), { kind: 'tcp', host: '127.0.0.1', port: 0 })
  t.is(realmUrl([{ kind: 'ws', host: '127.0.0.1', port: 9, tls: false }, { kind: 'tcp', host: '127.0.0.1', port: 5, tls: false }]), 'mqtt://127.0.0.1:5')
  t.is(realmUrl([{ kind: 'tcp', host: '0.0.0.0', port: 5, tls: true }, { kind: 'ws', host: '::1', port: 9, tls: false }]), 'ws://[::1]:9')
  t.is(realmUrl([{ kind: 'tcp', host: '0.0.0.0', port: 5, tls: false }]), 'mqtt://127.0.0.1:5')
  t.throws(() => realmUrl([{ kind: 'tcp', host: '0.0.0.0', port: 5, tls: true }]), { code: 'INTERNAL' })
})
