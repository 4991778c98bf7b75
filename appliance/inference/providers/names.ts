import { MtorError } from '../../contracts/errors.ts'

/**
 * Execution providers by the name under which onnxruntime-node takes them, and by the one its profiler writes. All that
 * some build of it for Node knows: whether this machine's build has one is told when it is tried.
 * @see https://onnxruntime.ai/docs/get-started/with-javascript/node.html
 */
const PROFILED_AS = {
  tensorrt: 'TensorrtExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
  coreml: 'CoreMLExecutionProvider',
  dml: 'DmlExecutionProvider',
  qnn: 'QNNExecutionProvider',
  cpu: 'CPUExecutionProvider',
} as const
export type ProviderName = keyof typeof PROFILED_AS
export const KNOWN_PROVIDERS = Object.keys(PROFILED_AS) as readonly ProviderName[]

/** What a model that brings its own engine (WebAssembly …) is said to run on. */
export const OWN_ENGINE = 'own'

export const isProvider = (name: string): name is ProviderName => Object.hasOwn(PROFILED_AS, name)

/** Our name for what the profiler wrote; one it has beyond ours stays as it is. */
export function providerOf(profiled: string): string {
  return KNOWN_PROVIDERS.find((name) => PROFILED_AS[name] === profiled) ?? profiled
}

/**
 * Refuses names that no build knows: beside a good one onnxruntime drops them silently, and the model would run somewhere
 * else than it was told. `supported`: what listSupportedBackends() of the build in use has, for the message; the core does
 * not load onnxruntime and leaves it out.
 * @throws MtorError MODEL_INVALID
 */
export function checkProviders(names: readonly string[], supported?: readonly string[]): readonly ProviderName[] {
  const unknown = names.filter((name) => !isProvider(name))
  const has = supported ? `this build of onnxruntime has ${supported.join(', ')}` : `known are ${KNOWN_PROVIDERS.join(', ')}`
  if (unknown.length > 0) throw new MtorError('MODEL_INVALID', `unknown execution provider${unknown.length > 1 ? 's' : ''} ${unknown.map((name) => JSON.stringify(name)).join(', ')}; ${has}`, { data: { unknown, known: supported ?? KNOWN_PROVIDERS } })
  if (names.length === 0) throw new MtorError('MODEL_INVALID', `no execution provider is asked for; ${has}`)
  return names as readonly ProviderName[]
}
