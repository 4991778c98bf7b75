import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'

const SCRIPT = fileURLToPath(new URL('./cuda.mjs', import.meta.url))

/** Runs it with a PATH of Node and nothing else but, where given, an nvidia-smi that prints this. */
async function cuda(t: ExecutionContext, args: string[], smi?: string) {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-cuda-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  if (smi !== undefined) await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${smi}\n`, { mode: 0o755 })
  return await new Promise<{ code: number | string; text: string }>((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], { timeout: 60_000, env: { ...process.env, NO_COLOR: '1', PATH: [folder, dirname(process.execPath)].join(':') } }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, text: stdout + stderr })
    })
  })
}

test('the help says what it brings and what it does not; an unknown flag is refused', async (t) => {
  const help = await cuda(t, ['--help'])
  t.is(help.code, 0)
  t.regex(help.text, /It does not bring: the NVIDIA driver/)
  const unknown = await cuda(t, ['--all'])
  t.is(unknown.code, 2)
  t.regex(unknown.text, /unknown: --all/)
})

if (process.arch === 'x64') {
  test('without a driver it says so and changes nothing', async (t) => {
    const { code, text } = await cuda(t, ['--check'])
    t.is(code, 1)
    t.regex(text, /there is no NVIDIA driver here \(nvidia-smi is not installed\)\n.*Without a GPU nothing needs to be done/)
  })

  test('a driver that reaches no GPU, or is too old for CUDA 12, is told', async (t) => {
    const broken = await cuda(t, ['--check'], 'echo "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver." ; exit 9')
    t.is(broken.code, 1)
    t.regex(broken.text, /nvidia-smi failed: NVIDIA-SMI has failed/)
    const old = await cuda(t, ['--check'], 'echo "Tesla T4, 470.256.02, 15360 MiB"')
    t.is(old.code, 1)
    t.regex(old.text, /the NVIDIA driver 470\.256\.02 is too old for CUDA 12/)
  })
} else {
  test('elsewhere than on x86-64 it says where to look', async (t) => {
    const { code, text } = await cuda(t, ['--check'])
    t.is(code, 1)
    t.regex(text, /this is for x86-64 Linux/)
  })
}
