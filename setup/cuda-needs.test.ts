import test from 'ava'
import { isLoadable, leastDriver, needsOf, readNeeds } from './cuda-needs.mjs'

/** Of onnxruntime-gpu 1.30.0 (PyPI) on a machine with its CUDA but without the driver, shortened. */
const REPORT = `	linux-vdso.so.1 (0x00007ffd)
	libcublasLt.so.13 => not found
	libcudart.so.13 => /usr/local/cuda/lib64/libcudart.so.13 (0x00007f)
	libcuda.so.1 => not found
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
`

test('which CUDA a library was built for is read from what it asks for, found or not', (t) => {
  t.deepEqual(readNeeds(REPORT), { absent: ['libcublasLt.so.13', 'libcuda.so.1'], cuda: 13 })
  t.is(readNeeds('\tlibcudart.so.12 => not found\n').cuda, 12)
  t.deepEqual(readNeeds('\tstatically linked\n'), { absent: [], cuda: undefined })
})

test('a real program that finds all it needs wants nothing', (t) => {
  t.deepEqual(needsOf('/bin/true'), { absent: [], cuda: undefined })
})

test('a library that onnxruntime loads itself is looked for as the linker does', (t) => {
  t.true(isLoadable('libc.so.6'))
  t.false(isLoadable('libnosuchlibrary.so.9'))
})

test('a driver that is too old for the CUDA of the library is known by the least one', (t) => {
  const gpus = ['Tesla T4, 535.183.01, 15360 MiB']
  t.is(leastDriver(13, gpus), 580)
  t.is(leastDriver(12, gpus), undefined)
  t.is(leastDriver(13, ['NVIDIA H100 80GB HBM3, 580.159.04, 81559 MiB']), undefined)
  t.is(leastDriver(undefined, gpus), undefined)
})
