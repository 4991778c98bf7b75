#!/usr/bin/env node
// npm run flows:package: packs the nodes, installs the tarball into a plain Node-RED outside this repository, starts that
// and an appliance, deploys a flow as the editor does, and has it carry out an intent: submitted, and said as a sentence.
// Prints what it does; ends with 0 only when everything was right. --keep leaves the folder.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { performance } from 'node:perf_hooks'
import { done, failed, say, ticking } from '../setup/steps.mjs'

const here = dirname(fileURLToPath(import.meta.url)), root = dirname(here)
const node24 = join(root, 'node_modules/.bin/node')
const { version: nodeRedVersion } = JSON.parse(readFileSync(join(root, 'node_modules/node-red/package.json'), 'utf8'))
const { name: packageName, 'node-red': { nodes } } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
const PATIENCE_MS = 60_000, INSTALL_MS = 600_000
const PASSWORD = 'only-for-this-try'

const folder = mkdtempSync(join(tmpdir(), 'mtor-package-'))
const children = []

/** Runs a command to its end; its output, or what went wrong. */
function run(command, args, { cwd = folder, timeoutMs = PATIENCE_MS, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env }, timeout: timeoutMs })
    let out = '', err = ''
    child.stdout.on('data', (data) => { out += data })
    child.stderr.on('data', (data) => { err += data })
    child.on('error', reject)
    child.on('close', (code) => code === 0 ? resolve(out.trim()) : reject(new TypeError(`${command} ${args.join(' ')} ended with ${code}:\n${(err || out).trim().split('\n').slice(-12).join('\n')}`)))
  })
}

/** Starts a process that stays; it is ended with this script. */
function start(command, args, options = {}) {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output = (output + data).slice(-20_000) })
  const entry = { child, output: () => output, ended: new Promise((resolve) => child.on('close', resolve)) }
  children.push(entry)
  return entry
}

async function until(what, holds, entry) {
  const startedMs = performance.now()
  for (;;) {
    try { const got = await holds(); if (got) return got } catch { /* not yet */ }
    if (entry && entry.child.exitCode !== null) throw new TypeError(`${what}: the process ended with ${entry.child.exitCode}:\n${entry.output()}`)
    if (performance.now() - startedMs > PATIENCE_MS) throw new TypeError(`${what}: not within ${PATIENCE_MS / 1000} s${entry ? `:\n${entry.output()}` : ''}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const freePort = () => new Promise((resolve) => {
  const server = createServer()
  server.listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)) })
})

function check(what, holds, got) {
  if (!holds) throw new TypeError(`${what}: got ${JSON.stringify(got)}`)
  done(what)
}

/** "Open the port airlock", as an integrator would have it in the editor. */
const flow = (brokerPort) => [
  { id: 'f1000001', type: 'mtor-realm', name: 'lab', url: `mqtt://127.0.0.1:${brokerPort}`, realm: 'lab', clientId: '', keepaliveS: 15, reconnectS: 1, credentials: { username: 'nodes', password: PASSWORD } },
  { id: 'f1000002', type: 'tab', label: 'Airlock' },
  { id: 'f1000003', z: 'f1000002', x: 100, y: 40, type: 'mtor-intent-define', realm: 'f1000001', intentType: 'airlock.open', title: 'Open the airlock', sentences: ['open [the] {side} airlock'], slots: [{ name: 'side', kind: 'choice', required: true, values: ['port', 'starboard'], question: 'Which side?' }], actuates: false, hazardous: false, repeatable: false, deadlineS: 20, wires: [] },
  { id: 'f1000004', z: 'f1000002', x: 100, y: 80, type: 'mtor-intent-in', realm: 'f1000001', intentType: 'airlock.open', concurrent: 1, failOnError: true, wires: [['f1000005'], []] },
  { id: 'f1000005', z: 'f1000002', x: 300, y: 80, type: 'function', func: 'msg.say = `The ${msg.payload.side} airlock is open.`\nmsg.payload = { side: msg.payload.side, opened: true }\nreturn msg', outputs: 1, libs: [], wires: [['f1000006']] },
  { id: 'f1000006', z: 'f1000002', x: 500, y: 80, type: 'mtor-intent-result', outcome: 'succeeded', code: '', say: 'say', sayType: 'msg', message: '', messageType: 'str', data: 'payload', dataType: 'msg', wires: [] },
]

async function tryPackage() {
  let startedMs = performance.now()
  const [packed] = JSON.parse(await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: here, timeoutMs: INSTALL_MS }))
  const tarball = join(folder, packed.filename)
  done(`packed ${packed.filename}: ${packed.files.length} files, ${(packed.size / 1024).toFixed(0)} kB`, startedMs)
  check('it holds every node, its page, its help and its licence, and no source', ['LICENSE', 'README.md', ...Object.keys(nodes).flatMap((type) => [`dist/${type}.cjs`, `dist/${type}.html`, `dist/locales/de/${type}.html`])].every((path) => packed.files.some((file) => file.path === path)) && !packed.files.some(({ path }) => path.endsWith('.ts')), packed.files.map(({ path }) => path))

  startedMs = performance.now()
  const nodeRed = join(folder, 'node-red'), user = join(folder, 'user')
  for (const [place, wanted] of [[nodeRed, `node-red@${nodeRedVersion}`], [user, tarball]]) {
    mkdirSync(place)
    writeFileSync(join(place, 'package.json'), '{ "private": true }')
    const stop = ticking(() => `installing ${wanted}`)
    try { await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', wanted], { cwd: place, timeoutMs: INSTALL_MS }) } finally { stop() }
  }
  done(`Node-RED ${nodeRedVersion} and the tarball, installed in ${folder}`, startedMs)

  startedMs = performance.now()
  const brokerPort = await freePort(), adminPort = await freePort()
  const passwordHash = await run(node24, ['--no-warnings', '--input-type=module', '-e', `import { hashPassword } from ${JSON.stringify(join(root, 'appliance/bus/index.ts'))}\nconsole.log(await hashPassword(${JSON.stringify(PASSWORD)}))`])
  const config = join(folder, 'mtor.yaml')
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({
    realm: 'lab', node: 'lab-node', stateDir: join(folder, 'state'), flows: { enabled: false }, speech: { enabled: false },
    bus: { listeners: [{ kind: 'tcp', host: '127.0.0.1', port: brokerPort }], clients: [{ username: 'nodes', passwordHash, role: 'flow' }] },
  }))
  const appliance = start(node24, ['--no-warnings', join(root, 'appliance/main.ts'), '--config', config, '--no-first-light'])
  const mtor = (...args) => run(node24, ['--no-warnings', join(root, 'appliance/cli.ts'), '--config', config, '--json', ...args])
  await until('the appliance', () => mtor('status'), appliance)
  done('the appliance is up, with a client "nodes" of role flow', startedMs)

  startedMs = performance.now()
  const runtime = start(node24, [join(nodeRed, 'node_modules/node-red/red.js'), '--userDir', user, '--port', String(adminPort), '-D', 'uiHost=127.0.0.1', '-D', 'credentialSecret=try'])
  const url = `http://127.0.0.1:${adminPort}`
  const palette = await until('Node-RED', async () => { const response = await fetch(`${url}/nodes`, { headers: { accept: 'application/json' } }); return response.ok ? await response.json() : undefined }, runtime)
  done('the plain Node-RED is up', startedMs)
  const ours = palette.filter(({ module }) => module === packageName)
  check(`all ${Object.keys(nodes).length} nodes are in its palette, without an error`, ours.length === Object.keys(nodes).length && ours.every(({ enabled, err }) => enabled && !err), ours)

  startedMs = performance.now()
  const deployed = await fetch(`${url}/flows`, { method: 'POST', headers: { 'content-type': 'application/json', 'Node-RED-Deployment-Type': 'full' }, body: JSON.stringify(flow(brokerPort)) })
  check('a flow is deployed through its admin API', deployed.ok, deployed.status)
  const catalogue = await until('the appliance learns airlock.open', async () => { const response = await fetch(`${url}/mtor-appliance/catalogue?realm=f1000001`); const body = response.ok ? await response.json() : undefined; return body?.types.some(({ type }) => type === 'airlock.open') ? body : undefined }, runtime)
  done('the appliance has learned airlock.open from it, and tells the editor', startedMs)
  check('the editor shows who carries it out, and how it is said', catalogue.types.some(({ type, by, examples }) => type === 'airlock.open' && by === 'flow' && examples.length > 0), catalogue.types.find(({ type }) => type === 'airlock.open'))

  startedMs = performance.now()
  const event = await submit(brokerPort, 'airlock.open', { side: 'starboard' })
  check('an intent that a program submits is carried out by the flow', event.state === 'succeeded' && event.say === 'The starboard airlock is open.' && event.data?.opened === true, event)
  const spoken = await mtor('say', 'open the port airlock')
  check('the sentence is understood, and the flow answers: "The port airlock is open."', spoken.includes('The port airlock is open.'), spoken)
}

/** Submits as any MQTT client may, and waits for the end. */
async function submit(port, type, slots) {
  const script = `import mqtt from ${JSON.stringify(join(root, 'node_modules/mqtt/build/index.js'))}
import { uuidv7 } from ${JSON.stringify(join(root, 'appliance/contracts/ids.ts'))}
const client = await mqtt.connectAsync('mqtt://127.0.0.1:${port}', { clientId: 'try-package', username: 'nodes', password: ${JSON.stringify(PASSWORD)} })
const id = uuidv7(), topic = 'mtor/1/lab/intent/'
await client.subscribeAsync([topic + id + '/receipt', topic + id + '/event'], { qos: 1 })
client.on('message', (from, payload) => {
  const message = JSON.parse(payload)
  if (message.accepted === false || ['succeeded', 'failed', 'expired', 'aborted'].includes(message.state)) { console.log(JSON.stringify(message)); client.end() }
})
client.publish(topic + 'submit', JSON.stringify({ v: 1, id, type: ${JSON.stringify(type)}, slots: ${JSON.stringify(slots)}, source: { kind: 'mqtt', node: 'try' }, issuedAt: { boot: 0, mono: performance.now(), wall: Date.now() }, ttlMs: 10000, priority: 5 }), { qos: 1 })`
  return JSON.parse(await run(node24, ['--no-warnings', '--input-type=module', '-e', script]))
}

try {
  await tryPackage()
  say('The package works in a Node-RED of its own.')
} catch (error) {
  failed(error.message)
  process.exitCode = 1
} finally {
  for (const { child } of children) child.kill('SIGTERM')
  const late = setTimeout(() => { for (const { child } of children) child.kill('SIGKILL') }, 10_000)
  await Promise.all(children.map(({ ended }) => ended))
  clearTimeout(late)
  if (process.argv.includes('--keep')) say(`kept: ${folder}`); else rmSync(folder, { recursive: true, force: true })
}
