import { MtorError, toMtorError } from '../../contracts/errors.ts'

/** What an execution provider says when the accelerator, or our hold on it, is gone; in order, the first that fits names it. */
const GPU_FAULTS: readonly { what: string; pattern: RegExp }[] = [
  // onnxruntime core/providers/cuda/cuda_call.cc: "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; …"; cuBLAS and cuDNN likewise.
  { what: 'out of GPU memory', pattern: /CUDA failure 2\b|cudaErrorMemoryAllocation|CUDA(?:_ERROR_OUT_OF_MEMORY| out of memory)|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|VK_ERROR_OUT_OF_DEVICE_MEMORY|Not enough memory left to allocate|\bGPU out of memory/i },
  { what: 'GPU lost', pattern: /device (?:is |was |has been )?lost|DeviceLost|VK_ERROR_DEVICE_LOST|GPU has fallen off the bus|cudaErrorDevicesUnavailable|no CUDA-capable device|DXGI_ERROR_DEVICE_(?:REMOVED|HUNG|RESET)|A valid external Instance reference no longer exists/i },
  { what: 'CUDA fault', pattern: /CUDA(?:_failure| failure) \d+|cudaError[A-Z]\w*|CUDA_ERROR_\w+|CUDA error|CUBLAS(?:_STATUS_| failure )\w+|CUDNN(?:_STATUS_| failure )\w+|CUFFT failure|an illegal memory access was encountered|unspecified launch failure|misaligned address/i },
  { what: 'TensorRT fault', pattern: /TensorRT EP (?:execution context enqueue failed|failed|could not)|TensorRT.{0,40}(?:internal error|fail)|IExecutionContext::enqueue|nvinfer/i },
  { what: 'WebGPU fault', pattern: /WebGPU (?:validation |internal )?(?:error|failed)|wgpu::\w+::\w*(?:error|fail)|webgpu_context|BufferMapAsync|MapAsyncStatus|Uncaptured(?:\(or unhandled\))? WebGPU/i },
  { what: 'NVIDIA driver fault', pattern: /\bXid\b|NVRM:/ },
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
  const gpu = GPU_FAULTS.find(({ pattern }) => pattern.test(text))?.what ?? (provider !== 'cpu' && MEMORY.test(text) ? 'out of GPU memory' : undefined)
  const message = `${gpu ?? 'the model failed'} on ${provider}: ${brief(toMtorError(thrown).message)}`
  return { error: new MtorError('MODEL_UNAVAILABLE', message, { cause: thrown, data: { provider, ...(gpu ? { gpu } : {}) } }), gpu: gpu !== undefined }
}

/** onnxruntime's messages begin with the path of a source file and the signature of a C++ function; what happened comes last. */
export function brief(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim()
  return line.length <= 400 ? line : `${line.slice(0, 150)} … ${line.slice(-245)}`
}
