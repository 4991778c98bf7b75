import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { temporary } from '../worker/testing.ts'
import { bindingFolder, explain, notFound } from './libraries.ts'

const SAID = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library'

test('a library that is not installed is named, with how to get it', async (t) => {
  const folder = await temporary(t)
  await writeFile(join(folder, 'libonnxruntime_providers_shared.so'), '')
  const message = await explain('cuda', SAID, folder)
  t.regex(message, /: libonnxruntime_providers_cuda\.so not installed \((npm run setup:cuda|see jetson\/README\.md)\)$/)
  t.regex(await explain('tensorrt', SAID, folder), /: libonnxruntime_providers_tensorrt\.so not installed/)
})

test('what has nothing to do with libraries stays as it was said', async (t) => {
  t.is(await explain('webgpu', SAID), SAID)
  t.is(await explain('cuda', 'CUDA failure 100: no CUDA-capable device is detected', await temporary(t)), 'CUDA failure 100: no CUDA-capable device is detected')
})

test('libraries that are there and are no libraries leave the message alone', async (t) => {
  const folder = await temporary(t)
  for (const name of ['shared', 'cuda']) await writeFile(join(folder, `libonnxruntime_providers_${name}.so`), 'no library')
  t.is(await explain('cuda', SAID, folder), SAID)
})

test('what the linker looked for in vain is read from its report', (t) => {
  t.deepEqual(notFound('\tlinux-vdso.so.1 (0x00007ffd)\n\tlibcublasLt.so.12 => not found\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\tlibcudnn.so.9 => not found\n'), ['libcublasLt.so.12', 'libcudnn.so.9'])
  t.regex(bindingFolder(), new RegExp(`onnxruntime-node/bin/napi-v6/linux/${process.arch}$`))
})
