import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import test from 'ava'

const DEMO = resolve(import.meta.dirname, 'realm.ts')

/** Runs the demo; resolves with all that it printed. */
function demo(args: string[], onText: (text: string, end: (signal: NodeJS.Signals) => void) => void = () => {}): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, ['--no-warnings', DEMO, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => { text += part; onText(text, (signal) => { child.kill(signal) }) })
  return new Promise((done) => { child.once('close', (code) => { done({ code, text }) }) })
}

test('the sequence of --script: driven, handed over, lost by kill and by a hang, stopped; nothing twice; the folder is gone at the end', async (t) => {
  t.timeout(300_000)
  const { code, text } = await demo(['--script'])
  t.is(code, 0, text)
  t.regex(text, /was killed; drive\.move -0\.3 m, taken in at witness: succeeded by board-[ab], epoch 3/)
  t.regex(text, /was stopped; drive\.move 0\.3 m, taken in at witness: succeeded by board-[ab], epoch 4/)
  t.regex(text, /All as it should be\./)
  t.false(existsSync(/nodes start in (\S+)/.exec(text)![1]!))
})

test('interrupted while its nodes start it ends them, and leaves no folder', async (t) => {
  t.timeout(120_000)
  let isTold = false
  const { code, text } = await demo(['--script'], (so, end) => { if (so.includes('nodes start') && !isTold) { isTold = true; setTimeout(() => { end('SIGTERM') }, 3_000) } })
  t.is(code, 130, text)
  t.false(existsSync(/nodes start in (\S+)/.exec(text)![1]!))
})

test('without a terminal the picture is refused, with the flag that does without', async (t) => {
  const { code, text } = await demo([])
  t.is(code, 2)
  t.regex(text, /--script/)
})
