import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { WebSocket } from 'ws'
import { tlsMaterial } from './certificate.ts'
import { hashPassword } from './password.ts'
import { inbox, json, startBus, topics } from './testing.ts'

const hash = await hashPassword('secret', { N: 1024 })
const clients = [{ username: 'ann', passwordHash: hash, role: 'operator' }, { username: 'eve', passwordHash: hash, role: 'observer' }, { username: 'card', role: 'operator' }]
const refusal = async (t: ExecutionContext, connecting: Promise<unknown>) => (await t.throwsAsync(connecting) as { code?: unknown } | undefined)?.code

test('a client is who its password says, with the role of the configuration', async (t) => {
  const b = await startBus(t, { clients })
  const client = await b.client({ username: 'ann', password: 'secret', clientId: 'laptop' })
  await client.publishAsync(topics.submit, '{"id":"x"}', { qos: 1 })
  t.deepEqual(b.submitted[0]!.identity, { client: 'ann', role: 'operator', kind: 'mqtt' })
  const observer = await b.client({ username: 'eve', password: 'secret' })
  const toEve = await inbox(observer, topics.clientReceipt(observer.options.clientId!))
  await observer.publishAsync(topics.submit, '{"id":"x"}', { qos: 1 })
  t.is(json(await toEve.next()).code, 'UNAUTHORISED')
  t.is(b.submitted.length, 1)
})

test('a wrong password, an unknown name, a name without password and no name at all are refused with MQTT\'s code and an event', async (t) => {
  const b = await startBus(t, { clients })
  t.is(await refusal(t, b.client({ username: 'ann', password: 'wrong' })), 4)
  t.is(await refusal(t, b.client({ username: 'nobody', password: 'secret' })), 4)
  t.is(await refusal(t, b.client({ username: 'card', password: 'secret' })), 4)
  t.is(await refusal(t, b.client({ username: 'ann' })), 4)
  t.is(await refusal(t, b.client()), 5)
  t.is((await b.event('client.refused')).code, 'UNAUTHORISED')
  t.false(JSON.stringify(b.events).includes('secret'))
})

test('many password checks at once leave the bus answering others', async (t) => {
  const b = await startBus(t, { clients, anonymousRole: 'operator' })
  const before = await b.client()
  const logins = Promise.allSettled(Array.from({ length: 30 }, () => b.client({ username: 'ann', password: 'secret' })))
  await before.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  t.true((await logins).every((login) => login.status === 'fulfilled'))
})

test('a client id cannot be taken over, nor its session, by another identity', async (t) => {
  const b = await startBus(t, { clients })
  const ann = await b.client({ username: 'ann', password: 'secret', clientId: 'shared', clean: false })
  t.is(await refusal(t, b.client({ username: 'eve', password: 'secret', clientId: 'shared' })), 2)
  await ann.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  await ann.endAsync()
  t.is(await refusal(t, b.client({ username: 'eve', password: 'secret', clientId: 'shared' })), 2)
  await b.client({ username: 'ann', password: 'secret', clientId: 'shared' })
})

test('a password hash that cannot be one, and a name given twice, are mistakes of the configuration', async (t) => {
  await t.throwsAsync(startBus(t, { clients: [{ username: 'x', passwordHash: 'plain', role: 'operator' }] }), { code: 'CONFIG_INVALID' })
  await t.throwsAsync(startBus(t, { clients: [clients[0], clients[0]] }), { code: 'CONFIG_INVALID' })
})

const outside = Object.values(networkInterfaces()).flat().find((i) => i && i.family === 'IPv4' && !i.internal)?.address

test('a listener beyond loopback speaks TLS with a certificate of its own, kept and private; nobody is anonymous there', async (t) => {
  const b = await startBus(t, { listeners: [{ kind: 'tcp', host: '0.0.0.0', port: 0 }, { kind: 'ws', host: '0.0.0.0', port: 0 }] })
  t.true(b.bus.addresses().every((a) => a.tls))
  for (const file of ['bus-key.pem', 'bus-cert.pem']) t.is(statSync(join(b.stateDir, file)).mode & 0o777, 0o600)
  const ca = readFileSync(join(b.stateDir, 'bus-cert.pem'))
  const client = await b.client({ protocol: 'mqtts', ca, servername: 'localhost' })
  await client.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  const browser = await b.client({ protocol: 'wss', port: b.wsPort, ca, servername: 'localhost' })
  await browser.publishAsync(`${topics.root}/app/x`, 'x', { qos: 1 })
  // Where this machine has an address of its own, connecting to it is not connecting from loopback.
  if (outside) t.is(await refusal(t, b.client({ protocol: 'mqtts', host: outside, ca, servername: 'localhost' })), 5)
  const before = readFileSync(join(b.stateDir, 'bus-key.pem'))
  await b.bus.stop()
  await b.bus.start()
  t.deepEqual(readFileSync(join(b.stateDir, 'bus-key.pem')), before)
})

test('plain MQTT to a TLS listener is refused without harm', async (t) => {
  const b = await startBus(t, { listeners: [{ kind: 'tcp', port: 0, tls: true }] })
  await t.throwsAsync(b.client())
  t.truthy(await b.event('tls.failed'))
  await b.client({ protocol: 'mqtts', rejectUnauthorized: false })
})

test('a listener beyond loopback without TLS is announced as a warning', async (t) => {
  const b = await startBus(t, { listeners: [{ kind: 'tcp', host: '0.0.0.0', port: 0, tls: false }] })
  t.is((await b.event('listener.plain')).severity, 'warning')
})

test('without openssl the start fails and says what to install', async (t) => {
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-cert-'))
  t.teardown(() => rm(stateDir, { recursive: true, force: true }))
  const error = await t.throwsAsync(tlsMaterial({ kind: 'tcp', host: '0.0.0.0', port: 1 }, stateDir, 'base', join(stateDir, 'no-openssl')), { code: 'CONFIG_INVALID' })
  t.regex(error!.message, /openssl is not installed/)
})

test('a client certificate of our authority is an identity; one of another authority is none', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-ca-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  for (const ca of ['ca', 'other']) openssl('req', '-x509', ...key, '-subj', `/CN=${ca}`, '-keyout', `${ca}.key`, '-out', `${ca}.pem`)
  writeFileSync(join(folder, 'server.ext'), 'subjectAltName=DNS:localhost')
  for (const [name, ca] of [['localhost', 'ca'], ['card', 'ca'], ['stranger', 'ca'], ['forged', 'other']]) {
    openssl('req', ...key, '-subj', `/CN=${name === 'forged' ? 'card' : name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-out', `${name}.pem`, ...(name === 'localhost' ? ['-extfile', 'server.ext'] : []))
  }
  const at = (name: string) => join(folder, name)
  const b = await startBus(t, { clients, listeners: [{ kind: 'tcp', port: 0, tls: { cert: at('localhost.pem'), key: at('localhost.key'), ca: at('ca.pem') } }] })
  const as = (name: string) => b.client({ protocol: 'mqtts', servername: 'localhost', ca: readFileSync(at('ca.pem')), cert: readFileSync(at(`${name}.pem`)), key: readFileSync(at(`${name}.key`)) })
  const client = await as('card')
  await client.publishAsync(topics.submit, '{"id":"x"}', { qos: 1 })
  t.like(b.submitted[0]!.identity, { client: 'card', role: 'operator' })
  t.is(await refusal(t, as('stranger')), 5)
  t.is(await refusal(t, as('forged')), 5)
})

test('a web page of another place cannot connect through the browser of this machine', async (t) => {
  const b = await startBus(t)
  const status = (origin: string, host = `127.0.0.1:${b.wsPort}`) => new Promise<number | string>((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${b.wsPort}`, 'mqtt', { origin, headers: { host } })
    socket.on('unexpected-response', (_request, response) => { resolve(response.statusCode ?? 0); response.destroy() })
    socket.on('open', () => { resolve('open'); socket.close() })
    socket.on('error', () => {})
  })
  t.is(await status('http://evil.example'), 403)
  t.is(await status('http://evil.example', 'evil.example'), 403)
  t.is(await status('null'), 403)
  t.is(await status('http://127.0.0.1:8080'), 'open')
  t.is(await status(`http://localhost:8080`, `localhost:${b.wsPort}`), 'open')
  t.is((await b.event('origin.refused')).code, 'UNAUTHORISED')
})

test('a process of the appliance is known by its own name and password, with identities configured and without', async (t) => {
  const internal = [{ username: 'mtor-flows', password: 'long and random', role: 'flow' as const }]
  for (const config of [{}, { clients }]) {
    const b = await startBus(t, config, { internal })
    const client = await b.client({ username: 'mtor-flows', password: 'long and random' })
    await client.publishAsync(topics.submit, '{"id":"x"}', { qos: 1 })
    t.deepEqual(b.submitted[0]!.identity, { client: 'mtor-flows', role: 'flow', kind: 'flow' })
    t.is(await refusal(t, b.client({ username: 'mtor-flows', password: 'guessed' })), 4)
    t.is(await refusal(t, b.client({ username: 'mtor-flows' })), 4)
  }
  await t.throwsAsync(startBus(t, { clients: [{ username: 'mtor-flows', role: 'operator' }] }, { internal }), { code: 'CONFIG_INVALID' })
})
