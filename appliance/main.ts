import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FlowsHost, flowRoutes, PROBE_TYPE, withLocalListener } from '../flows/runtime/index.ts'
import { Bus } from './bus/index.ts'
import { inRunDir, inStateDir, loadConfig, PROJECT_DIR } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { bootId, systemClock as clock } from './contracts/clock.ts'
import type { Envelope } from './contracts/envelope.ts'
import { MtorError, toMtorError } from './contracts/errors.ts'
import { Hub } from './contracts/hub.ts'
import { isHazardous } from './contracts/intents.ts'
import { topicsOf } from './contracts/topics.ts'
import { Devices } from './devices.ts'
import { Admission, Dispatcher, endUntoldWhenBack, Handlers, IntentService, recover } from './dispatch/index.ts'
import { realmCatalogue } from './gateway/catalogue.ts'
import { ControlServer } from './gateway/control.ts'
import { Dialects } from './gateway/dialects/index.ts'
import { Feed } from './gateway/feed.ts'
import { FactLog } from './gateway/log.ts'
import { controlRoutes } from './gateway/routes.ts'
import { Screen } from './gateway/screen.ts'
import { Status } from './gateway/status.ts'
import { table } from './gateway/table.ts'
import { EmergencyStop } from './guard/emergency-stop.ts'
import { lockFolder } from './guard/folder-lock.ts'
import type { RunFile } from './guard/last-resort.ts'
import { Guard } from './guard/mode.ts'
import { StopSocket } from './guard/stop-socket.ts'
import { thermalZones } from './inference/governor/index.ts'
import { inferenceRoutes } from './inference/index.ts'
import { SqliteJournal, type Journal } from './journal/index.ts'
import { Parts, seconds } from './parts.ts'
import { OneBus } from './realm/bus/index.ts'
import { RealmEar } from './realm/ear/index.ts'
import { deviceRoutes } from './realm/ownership/routes.ts'
import { Together } from './realm/together.ts'
import { upgradeRoutes } from './realm/upgrade/routes.ts'
import { memberNames, Realm, realmRoutes } from './realm/index.ts'
import { isNotFitted, makeSkills } from './skills/index.ts'
import { Conversation } from './speech/conversation.ts'
import { firstLight, knownUtterance } from './speech/first-light.ts'
import { SpeechHost } from './speech/host.ts'
import { makeLessons } from './speech/lessons.ts'
import type { FromSpeech } from './speech/messages.ts'
import { synthesise } from './speech/speak/index.ts'
import { handleText } from './speech/wyoming/handle.ts'
import { Thinking } from './thinking.ts'
import { Asking, Dialogue, Understander } from './understand/index.ts'

/** The composition root: reads the configuration, builds the parts, starts them in order, stops them in reverse. */
const USAGE = `Usage: npm start -- [options]
  --config FILE      configuration (YAML); without it: a simulated rover, everything on loopback
  --no-first-light   do not play the known utterance through the whole chain before "ready"
  --help             this text
Keys while it runs in a terminal: space, s or Esc = EMERGENCY STOP; q or Ctrl-C = end.`

function flagsOf() {
  try { return parseArgs({ options: { config: { type: 'string' }, 'no-first-light': { type: 'boolean' }, help: { type: 'boolean' } } }).values } catch (error) {
    console.error(`mtor: USAGE: ${(error as Error).message}\n${USAGE}`)
    process.exit(2)
  }
}
const flags = flagsOf()
if (flags.help) { console.log(USAGE); process.exit(0) }

const startedMs = performance.now()
const parts = new Parts()
const part = parts.start.bind(parts)
const end = parts.end.bind(parts)
let signals = 0
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => { if (++signals > 2) process.exit(130); void end(0) })
// What nobody expected: the wheels are halted and everything is closed in order rather than left as it is.
for (const fault of ['unhandledRejection', 'uncaughtException'] as const) process.on(fault, (error: unknown) => { console.error(`INTERNAL: ${String(error instanceof Error ? error.stack : error)}`); void end(1) })
// A console that goes away (a closed pipe or terminal) is no reason to stop working.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

async function main(config: Config): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(PROJECT_DIR, 'package.json'), 'utf8')) as { version: string }
  // A member keeps the name it joined with, whatever its host is called now.
  const member = memberNames(config.stateDir)
  Object.assign(config, member)
  console.log(`MTOR appliance ${version}: node ${config.node} of realm ${config.realm}`)
  for (const folder of new Set([config.stateDir, config.runDir])) lockFolder(folder)
  const hub = new Hub(clock, config.node)
  const feed = new Feed()
  const log = new FactLog(join(config.stateDir, 'log', 'mtor.log'), config.log.level)
  feed.start(hub)
  log.start(hub)
  parts.add('log', () => { feed.stop(); log.stop() })

  const realm = member && await Realm.open({ stateDir: config.stateDir, config: config.peers, clock, hub, version })
  if (realm) await part(`links to the realm (port ${config.peers.port})`, () => realm.start(), () => realm.stop())

  // The speech process loads its models while the rest starts.
  const stop = new EmergencyStop(hub)
  const oneBus = realm && new OneBus({ membership: realm.membership, peers: realm.peers, clock, hub, stop })
  oneBus?.start()
  parts.add('one bus', () => oneBus?.stop())
  let conversation: Conversation | undefined
  let thinking: Thinking | undefined
  const sequenceNames = Object.keys(config.sequences)
  const heard = (message: FromSpeech) => conversation?.onSpeech(message)
  let isStop = (_text: string) => false
  const ear = realm && new RealmEar({ peers: realm.peers, clock, hub, pass: heard, forget: () => host?.forget(), isStop: (text) => isStop(text) })
  ear?.start()
  parts.add('one ear', () => ear?.stop())
  const host: SpeechHost | undefined = config.speech.enabled ? new SpeechHost({
    config: config.speech, understand: config.understand, sequences: sequenceNames, stateDir: config.stateDir, runDir: config.runDir, clock, hub,
    models: { modelsDir: config.inference.modelsDir, ...(config.inference.copyDir === undefined ? {} : { copyDir: config.inference.copyDir }) },
    onMessage: (message) => ear ? ear.hear(message) : heard(message), onExpectAnswer: (forMs) => ear?.keep(forMs),
    synthesise: (text, file) => thinking?.voice?.synthesise(text, file) ?? Promise.resolve(false),
    wyoming: { ...config.dialects.wyoming, node: config.node, version }, handle: async (text) => conversation ? handleText(text, { conversation, clock }) : { ok: false, text: '' },
  }) : undefined
  if (!host && config.dialects.wyoming.enabled) hub.system({ severity: 'warning', component: 'speech', name: 'wyoming.failed', code: 'SPEECH_DOWN', message: 'Wyoming is on, but speech is off: the port is not opened' })
  await host?.start()
  parts.add('speech', () => host?.stop())

  const own = new SqliteJournal({ file: inStateDir(config, config.journal.file), clock, maxFinished: config.journal.maxFinished, archiveMaxBytes: config.journal.archiveMaxBytes, onEvent: (event) => hub.system(event) })
  const together = realm && new Together({ realm, config, clock, hub, local: own })
  if (together) await part('etcd', () => together.consensus.start(), () => together.consensus.stop())
  // While etcd elects: it keeps this thread busy, and a lease would not be renewed meanwhile.
  const understander = await part('sentence templates', () => Understander.load({ directories: config.understand.directories, sequences: sequenceNames, cacheDirectory: join(config.stateDir, 'cache') }), (loaded) => loaded.stop())
  isStop = (text) => understander.match(text).type === 'stop'
  const journal: Journal = await part('journal', async () => {
    const opened = together?.journal ?? own
    await opened.start()
    hub.boot = await opened.boot(bootId())
    return opened
  }, (opened) => opened.stop())

  const guard = new Guard({ hub, clock, values: journal, arming: config.guard.arming, initialMode: config.guard.initialMode })
  await guard.start()

  parts.add('ownership of devices', () => together?.ownership.stop())
  const devices = new Devices({ config, hub, clock, journal, parts, ...(together ? { ownership: together.ownership } : {}) })
  const { drivers } = devices
  const runFile: RunFile = { pid: process.pid, devices: [] }
  for (const device of realm?.role === 'witness' ? [] : config.devices) {
    await part(`device ${device.id} (${device.port})`, async () => {
      const { driver, port } = await devices.start(device)
      stop.addDriver(driver)
      runFile.devices.push({ id: device.id, driver: device.driver, port })
    })
  }
  const runFilePath = inRunDir(config, 'appliance.json')
  writeFileSync(`${runFilePath}.new`, JSON.stringify(runFile))
  renameSync(`${runFilePath}.new`, runFilePath)
  const stopSocket = new StopSocket(inRunDir(config, config.guard.stopSocket), stop)
  await part('emergency stop', () => stopSocket.start(), () => stopSocket.stop())

  const topics = topicsOf(config.realm)
  const handlers = new Handlers({
    hub, clock, topics, values: journal, publish: (topic, payload, options) => bus.publish(topic, payload, options), isVacant: isNotFitted,
    ...makeLessons({ understander, host, hub }),
  })
  await handlers.start()
  parts.add('handlers', () => handlers.stop())
  // Node-RED's own identity on the bus: its password is of this start only.
  const flowsClient = { username: 'mtor-flows', password: randomBytes(24).toString('base64url'), role: 'flow' as const }
  const flows = config.flows.enabled ? new FlowsHost({
    config: config.flows, bus: config.bus, realm: config.realm, node: config.node, stateDir: config.stateDir, framesDir: inStateDir(config, config.vision.framesDir), hub, clock, values: journal, client: flowsClient, addresses: () => bus.addresses(), handlers,
    probe: async (nonce, timeoutMs) => { if ((await handlers.probe(PROBE_TYPE, { nonce }, timeoutMs)).data?.nonce !== nonce) throw new MtorError('FLOW_INVALID', 'the probe flow answered something else') },
  }) : undefined
  if (flows) await part('store of flows', () => flows.open())
  const minds = thinking = new Thinking({ config, hub, clock, values: journal, speech: host, ...(realm ? { peers: realm.peers } : {}) })
  await part('models and eyes', () => minds.start(), () => minds.stop())
  const skills = makeSkills({
    clock, node: config.node, now: () => hub.now(), stateDir: config.stateDir, values: journal,
    deviceState: (kind) => { const driver = drivers.find((d) => d.kind === kind); return driver && { id: driver.id, state: driver.state() as never } },
    nodes: () => [{ node: config.node, online: true, mode: guard.mode, devices: Object.fromEntries(drivers.map((d) => [d.id, d.connected ? 'connected' : 'lost'])) }, ...realm?.peers.list().map(({ node, online }) => ({ node, online })) ?? []],
    guard, eyes: minds.eyes, thermalZones: () => thermalZones(config.governor.thermalDir), sequences: config.sequences as never,
    canceller: { cancel: async (source, exceptId) => {
      const theirs = (e: Envelope) => e.id !== exceptId && e.source.kind === source.kind && e.source.operator === source.operator
      return [...dispatcher.cancel(theirs), ...together?.work.cancelAll(theirs) ?? []].map((e) => e.type)
    } },
    children: {
      run: (type, slots, parent, signal) => {
        // Its steps are what was confirmed with the sequence.
        const child = service.envelope(type, slots, { kind: 'sequence', ...(parent.source.operator ? { operator: parent.source.operator } : {}) }, { confirmed: true })
        return service.run(child, { client: 'sequence', role: 'operator', kind: 'sequence' }, signal)
      },
    },
    voice: { say: (text, options) => conversation!.speak(text, options), ask: (question, signal) => asking.ask({ timeoutMs: config.speech.answerWindowMs, ...question }, signal) },
    examples: () => understander.types(), lastSpoken: () => conversation?.lastSaid, announce: (text) => { hub.system({ severity: 'info', component: 'timer', name: 'announced', message: text, say: text }) },
  })
  const dispatcher = new Dispatcher({
    journal, hub, clock, guard, skills, handlers, drivers, concurrency: config.dispatch.concurrency, retryBaseMs: config.dispatch.retryBaseMs,
    epochOf: (device) => devices.epochOf(device), renewEpoch: (device) => devices.takeCommand(device),
    ...(together ? {
      isOurs: (job) => together.work.isOurs(job), onLeft: (job) => together.work.left(job), onTakenAway: (id, reason) => together.work.takenAway(id, reason),
      certain: (device) => together.ownership.certain(device),
    } : {}),
  })
  stop.afterwards((reason) => { dispatcher.abortActuations(reason); together?.work.abortActuations(reason) })
  const admission = new Admission({ clock, guard, here: () => ({ node: hub.node, boot: hub.boot }), replayed: async (envelope) => await journal.get(envelope.id) !== undefined })
  const service: IntentService = new IntentService({ admission, journal, dispatcher, stop, hub, clock, maxUnfinished: config.dispatch.maxUnfinished, ...(together ? { elsewhere: together.elsewhere, serveUnjournalled: true } : {}) })
  // A box that is silent, by configuration, tells its questions as events and is answered by what is typed.
  const speaks = host !== undefined && config.speech.speak.engine !== 'none' && config.speech.speak.device !== 'none'
  const asking: Asking = new Asking({ clock, hub, mouth: { speaks, say: (text) => conversation!.speak(text), listen: (forMs, form) => host?.expectAnswer(forMs, form), free: () => dialogue.closed('voice') } })
  const dialogue: Dialogue = new Dialogue({ understander, clock, answerTimeoutMs: config.understand.answerTimeoutMs, isHazardous, proposals: config.understand.proposals, readBack: config.understand.readBack, asking })
  parts.add('dialogue', () => dialogue.stop())
  // Wherever a stop comes from: what was asked before it is not answered after it.
  stop.afterwards(() => dialogue.stop())
  stop.afterwards(() => asking.stopped())
  conversation = new Conversation({ dialogue, service, hub, clock, voice: () => host, answerWindowMs: config.speech.answerWindowMs, asking, speaks, ...(minds.ears ? { betterEars: (message) => minds.ears!.hear(message) } : {}) })
  hub.onSystem((event) => { if (event.say && event.severity !== 'debug') conversation?.announce(event.say) })
  await part('skills', () => Promise.all(skills.map((skill) => skill.start?.())), () => Promise.all(skills.map((skill) => skill.stop?.())))
  // Stopped in reverse: what runs is halted on its device and ends as INTERRUPTED, while the journal still takes it; then the devices go.
  parts.add('devices', () => devices.stop())
  dispatcher.start()
  together?.begin({ dispatcher, drivers })
  parts.add('work of the realm', () => together?.stop())
  parts.add('dispatch', () => dispatcher.stop())
  if (!together) void recover({ journal, dispatcher, drivers, hub, clock, reachable: (device) => devices.reached(device) })
    .catch((error: unknown) => hub.system({ severity: 'error', component: 'dispatch', name: 'recovery.failed', code: toMtorError(error).code, message: toMtorError(error).message }))

  endUntoldWhenBack({ journal, dispatcher, hub, ...(together ? { unfinished: () => together.work.unfinishedHere() } : {}) })

  const dialects = new Dialects({
    config, version, values: journal, hub, clock, topics, service, conversation, understander, expectAnswer: (forMs) => host?.expectAnswer(forMs),
    bus: { publish: (topic, payload, options) => bus.publish(topic, payload, options), subscribe: (filter, listener, options) => bus.subscribe(filter, listener, options) },
  })
  await dialects.prepare()
  const bus: Bus = new Bus({
    config: flows ? { ...config.bus, listeners: withLocalListener(config.bus.listeners) } : config.bus, internal: [flowsClient], realm: config.realm, node: config.node, stateDir: config.stateDir, hub, clock,
    submit: (envelope, identity) => service.submit(envelope, identity), emergencyStop: (reason) => stop.trigger(reason), handlers, foreign: dialects.foreign, ...(oneBus ? { mesh: oneBus.mesh } : {}),
    deviceCommand: (device, payload, { client, role, kind }) => service.submit(service.envelope('device.command', { device, ...payload as Record<string, unknown> }, { kind, operator: client.slice(0, 64) }), { client, role, kind }),
  })
  oneBus?.join(bus)
  await part('bus', () => bus.start(), () => bus.stop())
  const tellCatalogue = () => bus.publish(topics.catalogue, realmCatalogue({ hub, drivers, examples: () => understander.types(), handlers, isVacant: isNotFitted }), { retain: true, qos: 1 })
  handlers.onChange(tellCatalogue)
  tellCatalogue()
  minds.publish((provider) => bus.publish(topics.inferenceProvider(provider.model), provider, { retain: true }))
  minds.workers?.publish((kind, told) => bus.publish(kind === 'offer' ? topics.workerOffer(told.node) : topics.workerHealth(told.node), told, { retain: true }))
  if (dialects.active) await part('dialects', () => dialects.start(), () => dialects.stop())
  const status = new Status({
    version, hub, journal, guard, dispatcher, service, drivers, topics, speech: () => ({ state: 'off', ...host?.status() }),
    bus: () => ({ ...bus.stats(), ...(oneBus ? { peers: oneBus.stats() } : {}), listening: bus.addresses().map((a) => `${a.kind}${a.tls ? '+tls' : ''}://${a.host}:${a.port}`) }),
    ...(realm ? { realm: () => { const { protocol, schema, envelope } = realm.versions; return { role: realm.role, protocol, schema, envelope } } } : {}),
    ...(together && oneBus ? { ownership: together.devices(oneBus.mesh) } : {}),
    publish: (topic, payload, options) => bus.publish(topic, payload, options), record: (values) => minds.record(values),
    more: () => ({ ...minds.summary(), flows: flows?.status() ?? { state: 'off' } }),
  })
  status.start()
  parts.add('status', () => status.stop())
  const control = new ControlServer(inRunDir(config, 'control.sock'), {
    ...realmRoutes({ realm, stateDir: config.stateDir, node: config.node, version, config: config.peers }),
    ...upgradeRoutes({ realm, together }),
    ...deviceRoutes({ node: config.node, ownership: together?.ownership, own: () => drivers.map(({ id, kind, connected }) => ({ id, kind, connected, epoch: devices.epochOf(id) })) }),
    ...flowRoutes(flows, () => handlers.declared().flatMap(({ client, intent }) => client.startsWith(`flows-${config.node}`) ? [] : [intent.type])),
    ...inferenceRoutes({ inference: minds.inference, anywhere: minds.workers, status: () => minds.status() }),
    ...controlRoutes({
      hub, journal, service, conversation, feed, status: () => status.snapshot(), types: () => understander.types(), handlers,
      ears: host && { listen: (file, signal) => host.listen(file, signal), capture: (device) => host.capture(device ?? config.speech.device) },
    }),
  })
  await part('control socket', () => control.start(), () => control.stop())
  parts.add('new requests', () => service.close())

  const spoken = host ? await part('speech', () => host.ready().then((r) => r, (error: unknown) => { console.log(`✗ speech: ${toMtorError(error).message}`); return undefined })) : undefined
  if (spoken) console.log(`  ${spoken.engine}, models loaded in ${(spoken.loadMs / 1000).toFixed(1)} s`)
  let light = true
  if (host && spoken && !flags['no-first-light']) light = await showFirstLight(config, hub, host, knownUtterance(config.devices.find((d) => d.id === dispatcher.deviceFor('drive.move')), guard.refusal('drive.move')))
  const screen = new Screen({ stop: (reason) => stop.trigger(reason), quit: () => { void end(0) } })
  const device = host?.status().device
  console.log(`${light ? 'ready' : 'ready, but first light failed'} after ${seconds(startedMs)}; ${!host ? 'speech is off' : device ? `listening to ${device}: say “Computer, …”` : 'no microphone here: use mtor say "…" or mtor listen FILE.wav'}`)
  if (screen.hasKeys) console.log('Space, s or Esc stops everything that moves; q or Ctrl-C ends.')
  screen.start(hub)
  parts.add('screen', () => screen.stop())
  // Last, so that nothing else waits for it.
  if (flows && !parts.ending) {
    flows.start()
    parts.add('flows', () => flows.stop())
    void flows.ready().then(({ url, startMs = 0, rssMB = 0 }) => { console.log(`✓ flows: ${url ?? ''} ready ${(startMs / 1000).toFixed(1)} s later, ${rssMB} MB`) })
  }
}

/** The known utterance goes through the whole chain; prints its timeline. */
async function showFirstLight(config: Config, hub: Hub, host: SpeechHost, { sentence, type }: ReturnType<typeof knownUtterance>): Promise<boolean> {
  console.log(`First light: “Computer, ${sentence}” through the whole chain …`)
  const file = join(config.stateDir, `first-light-${type}.wav`)
  try {
    await synthesise(`computer. ${sentence}`, file)
    const result = await firstLight({ hub, clock, listen: (f) => host.listen(f), file, expectedType: type, timeoutMs: 25_000 })
    if (result.stages.length) console.log(table(result.stages.map((s) => [`  ${s.stage}`, s.ms.toFixed(1), s.sinceEndOfSpeechMs.toFixed(1)]), ['  stage', 'ms', 'ms since end of speech']))
    if (!result.ok) console.log(`✗ first light: ${result.message ?? 'failed'}`)
    return result.ok
  } catch (error) {
    console.log(`✗ first light: ${toMtorError(error).message}`)
    return false
  }
}

try {
  await main(loadConfig(flags.config ?? process.env.MTOR_CONFIG))
} catch (thrown) {
  // While it is being ended, a part that fails for want of another is no news.
  if (parts.ending) await parts.ending
  const error = toMtorError(thrown)
  console.error(`mtor: ${error.code}: ${error.message}\n  ${error.hint}`)
  if (error.code === 'INTERNAL' && thrown instanceof Error) console.error(thrown.stack)
  await end(error.code === 'CONFIG_INVALID' ? 2 : 1)
}
