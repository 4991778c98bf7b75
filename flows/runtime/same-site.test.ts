import test from 'ava'
import { refusalOf } from './same-site.ts'

const refused = (headers: Record<string, string>, loopbackOnly = true) => refusalOf({ headers }, loopbackOnly) !== undefined

for (const host of ['127.0.0.1:1880', 'localhost:1880', 'localhost', '[::1]:1880', 'box.localhost:1880', '127.1.2.3']) test(`on loopback ${host} is served`, (t) => { t.false(refused({ host })) })
for (const host of ['evil.example:1880', '192.168.1.5:1880', 'localhost.evil.example', '127.0.0.1.evil.example', '', 'a b']) test(`on loopback a request for host “${host}” is refused, and served beyond`, (t) => { t.true(refused({ host })); t.false(refused({ host }, false)) })

test('a request of another site is refused, on loopback and beyond; one without a host too', (t) => {
  t.false(refused({ host: '127.0.0.1:1880', origin: 'http://127.0.0.1:1880' }))
  t.false(refused({ host: 'box.local:1880', origin: 'https://box.local:1880' }, false))
  for (const origin of ['http://evil.example', 'http://127.0.0.1:8000', 'http://localhost:1880', 'null', 'file://']) t.true(refused({ host: '127.0.0.1:1880', origin }), origin)
  t.true(refused({ host: 'box.local:1880', origin: 'http://evil.example' }, false))
  t.true(refused({}))
})
