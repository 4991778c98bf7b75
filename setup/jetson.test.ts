import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'

const SCRIPT = fileURLToPath(new URL('../jetson/build-onnxruntime.sh', import.meta.url))
const run = (...args: string[]) => new Promise<{ code: number | string; text: string }>((resolve) => {
  execFile('bash', [SCRIPT, ...args], { timeout: 60_000 }, (error, stdout, stderr) => { resolve({ code: error?.code ?? 0, text: stdout + stderr }) })
})

test('the Jetson script explains itself, and refuses what it does not know', async (t) => {
  const help = await run('--help')
  t.is(help.code, 0)
  for (const flag of ['--check', '--install-only', '--no-tensorrt', '--jobs N', '--source FOLDER']) t.true(help.text.includes(flag), flag)
  for (const args of [['--all'], ['--jobs', 'many'], ['--jobs']]) t.is((await run(...args)).code, 2, args.join(' '))
})

test('elsewhere than on a Jetson it builds nothing and says where it is', async (t) => {
  const { code, text } = await run('--check')
  if (existsSync('/etc/nv_tegra_release')) t.regex(text, /Jetson Linux R/)
  else {
    t.is(code, 1)
    t.regex(text, /^✗ this is no Jetson: /)
  }
})
