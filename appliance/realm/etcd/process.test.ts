import test, { type ExecutionContext } from 'ava'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../contracts/free-port.ts'
import { systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import { sampleInput } from '../../journal/contract.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { EtcdClient, EtcdJournal } from '../../journal/etcd/index.ts'
import { put } from '../../journal/etcd/wire.ts'
import { Authority, makeKey, makeRequest } from '../authority.ts'
import { addMember, EtcdProcess, etcdVersion, members, removeMember, type EtcdProcessOptions } from './index.ts'

const BINARY = process.env['MTOR_ETCD'] ?? '/usr/bin/etcd'
const until = async (what: () => boolean) => { while (!what()) await setTimeout(10) }

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mtor-etcd-process-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

/** A member alone in its cluster, not started, with its events. */
async function member(t: ExecutionContext, overrides: Partial<EtcdProcessOptions> = {}) {
  const [client, peer] = await freePorts(2)
  const events: SystemEventInput[] = []
  const peerUrl = `http://127.0.0.1:${peer}`
  const options: EtcdProcessOptions = {
    binary: BINARY, name: 'base', clock: systemClock, folder: await folder(t), clientUrls: [`http://127.0.0.1:${client}`], peerUrl,
    initialCluster: [{ name: 'base', url: peerUrl }], state: 'new', onEvent: (event) => { events.push(event) }, ...overrides,
  }
  const etcd = new EtcdProcess(options)
  t.teardown(() => etcd.stop())
  const event = async (name: string) => { await until(() => events.some((each) => each.name === name)); return events.find((each) => each.name === name)! }
  return { etcd, events, event, options }
}

test.serial('it works once a write has gone round; killed, it is started again with its data', async (t) => {
  const { etcd, events, event } = await member(t)
  t.is(etcd.health, 'down')
  await etcd.start()
  t.is(etcd.health, 'starting')
  await etcd.ready(10_000)
  t.true(etcd.hasData)
  const pid = etcd.pid
  etcd.kill()
  t.is((await event('etcd.down')).severity, 'error')
  await until(() => etcd.health === 'ok')
  t.not(etcd.pid, pid)
  t.is(etcd.restarts, 1)
  t.deepEqual(events.map(({ name }) => name), ['etcd.up', 'etcd.down', 'etcd.up'])
  await etcd.stop()
  await etcd.stop()
  t.is(etcd.pid, undefined)
  await t.throwsAsync(etcd.ready(1), { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' })
})

test.serial('a process that answers nothing is killed and started again', async (t) => {
  const { etcd, event } = await member(t, { probeMs: 100, hungMs: 1_500 })
  await etcd.start()
  await etcd.ready(10_000)
  const pid = etcd.pid
  etcd.signal('SIGSTOP')
  await event('etcd.silent')
  t.regex((await event('etcd.down')).message!, /killed by SIGKILL/)
  await until(() => etcd.health === 'ok')
  t.not(etcd.pid, pid)
})

test.serial('without an etcd, or with one that is too old, it says what to install; what etcd says of a wrong flag is told', async (t) => {
  const none = await member(t, { binary: '/nonexistent/etcd' })
  await t.throwsAsync(none.etcd.start(), { instanceOf: MtorError, code: 'NOT_FITTED' })
  const old = join(await folder(t), 'etcd')
  await writeFile(old, '#!/bin/sh\necho etcd Version: 3.3.25\n', { mode: 0o755 })
  t.regex((await t.throwsAsync((await member(t, { binary: old })).etcd.start(), { instanceOf: MtorError, code: 'NOT_FITTED' }))!.message, /3\.4 .* 3\.3\.25/)
  const wrong = await member(t, { initialCluster: [{ name: 'other', url: 'http://127.0.0.1:1' }] })
  await wrong.etcd.start()
  t.regex((await wrong.event('etcd.down')).message!, /couldn't find local name/)
})

test.serial('variables of etcd in our environment do not contradict the flags', async (t) => {
  process.env['ETCD_NAME'] = 'somebody-else'
  t.teardown(() => { delete process.env['ETCD_NAME'] })
  const { etcd } = await member(t)
  await etcd.start()
  await etcd.ready(10_000)
  t.regex(etcdVersion(BINARY) ?? '', /^3\./)
})

test.serial('over its quota it is told as a full disk, and the journal refuses with the reason', async (t) => {
  const { etcd, event, options } = await member(t, { quotaBytes: 4 * 1024 * 1024, probeMs: 100 })
  await etcd.start()
  await etcd.ready(10_000)
  const journal = new EtcdJournal({ etcd: { endpoints: options.clientUrls }, realm: 'full', node: 'base', clock: systemClock, archiveFile: join(options.folder, 'archive.sqlite'), archiveMaxBytes: 1 << 20 })
  t.teardown(() => journal.stop())
  await journal.start()
  const full = async () => { for (let i = 0; ; i++) await journal.put(`note/${i}`, 'x'.repeat(200_000)) }
  const refused = await t.throwsAsync(full(), { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' })
  t.regex(refused!.message, /space exceeded/)
  t.is((await event('etcd.disk-full')).code, 'DISK_FULL')
  t.is(etcd.health, 'full')
})

test.serial('a full disk under it is told, and it goes on when there is space again', async (t) => {
  const path = await folder(t)
  // Only root may mount; elsewhere the quota above stands for it.
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', path]).status !== 0) { t.not(process.getuid?.(), 0, 'root may mount'); return }
  const { etcd, event } = await member(t, { folder: path, probeMs: 100 })
  try {
    await etcd.start()
    await etcd.ready(10_000)
    await writeFile(join(path, 'ballast'), Buffer.alloc(200 * 1024 * 1024)).catch(() => {})
    const client = new EtcdClient({ endpoints: [etcd.url], clock: systemClock, timeoutMs: 500 })
    t.teardown(() => { client.close() })
    const write = () => client.txn({ compare: [], success: [put('/x', Buffer.alloc(500_000))], failure: [] })
    await t.throwsAsync((async () => { for (let i = 0; i < 400; i++) await write() })())
    t.is((await event('etcd.disk-full')).code, 'DISK_FULL')
    await rm(join(path, 'ballast'))
    await until(() => etcd.health === 'ok')
    await write()
  } finally {
    await etcd.stop()
    spawnSync('umount', ['-l', path])
  }
})

test.serial('damaged data is told and not started again and again; set aside, a new member begins', async (t) => {
  const { etcd, events, event } = await member(t)
  await etcd.start()
  await etcd.ready(10_000)
  await etcd.stop()
  const file = join(etcd.dataDir, 'member', 'snap', 'db')
  const bytes = await readFile(file)
  bytes.fill(0x5a, 0, 8_192)
  await writeFile(file, bytes)
  await etcd.start()
  t.is((await event('etcd.corrupt')).code, 'JOURNAL_CORRUPT')
  await until(() => events.some(({ name, data }) => name === 'etcd.down' && Number(data?.['delayMs']) >= 60_000))
  await etcd.stop()
  t.regex(etcd.setAside()!, /data\.aside-/)
  t.false(etcd.hasData)
  await etcd.start()
  await etcd.ready(10_000)
})

test.serial('a damaged log is told, whether etcd refuses it or cuts it off', async (t) => {
  const { etcd, events } = await member(t)
  await etcd.start()
  await etcd.ready(10_000)
  await etcd.stop()
  const wal = join(etcd.dataDir, 'member', 'wal')
  const file = join(wal, (await readdir(wal)).find((name) => name.endsWith('.wal'))!)
  const bytes = await readFile(file)
  bytes.fill(0x5a, 200, 1_200)
  await writeFile(file, bytes)
  await etcd.start()
  await until(() => events.some(({ name }) => name === 'etcd.corrupt' || name === 'etcd.repaired'))
  t.is(events.find(({ name }) => name === 'etcd.corrupt' || name === 'etcd.repaired')!.code, 'JOURNAL_CORRUPT')
})

test.serial('an entry of the log that was never finished is dropped without loss; what cost entries is told as damage; either is told once', async (t) => {
  const { etcd, events } = await member(t)
  const wal = join(etcd.dataDir, 'member', 'wal')
  const copies = async () => (await readdir(wal)).filter((name) => name.endsWith('.broken'))
  const begin = async () => { await etcd.start(); await etcd.ready(10_000) }
  const damage = async (change: (log: Buffer, end: number) => void) => {
    const client = new EtcdClient({ endpoints: [etcd.url], clock: systemClock, timeoutMs: 5_000 })
    for (let i = 0; i < 10; i++) await client.txn({ compare: [], success: [put('/x', Buffer.alloc(5_000, 7))], failure: [] })
    client.close()
    etcd.kill()
    await etcd.stop()
    const [name] = (await readdir(wal)).filter((each) => each.endsWith('.wal')).sort().slice(-1)
    const log = await readFile(join(wal, name!))
    change(log, log.findLastIndex((byte) => byte !== 0) + 1)
    await writeFile(join(wal, name!), log)
    events.length = 0
    await begin()
  }
  const repaired = () => events.filter(({ name }) => name === 'etcd.repaired')
  await begin()
  // What a full disk leaves of a write: its first sectors.
  await damage((log, end) => { log.fill(0, end - 2_000) })
  await until(() => repaired().length > 0)
  t.like(repaired()[0], { severity: 'warning', code: undefined, say: undefined })
  t.deepEqual(await copies(), [], 'it would stay for good')
  // Sectors that a disk has lost: what came after them was acknowledged.
  await damage((log, end) => { log.fill(0, end - 24_000, end - 22_000) })
  await until(() => repaired().length > 0)
  t.like(repaired()[0], { severity: 'critical', code: 'JOURNAL_CORRUPT' })
  t.is((await copies()).length, 1)
  await etcd.stop()
  await begin()
  t.is(repaired().length, 1, 'etcd speaks of the copy with every start')
})

test.serial('members are removed and added while the journal works; one that lost its data joins anew', async (t) => {
  const etcd = await TestEtcd.make(3, BINARY)
  t.teardown(() => etcd.dispose())
  const harness = await etcd.journal()
  t.teardown(() => harness.dispose())
  const { client } = harness.journal
  t.deepEqual((await members(client)).map(({ name }) => name).sort(), ['n1', 'n2', 'n3'])
  const lost = etcd.members[2]!
  await lost.stop()
  lost.setAside()
  const before = (await members(client)).find(({ name }) => name === 'n3')!
  const cluster = { name: 'n3', url: before.peerUrls[0]! }
  const { id, initialCluster } = await addMember(client, systemClock, cluster)
  t.not(id, before.id)
  t.is((await addMember(client, systemClock, cluster)).id, id, 'asked again it is the same')
  const again = new EtcdProcess({ ...lost.options, initialCluster, state: 'existing' })
  t.teardown(() => again.stop())
  await again.start()
  await again.ready(10_000)
  t.is(await harness.journal.accept(sampleInput()), 'accepted')
  const direct = new EtcdJournal({ ...harness.options, node: 'n3', archiveFile: join(etcd.folder, 'n3.sqlite'), etcd: { endpoints: [again.url] } })
  t.teardown(() => direct.stop())
  await direct.start()
  t.is((await direct.unfinished()).length, 1, 'it has what the others have')
  await direct.stop()
  await removeMember(client, systemClock, id)
  await removeMember(client, systemClock, id)
  t.deepEqual((await members(client)).map(({ name }) => name).sort(), ['n1', 'n2'])
})

test.serial('with certificates of the realm only its members and nodes are let in', async (t) => {
  const path = await folder(t)
  const issue = async (realm: Authority, node: string) => {
    const key = makeKey()
    const { certPem } = await realm.issue({ csr: await makeRequest(path, key, node), node, hosts: [], wallMs: Date.now() })
    return { key, cert: certPem, ca: realm.certPem }
  }
  const realm = await Authority.make(path, 'camp')
  const stranger = await issue(await Authority.make(path, 'other'), 'n1')
  const ports = await freePorts(6)
  const cluster = ['n1', 'n2', 'n3'].map((name, i) => ({ name, url: `https://127.0.0.1:${ports[i + 3]}` }))
  const own = []
  const processes = []
  for (const [i, { name, url }] of cluster.entries()) {
    const material = await issue(realm, name)
    own.push(material)
    const tls = { ca: join(path, `${name}.ca`), cert: join(path, `${name}.cert`), key: join(path, `${name}.key`) }
    await Promise.all([writeFile(tls.ca, material.ca), writeFile(tls.cert, material.cert), writeFile(tls.key, material.key, { mode: 0o600 })])
    const etcd = new EtcdProcess({ binary: BINARY, name, clock: systemClock, folder: join(path, name), clientUrls: [`https://127.0.0.1:${ports[i]}`], peerUrl: url, initialCluster: cluster, state: 'new', tls, clientTls: material })
    t.teardown(() => etcd.stop())
    processes.push(etcd)
    await etcd.start()
  }
  await Promise.all(processes.map((etcd) => etcd.ready(15_000)))
  const endpoints = processes.map((etcd) => etcd.url)
  const journal = new EtcdJournal({ etcd: { endpoints, tls: own[0]! }, realm: 'camp', node: 'n1', clock: systemClock, archiveFile: join(path, 'archive.sqlite'), archiveMaxBytes: 1 << 20 })
  t.teardown(() => journal.stop())
  await journal.start()
  t.is(await journal.accept(sampleInput()), 'accepted')
  for (const tls of [stranger, { ...stranger, ca: realm.certPem }, { ca: realm.certPem }]) {
    const client = new EtcdClient({ endpoints, clock: systemClock, tls, timeoutMs: 500 })
    await t.throwsAsync(members(client), { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' })
    client.close()
  }
})

test.serial('it dies with the process that started it', async (t) => {
  const { options } = await member(t)
  const file = fileURLToPath(new URL('./testing-parent.ts', import.meta.url))
  const parent = spawn(process.execPath, [file, JSON.stringify({ ...options, clock: undefined })], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(parent.stdout.setEncoding('utf8'), 'data') as [string]
  const pid = Number(line)
  t.notThrows(() => process.kill(pid, 0))
  parent.kill('SIGKILL')
  await until(() => { try { process.kill(pid, 0); return false } catch { return true } })
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})
