/**
 * One server under measurement, in a process of its own: `node bench/bus/server.ts bus|aedes FOLDER`.
 * Says its port in one line of JSON; ends when its standard input does.
 */
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Aedes } from 'aedes'
import { Bus } from '../../appliance/bus/index.ts'
import { makeConfig } from '../../appliance/config/load.ts'
import { systemClock } from '../../appliance/contracts/clock.ts'
import { Envelope, PROTOCOL_VERSION } from '../../appliance/contracts/envelope.ts'
import { toMtorError } from '../../appliance/contracts/errors.ts'
import { Hub } from '../../appliance/contracts/hub.ts'
import type { Identity } from '../../appliance/contracts/intents.ts'
import { validator } from '../../appliance/contracts/validate.ts'
import { SqliteJournal } from '../../appliance/journal/index.ts'

const [kind, folder] = process.argv.slice(2) as [string, string]

/** The bus as the daemon runs it, with the shortest durable path behind it: schema, journal, receipt. */
async function appliance() {
  const hub = new Hub(systemClock, 'bench')
  const journal = new SqliteJournal({ file: join(folder, 'journal.sqlite'), clock: systemClock, maxFinished: 100_000, archiveMaxBytes: 1 << 28 })
  await journal.start()
  const envelopes = validator(Envelope)
  const submit = async (input: unknown, identity: Identity) => {
    try {
      const envelope = envelopes.assert(input, 'INVALID_ENVELOPE', 'envelope')
      const outcome = await journal.accept({ envelope, client: identity.client, acceptedAt: hub.now() })
      hub.intent({ id: envelope.id, type: envelope.type, state: 'accepted', source: envelope.source })
      return { v: PROTOCOL_VERSION as 1, id: envelope.id, accepted: outcome !== 'conflict', at: hub.now() }
    } catch (error) { return { v: PROTOCOL_VERSION as 1, id: null, accepted: false, code: toMtorError(error).code, at: hub.now() } }
  }
  // The rate limit counts every message as ever, but is set beyond what one client can send here.
  const config = makeConfig({ bus: { listeners: [{ kind: 'tcp', port: 0 }], limits: { messagesPerSecond: 10_000_000, burst: 10_000_000 } } }, folder).bus
  const bus = new Bus({ config, realm: 'bench', node: 'bench', stateDir: folder, hub, clock: systemClock, submit, emergencyStop: () => {} })
  await bus.start()
  return { port: bus.addresses()[0]!.port, stop: async () => { await bus.stop(); await journal.stop() } }
}

/** aedes with nothing around it; the socket has the same option as ours, so that Nagle's algorithm is not what is compared. */
async function bareAedes() {
  const broker = await Aedes.createBroker()
  const server = createServer({ noDelay: true }, broker.handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, stop: async () => { server.close(); broker.close() } }
}

const server = kind === 'bus' ? await appliance() : await bareAedes()
process.stdin.resume().once('end', () => { void server.stop().finally(() => process.exit(0)) })
process.stdout.write(`${JSON.stringify({ port: server.port })}\n`)
