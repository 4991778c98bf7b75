import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { SqliteHarness } from './harness.ts'

const CHILD = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
const ROUNDS = 6

interface Fact { fact: string; id: string; epoch: number; sequence: number; state: string }

/** Runs the child and kills it after `lines` facts; halfway there, with `crash`, its journal's thread dies as well. Returns every fact it had written by then. */
async function killedAfter(file: string, seed: number, lines: number, crash: boolean): Promise<Fact[]> {
  const faultFile = `${file}.fault`
  const child = spawn(process.execPath, [CHILD, file, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, MTOR_JOURNAL_FAULT_FILE: faultFile } })
  const facts: Fact[] = []
  const closed = once(child, 'close')
  for await (const line of createInterface({ input: child.stdout })) {
    // The last line may be cut off by the kill.
    if (line.endsWith('}')) facts.push(JSON.parse(line) as Fact)
    if (crash && facts.length === Math.ceil(lines / 2)) {
      writeFileSync(`${faultFile}.new`, JSON.stringify({ crash: true }))
      renameSync(`${faultFile}.new`, faultFile)
    }
    if (facts.length >= lines) child.kill('SIGKILL')
  }
  await closed
  return facts
}

test('kill −9 at any moment: nothing acknowledged is lost, nothing is finished twice, no ticket is given twice', async (t) => {
  const harness = await SqliteHarness.make({ started: false, maxFinished: 100 })
  t.teardown(() => harness.dispose())
  const facts: Fact[] = []
  let seed = 20_260_101
  for (let round = 0; round < ROUNDS; round++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    // In some rounds the journal's thread dies first, and the process goes on.
    const crash = round % 3 === 1
    facts.push(...await killedAfter(harness.file, seed, (crash ? 500 : 1) + seed % 1500, crash))
  }
  const of = (kind: string) => facts.filter(({ fact }) => fact === kind)
  t.true(of('accepted').length > 500 && of('finished').length > 300, `${of('accepted').length} accepted, ${of('finished').length} finished`)
  t.true(of('resubmitted').length > 0, 'the thread died in at least one round')

  await harness.journal.start()
  await Promise.all(of('accepted').map(async ({ id }) => { t.truthy(await harness.journal.get(id), `${id} was acknowledged and is lost`) }))
  await Promise.all(of('finished').map(async ({ id, state }) => { t.is((await harness.journal.get(id))?.state as string, state) }))
  t.is(new Set(of('finished').map(({ id }) => id)).size, of('finished').length, 'an intent was finished twice')
  t.is(new Set(of('ticket').map(({ epoch, sequence }) => `${epoch}/${sequence}`)).size, of('ticket').length, 'a ticket was given twice')
  const epochs = of('epoch').map(({ epoch }) => epoch)
  for (let i = 1; i < epochs.length; i++) t.true(epochs[i]! > epochs[i - 1]!)
  t.true((await harness.journal.stats()).archivedTotal > 0, 'the archive was in use')
  t.deepEqual(harness.events, [])
})
