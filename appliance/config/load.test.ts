import test from 'ava'
import fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { MtorError } from '../contracts/errors.ts'
import { inRunDir, inStateDir, loadConfig, makeConfig } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'mtor-config-'))
test.after.always(() => rmSync(folder, { recursive: true }))
let files = 0
const fileOf = (text: string | Uint8Array) => { const file = join(folder, `${files++}.yaml`); writeFileSync(file, text); return file }

/** The CONFIG_INVALID that `make` must throw. */
function refusal(make: () => unknown): MtorError {
  try { make() } catch (error) { if (error instanceof MtorError && error.code === 'CONFIG_INVALID') return error; throw error }
  throw new MtorError('INTERNAL', 'the configuration was taken')
}

test('without a file everything has its default, and the node is named after the host', (t) => {
  const config = loadConfig(undefined)
  t.is(config.realm, 'home')
  t.regex(config.node, /^[a-z0-9][a-z0-9-]{0,62}$/)
  t.is(config.bus.limits.maxPacketBytes, 65_536)
  t.is(config.speech.speak.voice, 'rms')
  t.deepEqual(config.devices.map(({ id, port }) => [id, port]), [['rover', 'simulated']])
  t.false(config.speech.keepAudio.enabled)
  t.true(config.bus.drainTimeoutMs <= 500)
  t.true(config.bus.listeners.every(({ host }) => host === '127.0.0.1'))
})

test('an empty file and a file of comments are the same as none', (t) => {
  t.is(loadConfig(fileOf('')).realm, 'home')
  t.is(loadConfig(fileOf('# nothing\n---\n')).realm, 'home')
})

test('what is given stays, what is left out is filled in, in lists too', (t) => {
  const config = loadConfig(fileOf('realm: mars\nbus:\n  listeners: [{ kind: tcp, port: 0 }]\n  limits: { maxConnections: 3 }\ndevices:\n  - { id: left, driver: rover, port: /dev/ttyUSB0 }\n'))
  t.is(config.realm, 'mars')
  t.deepEqual(config.bus.listeners, [{ kind: 'tcp', host: '127.0.0.1', port: 0 }])
  t.is(config.bus.limits.maxConnections, 3)
  t.is(config.bus.limits.burst, 40_000)
  t.is(config.devices[0]?.baudRate, 115_200)
  t.is('tls' in config.bus.listeners[0]!, false, 'an optional part is not conjured up')
})

test('paths are relative to the folder of the file; absolute ones stay', (t) => {
  const config = loadConfig(fileOf('stateDir: data\n'))
  t.is(config.stateDir, join(folder, 'data'))
  t.is(config.runDir, join(folder, 'data', 'run'))
  t.is(inStateDir(config, 'journal.sqlite'), join(folder, 'data', 'journal.sqlite'))
  t.is(inRunDir(config, '/run/mtor/stop.sock'), '/run/mtor/stop.sock')
})

test('one configuration made from defaults shares nothing with the next', (t) => {
  makeConfig({}).devices.push({ id: 'x', driver: 'rover', port: 'simulated', baudRate: 9600 })
  t.is(makeConfig({}).devices.length, 1)
})

const mistakes: [string, string, RegExp][] = [
  ['an unknown key', 'colour: red', /colour/],
  ['an unknown key deep inside', 'bus: { limits: { maxPackets: 3 } }', /bus\/limits.*maxPackets/],
  ['a number out of range', 'bus: { drainTimeoutMs: 501 }', /bus\/drainTimeoutMs/],
  ['text where a number belongs', 'journal: { maxFinished: many }', /journal\/maxFinished/],
  ['a value that is none of the choices', 'guard: { initialMode: wild }', /guard\/initialMode/],
  ['a list where a part belongs', 'bus: []', /\/bus/],
  ['nothing where a list belongs', 'devices:', /devices/],
  ['a list item without what it needs', 'devices: [{ id: rover, driver: rover }]', /devices\/0.*port/],
  ['an item of a list that is wrong', 'bus: { clients: [{ username: ada, role: king }] }', /bus\/clients\/0\/role/],
  ['a realm that would break topics', 'realm: "a/+"', /realm/],
  ['two devices with one id', 'devices: [{ id: a, driver: rover, port: simulated }, { id: a, driver: rover, port: simulated }]', /id a/],
  ['a list instead of a configuration', '[1, 2]', /configuration|object/],
  ['a bare word instead of a configuration', 'hello', /object/],
  ['broken YAML', 'bus: {', /line 1|at line/],
  ['a key given twice', 'realm: a\nrealm: b', /unique/],
]
for (const [what, text, said] of mistakes) {
  test(`${what} is CONFIG_INVALID, with the file and the key`, (t) => {
    const file = fileOf(text)
    const { message } = refusal(() => loadConfig(file))
    t.true(message.startsWith(file), message)
    t.regex(message, said)
  })
}

test('a file that is not there, or is a folder, is CONFIG_INVALID', (t) => {
  t.regex(refusal(() => loadConfig(join(folder, 'none.yaml'))).message, /ENOENT/)
  t.regex(refusal(() => loadConfig(folder)).message, /EISDIR/)
})

test('a YAML bomb of aliases is refused, not unfolded', (t) => {
  const levels = ['a: &a [x, x, x, x, x, x, x, x, x]', ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${new Array(9).fill(`*${'abcdefgh'[i]}`).join(', ')}]`)]
  const before = process.memoryUsage().heapUsed
  t.regex(refusal(() => loadConfig(fileOf(levels.join('\n')))).message, /alias/i)
  t.true(process.memoryUsage().heapUsed - before < 100e6)
})

test('keys of Object.prototype do no harm', (t) => {
  refusal(() => loadConfig(fileOf('__proto__: { polluted: true }')))
  refusal(() => makeConfig(JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}')))
  t.false('polluted' in {})
})

test('any value, as YAML, is either a configuration or CONFIG_INVALID', (t) => {
  const keys = Object.keys(makeConfig({}))
  const part = fc.dictionary(fc.constantFrom('limits', 'listeners', 'enabled', 'engine', 'speak', 'file', '__proto__', 'x'), fc.jsonValue(), { maxKeys: 3 })
  fc.assert(fc.property(fc.dictionary(fc.constantFrom(...keys, 'x'), fc.oneof(part, fc.jsonValue()), { maxKeys: 4 }), (value) => {
    const file = fileOf(stringify(value))
    try { loadConfig(file) } catch (error) { if (!(error instanceof MtorError) || error.code !== 'CONFIG_INVALID') throw error }
  }), { numRuns: 200 })
  t.truthy(makeConfig({}))
})

test('any bytes are either a configuration or CONFIG_INVALID', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try { loadConfig(fileOf(bytes)) } catch (error) { if (!(error instanceof MtorError) || error.code !== 'CONFIG_INVALID') throw error }
  }), { numRuns: 200 })
  t.truthy(makeConfig({}))
})

test('a configuration with bytes changed is either still one or CONFIG_INVALID', (t) => {
  const text = Buffer.from('realm: home\nbus:\n  limits: { maxConnections: 10, maxPacketBytes: 4096 }\ndevices:\n  - { id: rover, driver: rover, port: simulated }\nsequences: { dance: [{ type: drive.turn, slots: { angleDeg: 90 } }] }\n')
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }), (changes) => {
    const changed = Buffer.from(text)
    for (const [at, byte] of changes) changed[at] = byte
    try { loadConfig(fileOf(changed)) } catch (error) { if (!(error instanceof MtorError) || error.code !== 'CONFIG_INVALID') throw error }
  }), { numRuns: 300 })
  t.truthy(loadConfig(fileOf(text)))
})

test('a run folder too deep for the path of a UNIX socket is refused with what to do', (t) => {
  const error = t.throws(() => makeConfig({ runDir: `/run/${'x'.repeat(90)}` }), { instanceOf: MtorError }) as MtorError
  t.is(error.code, 'CONFIG_INVALID')
  t.regex(error.message, /runDir is too long/)
  t.regex(error.hint, /runDir/)
  t.notThrows(() => makeConfig({ runDir: `/run/${'x'.repeat(80)}` }))
})
