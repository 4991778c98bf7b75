import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { DIFFERS } from './shaped-session.ts'

const OUT_OF_MEMORY = 'out of GPU memory'

/**
 * What an execution provider says when the accelerator, or our hold on it, is gone; the first that fits names it. The wording
 * is that of onnxruntime's cuda_call.cc, tensorrt_execution_provider.cc and webgpu_context.cc, of CUDA, TensorRT and Dawn.
 * @see https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/providers
 */
const GPU_FAULTS: readonly { what: string; pattern: RegExp }[] = [
  { what: OUT_OF_MEMORY, pattern: /CUDA failure 2:|cuda(?: error| runtime)?[^;]{0,30}out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|CU(?:BLAS|DNN)_STATUS_ALLOC_FAILED|VK_ERROR_OUT_OF_DEVICE_MEMORY|WebGPU device error\(\d+\): [^;]*out of memory/i },
  { what: 'GPU lost', pattern: /device (?:is |was |has been )?lost|DeviceLost|VK_ERROR_DEVICE_LOST|fallen off the bus|CUDA failure (?:46|100|101|999):|cudaErrorDevicesUnavailable|no CUDA-capable device|DXGI_ERROR_DEVICE_(?:REMOVED|HUNG|RESET)|MapAsyncStatus value|Failed to download data from buffer|Failed to wait for the operation/i },
  { what: 'CUDA fault', pattern: /(?:CUDA|CUBLAS|CUDNN|CUDNN_FE|CUFFT|CURAND|NCCL) failure \d+|\bcudaError[A-Z]\w+|CUDA_ERROR_\w+|cuda (?:error|runtime)\b|CU(?:BLAS|DNN)_STATUS_(?!SUCCESS)\w+|illegal memory access|unspecified launch failure|misaligned address/i },
  // Not a word of CUDA: shaped-session.ts.
  { what: 'GPU computes otherwise', pattern: new RegExp(DIFFERS) },
  { what: 'TensorRT fault', pattern: /TensorRT EP|IExecutionContext::enqueue|nvinfer/i },
  { what: 'WebGPU fault', pattern: /WebGPU (?:device )?error|WebGPU validation failed|invalid due to a previous error|webgpu_context\.cc|providers\/webgpu\/|Failed to get a WebGPU|wgpu::\w*Status/i },
]
/** Only on an accelerator is this its fault: on the CPU it is memory of the process. */
const MEMORY = /bad_alloc|out of memory|Failed to allocate memory|BFCArena.*(?:Available memory|allocate)/i

export interface Fault { error: MtorError; /** The provider is lost, and with it the process. */ gpu: boolean }

/**
 * What a failed run means. An MtorError is what the task says of its input, and no fault of anything; all else is one of the
 * model (MODEL_UNAVAILABLE), and of the accelerator where the message says so. A CUDA error stays with its process
 * for good: only a new process can use the device again.
 * @see https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html (cudaError: "the process must be terminated and relaunched")
 */
export function classify(thrown: unknown, provider: string): Fault {
  if (thrown instanceof MtorError) return { error: thrown, gpu: false }
  const text = thrown instanceof Error ? `${thrown.message} ${thrown.cause instanceof Error ? thrown.cause.message : ''}` : String(thrown)
  const gpu = GPU_FAULTS.find(({ pattern }) => pattern.test(text))?.what ?? (provider !== 'cpu' && MEMORY.test(text) ? OUT_OF_MEMORY : undefined)
  const message = `${gpu ?? 'the model failed'} on ${provider}: ${brief(toMtorError(thrown).message)}`
  return { error: new MtorError('MODEL_UNAVAILABLE', message, { cause: thrown, data: { provider, ...(gpu ? { gpu } : {}) } }), gpu: gpu !== undefined }
}

/** Of a model that could not be loaded: it was for want of the accelerator's memory, which may be there later. */
export const isShortOfMemory = (thrown: unknown, provider: string): boolean => classify(thrown, provider).error.data?.['gpu'] === OUT_OF_MEMORY

/** onnxruntime's messages may begin with a source file, the signature of a C++ function and a condition; what happened comes last. */
export function brief(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim().replace(/^(?:Error: )?\/onnxruntime_src\/\S+:\d+ .* was false\. /, '')
  return line.length <= 400 ? line : `${line.slice(0, 150)} … ${line.slice(-245)}`
}
