import test from 'ava'
import * as ort from 'onnxruntime-node'
import { checkProviders, KNOWN_PROVIDERS, providerOf } from './names.ts'
import { supportedProviders } from './session.ts'

test('a name that no build of onnxruntime knows is refused, and what this build has is told', (t) => {
  const error = t.throws(() => checkProviders(['cuda', 'gpu', 'cpu', 'xpu'], supportedProviders(ort)))
  t.like(error, { code: 'MODEL_INVALID', data: { unknown: ['gpu', 'xpu'] } })
  t.regex(error!.message, /^unknown execution providers "gpu", "xpu"; this build of onnxruntime has .*\bcpu\b/)
  t.like(t.throws(() => checkProviders(['gpu'])), { message: `unknown execution provider "gpu"; known are ${KNOWN_PROVIDERS.join(', ')}` })
  t.like(t.throws(() => checkProviders([])), { code: 'MODEL_INVALID' })
  t.deepEqual(checkProviders(['tensorrt', 'cuda', 'webgpu', 'cpu']), ['tensorrt', 'cuda', 'webgpu', 'cpu'])
})

test('every provider that this build has is known by name', (t) => {
  const supported = supportedProviders(ort)
  t.deepEqual(supported.filter((name) => !(KNOWN_PROVIDERS as readonly string[]).includes(name)), [])
  t.true(supported.includes('cpu'))
})

test('the profiler writes other names than ours', (t) => {
  t.is(providerOf('CPUExecutionProvider'), 'cpu')
  t.is(providerOf('WebGpuExecutionProvider'), 'webgpu')
  t.is(providerOf('CUDAExecutionProvider'), 'cuda')
  t.is(providerOf('TensorrtExecutionProvider'), 'tensorrt')
  t.is(providerOf('NewExecutionProvider'), 'NewExecutionProvider')
})
