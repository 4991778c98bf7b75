import test from 'ava'
import { createSocket } from 'node:dgram'
import { freePort } from '../contracts/free-port.ts'
import { Discovery } from './discovery.ts'

test('nodes that announce themselves are found, with the address they answer from; rubbish is not', async (t) => {
  // On the loopback and a port of its own, so that nobody outside hears of it.
  const group = '224.0.0.251'
  const network = { port: await freePort(), interface: '127.0.0.1', bind: group }
  const fingerprint = 'ab'.repeat(32)
  const a = new Discovery({ network })
  const b = new Discovery({ network })
  const wrong = new Discovery({ network })
  t.teardown(() => Promise.all([a, b, wrong].map((one) => one.stop())))
  await a.announce({ realm: 'home', node: 'a', role: 'full', fingerprint, port: 7717 })
  await b.announce({ realm: 'home', node: 'b'.repeat(63), role: 'witness', fingerprint, port: 7718 })
  await wrong.announce({ realm: 'NO NAME', node: 'c', role: 'full', fingerprint: 'short', port: 1 })
  const noise = createSocket('udp4')
  await new Promise<void>((resolve) => { noise.bind(0, '127.0.0.1', resolve) })
  noise.setMulticastInterface('127.0.0.1')
  noise.send(Buffer.alloc(200, 0xff), network.port, group, () => noise.close())
  const found = await new Discovery({ network }).find(1_000)
  t.deepEqual(found, [
    { realm: 'home', node: 'a', role: 'full', fingerprint, address: '127.0.0.1', port: 7717 },
    { realm: 'home', node: 'b'.repeat(63), role: 'witness', fingerprint, address: '127.0.0.1', port: 7718 },
  ])
  await Promise.all([a.stop(), b.stop(), wrong.stop()])
  t.deepEqual(await new Discovery({ network }).find(300), [])
})
