import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { RoverDriver, SimulatorProcess } from '../../../drivers/rover/index.ts'
import { makeConfig } from '../../config/load.ts'
import type { RealmModeConfig } from '../../config/schema.ts'
import { systemClock as clock } from '../../contracts/clock.ts'
import type { IntentEvent } from '../../contracts/events.ts'
import type { Identity } from '../../contracts/intents.ts'
import { Admission, Dispatcher, endUntoldWhenBack, IntentService } from '../../dispatch/index.ts'
import { EmergencyStop } from '../../guard/emergency-stop.ts'
import { Guard } from '../../guard/mode.ts'
import { EtcdJournal, type EtcdJournalOptions } from '../../journal/etcd/index.ts'
import type { TestEtcd } from '../../journal/etcd/harness.ts'
import { SqliteJournal } from '../../journal/index.ts'
import { makeDriveSkill } from '../../skills/drive.ts'
import { makeLightSkill } from '../../skills/light.ts'
import type { Skill, SkillContext, SkillResult } from '../../skills/port.ts'
import { DeviceOwnership } from '../ownership/index.ts'
import { startNode, temporary, type TestNode } from '../testing.ts'
import { RealmJournal, Work } from './index.ts'

export const operator: Identity = { client: 'test', role: 'operator', kind: 'cli' }

/** A rover with a line for each name; ended with the test. */
export async function rover(t: ExecutionContext, lines: readonly string[]): Promise<SimulatorProcess & { lineOf(name: string): string }> {
  const folder = await temporary(t)
  const [first, ...more] = lines.map((name) => join(folder, name))
  const simulator = new SimulatorProcess({ link: first!, moreLinks: more, speedFactor: 5 })
  t.teardown(() => simulator.stop())
  await simulator.start()
  return Object.assign(simulator, { lineOf: (name: string) => join(folder, name) })
}

export interface WorkNode extends TestNode {
  journal: RealmJournal; ownership: DeviceOwnership; dispatcher: Dispatcher; service: IntentService; work: Work; stop: EmergencyStop; driver: RoverDriver | undefined
  told: IntentEvent[]
  /** What the skill of time.tell and timer.set does; left out: it succeeds. */
  runs: Map<string, (context: SkillContext) => Promise<SkillResult>>
  /** Everything of it ends, in order. */
  end(): Promise<void>
}

export interface WorkNodeOptions { at?: TestNode; line?: string; realm: string; mode?: Partial<RealmModeConfig>; etcd?: Partial<EtcdJournalOptions> }

/** A node of a realm in this process: real links, etcd, SQLite, driver. Only the models are missing. */
export async function workNode(t: ExecutionContext, etcd: TestEtcd, node: string, { at, line, realm, mode, etcd: more }: WorkNodeOptions): Promise<WorkNode> {
  const base = await startNode(t, node, { realm, ...(at ? { at } : {}) })
  const { hub, peers } = base
  const folder = await temporary(t)
  const config = { ...makeConfig({}).realmMode, ...mode }
  const local = new SqliteJournal({ file: join(folder, 'journal.sqlite'), clock, maxFinished: 1_000, archiveMaxBytes: 1e7, onEvent: (event) => { hub.system(event) } })
  const journal = new RealmJournal({ local, clock, startWaitMs: config.startWaitMs, onEvent: (event) => { hub.system(event) }, make: (onEvent) => new EtcdJournal(etcd.options({ realm, node, onEvent, ...more })) })
  const runs: WorkNode['runs'] = new Map()
  const scripted: Skill = { name: 'scripted', types: ['time.tell', 'timer.set', 'stop'], run: async (context) => await runs.get(context.intent.type)?.(context) ?? { say: `Done by ${node}.` } }
  const guard = new Guard({ hub, clock, values: local, arming: 'automatic', initialMode: 'normal' })
  let work: Work | undefined
  let dispatcher: Dispatcher | undefined
  const ownership = new DeviceOwnership({
    realm, node, clock, hub, config, peers, onCommand: (device) => { void work?.commands(device) }, localEpoch: (device, above) => local.nextEpoch(device, above),
    busy: { idle: async (device, _, timeoutMs) => await dispatcher?.idle(device, timeoutMs) ?? true },
  })
  const changed = () => { setImmediate(() => ownership.lineChanged('rover')) }
  const driver = line === undefined ? undefined : new RoverDriver({ id: 'rover', port: line, clock, mayCommand: () => ownership.mayCommand('rover'), events: { connected: changed, lost: changed, notice: (_, name) => { if (name === 'epoch.refused') changed() } } })
  const drivers = driver ? [driver] : []
  dispatcher = new Dispatcher({ journal, hub, clock, guard, skills: [makeDriveSkill(), makeLightSkill(), scripted], drivers, epochOf: (device) => ownership.epochOf(device), renewEpoch: (device) => ownership.renew(device), concurrency: 8, retryBaseMs: 10, isOurs: (job) => work!.isOurs(job), onLeft: (job) => work!.left(job), onTakenAway: (id, reason) => work!.takenAway(id, reason), certain: (device) => ownership.certain(device) })
  work = new Work({ node, journal, ownership, dispatcher, drivers, peers, hub, clock })
  const stop = new EmergencyStop(hub)
  if (driver) stop.addDriver(driver)
  stop.afterwards((reason) => { dispatcher.abortActuations(reason); work.abortActuations(reason) })
  const admission = new Admission({ clock, guard, here: () => ({ node, boot: hub.boot }), replayed: async (envelope) => await journal.get(envelope.id) !== undefined })
  const service = new IntentService({ admission, journal, dispatcher, stop, hub, clock, maxUnfinished: 1_000, elsewhere: work, serveUnjournalled: true })
  journal.standsAlone = (envelope) => work.standsAlone(envelope)
  const told: IntentEvent[] = []
  hub.onIntent((event) => { told.push(event) })
  let ended = false
  const end = async () => {
    if (ended) return
    ended = true
    await dispatcher.stop()
    work.stop()
    await driver?.stop()
    await ownership.stop()
    await journal.stop()
    await peers.stop()
  }
  t.teardown(end)
  journal.onUp(async (shared) => { hub.boot = await shared.boot(`boot of ${node}`) })
  journal.onUp((shared) => ownership.attach(shared))
  await journal.start()
  await driver?.start()
  if (driver) ownership.add(driver)
  dispatcher.start()
  work.start()
  endUntoldWhenBack({ journal, dispatcher, hub, unfinished: () => work.unfinishedHere() })
  return { ...base, journal, ownership, dispatcher, service, work, stop, driver, told, runs, end }
}

export async function until(what: () => boolean | Promise<boolean>): Promise<void> { while (!await what()) await sleep(10) }
/** The events of one intent that say how far it is, without progress. */
export const statesOf = (node: WorkNode, id: string) => node.told.filter((event) => event.id === id && event.state !== 'progress').map(({ state }) => state)
