import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { Command } from 'commander'
import { makeConfig } from '../config/load.ts'
import { ControlClient } from '../gateway/client.ts'
import { ControlServer } from '../gateway/control.ts'
import { inferenceRoutes } from '../inference/routes.ts'
import { becomes, bench } from '../inference/supervisor/testing.ts'
import { addInferenceCommands } from './inference.ts'

/** The commands, over a real control socket, to a real supervisor. */
async function cli(t: ExecutionContext, json = false) {
  const b = await bench(t)
  const folder = await mkdtemp(join(tmpdir(), 'mtor-cli-'))
  const server = new ControlServer(join(folder, 'control.sock'), inferenceRoutes({ inference: b.supervisor, status: () => b.supervisor.status() }))
  await server.start()
  t.teardown(async () => { await server.stop(); await rm(folder, { recursive: true, force: true }) })
  const printed: string[] = []
  const interrupted = new AbortController()
  const client = () => new ControlClient(server.path)
  return {
    ...b, printed, interrupted, client,
    async mtor(...args: string[]) {
      const program = new Command('mtor').exitOverride()
      addInferenceCommands(program, { config: () => makeConfig({ node: 'test' }), client, json: () => json, print: (value, text) => { printed.push(json ? JSON.stringify(value) : text()) }, interrupted })
      await program.parseAsync(['node', 'mtor', ...args])
    },
  }
}

test('the status shows models, workers and the last fault', async (t) => {
  const c = await cli(t)
  await c.mtor('inference', 'status')
  t.regex(c.printed[0]!, /talker +cold/)
  t.regex(c.printed[0]!, /No worker has been needed yet/)
  t.is(await c.say('once again abort'), 'again')
  await c.mtor('inference', 'status')
  t.regex(c.printed[1]!, /talker +ready +cpu +cpu 7 +[\d.]+ +[\d.]+ +1 +1 +0 +closed/)
  t.regex(c.printed[1]!, new RegExp(`text-1 +idle +${c.supervisor.status().workers[0]!.pid} +\\d+ +1 +\\d+ ms ago`))
  t.regex(c.printed[1]!, /Last fault of talker: .* ago, crash: killed by SIGABRT/)
})

test('faults are listed with what was done and when service was back', async (t) => {
  const c = await cli(t)
  await c.mtor('inference', 'faults')
  t.is(c.printed[0], 'None.')
  t.is(await c.say('once a abort'), 'a')
  t.is(await c.say('once b fail'), 'b')
  await c.mtor('inference', 'faults', '-n', '1')
  t.regex(c.printed[1]!, /text-1 +talker +failed +\d+ ms +\d.* the graph failed +it was killed and is started again/)
  t.notRegex(c.printed[1]!, /SIGABRT/)
  await t.throwsAsync(c.mtor('inference', 'faults', '-n', 'many'), { code: 'USAGE' })
})

test('with --json each fault is one line', async (t) => {
  const c = await cli(t, true)
  t.is(await c.say('once a abort'), 'a')
  await c.mtor('inference', 'faults')
  t.like(JSON.parse(c.printed[0]!), { kind: 'crash', worker: 'text-1', model: 'talker' })
})

test('--follow shows it again until it is interrupted', async (t) => {
  const c = await cli(t)
  const following = c.mtor('inference', 'status', '--follow')
  await becomes('two of them', () => c.printed.length >= 2)
  c.interrupted.abort()
  await following
  t.true(c.printed.length >= 2)
})

test('a fault is injected only where the environment allows it', async (t) => {
  const c = await cli(t)
  await t.throwsAsync(c.client().call('POST', '/inference/fault', { worker: 'text-1', fault: { name: 'abort' } }), { code: 'UNAUTHORISED' })
  await t.throwsAsync(c.client().call('POST', '/inference/fault', { worker: 'text-1' }), { code: 'USAGE' })
  await t.throwsAsync(c.client().call('GET', '/inference/faults?limit=x'), { code: 'USAGE' })
  t.deepEqual(await c.client().call('GET', '/inference/quarantine'), [])
})
