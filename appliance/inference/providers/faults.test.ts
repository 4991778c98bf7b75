import test from 'ava'
import { MtorError } from '../../contracts/errors.ts'
import { brief, classify, isShortOfMemory } from './faults.ts'
import { DIFFERS } from './shaped-session.ts'

/** As they were reported of onnxruntime, CUDA and Dawn; hosts and paths shortened. */
const GPU: readonly [provider: string, what: string, message: string][] = [
  ['cuda', 'out of GPU memory', '[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:121 onnxruntime::CudaCall CUDA failure 2: out of memory ; GPU=0 ; hostname=node ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_stream_handle.cc ; line=175 ; expr=cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);'],
  ['cuda', 'out of GPU memory', "Non-zero status code returned while running Gemm node. Name:'fc1' Status Message: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:114 onnxruntime::CudaCall CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=node ; expr=cublasCreate(&cublas_handle_);"],
  ['cuda', 'out of GPU memory', "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running FusedMatMul node. Name:'MatMul_92' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:331 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 8388608000"],
  // Seen on an NVIDIA H200, onnxruntime 1.30.0, CUDA 13, while another process held all but 150 to 400 MB.
  ['cuda', 'out of GPU memory', "Non-zero status code returned while running MatMul node. Name:'MatMul_0' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1024000000"],
  ['cuda', 'out of GPU memory', '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] CUDA failure 2: out of memory ; GPU=0 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=352 ; expr=cudaSetDevice(info_.device_id);'],
  ['cuda', 'out of GPU memory', "Non-zero status code returned while running Conv node. Name:'Conv_0' Status Message: CUDA error cudaErrorMemoryAllocation:out of memory"],
  ['cuda', 'CUDA fault', 'CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=96 ; expr=cudaMemcpyAsync(dst_data, src_data, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(stream.GetHandle()));'],
  ['cuda', 'GPU computes otherwise', DIFFERS],
  ['tensorrt', 'out of GPU memory', '../rtSafe/safeRuntime.cpp (25) - Cuda Error in allocate: 2 (out of memory)'],
  ['cuda', 'CUDA fault', '[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=node ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_graph.cc ; line=49 ; expr=cudaGraphLaunch(graph_exec_, stream_);'],
  ['cuda', 'CUDA fault', "Non-zero status code returned while running Conv node. Name:'Conv_3' Status Message: CUDNN failure 8: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; hostname=node ; expr=cudnnConvolutionForward(...);"],
  ['cuda', 'CUDA fault', 'CUDA failure 209: no kernel image is available for execution on the device ; GPU=0 ; hostname=node ; expr=cudaGetLastError();'],
  ['cuda', 'GPU lost', 'CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=node ; expr=cudaSetDevice(info_.device_id);'],
  ['cuda', 'GPU lost', 'CUDA failure 999: unknown error ; GPU=0 ; hostname=node ; expr=cudaStreamSynchronize(stream);'],
  ['tensorrt', 'TensorRT fault', "Non-zero status code returned while running TRTKernel_graph_main_graph_3554867279417518500_0 node. Name:'TensorrtExecutionProvider_TRTKernel_graph_main_graph_3554867279417518500_0_0' Status Message: TensorRT EP execution context enqueue failed."],
  ['tensorrt', 'CUDA fault', 'IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (invalid resource handle)'],
  ['webgpu', 'out of GPU memory', 'WebGPU device error(2): Out of memory'],
  ['webgpu', 'GPU lost', '/onnxruntime_src/onnxruntime/core/providers/webgpu/buffer_manager.cc:561 status == wgpu::MapAsyncStatus::Success was false. Failed to download data from buffer. wgpu::MapAsyncStatus value: 3'],
  ['webgpu', 'WebGPU fault', '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(...)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters'],
  // Seen here: a matrix too large for the device (SwiftShader). That memory was short goes to the log; the exception only says what it led to.
  ['webgpu', 'WebGPU fault', 'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.\n - While validating entries[2] against { binding: 2, visibility: ShaderStage::Compute, buffer: {type: BufferBindingType::Storage, minBindingSize: 0, hasDynamicOffset: 0} }.\n - While calling [Device].CreateBindGroup([BindGroupDescriptor ""MatMul""]).'],
  ['webgpu', 'out of GPU memory', 'WebGPU device error(3): vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY\n - While calling [Device].CreateBuffer([BufferDescriptor]).'],
  ['webgpu', 'GPU lost', 'Non-zero status code returned while running Conv node. Status Message: VK_ERROR_DEVICE_LOST'],
]

for (const [provider, what, message] of GPU) {
  test(`of the GPU (${what}): ${message.slice(-110)}`, (t) => {
    const { error, gpu } = classify(new TypeError(message), provider)
    t.true(gpu)
    t.is(error.code, 'MODEL_UNAVAILABLE')
    t.deepEqual(error.data, { provider, gpu: what })
    t.is(isShortOfMemory(new TypeError(message), provider), what === 'out of GPU memory')
    t.true(error.message.startsWith(`${what} on ${provider}: `), error.message)
  })
}

test('what is wrong with an input or a graph is no fault of the GPU', (t) => {
  for (const message of [
    'Got invalid dimensions for input: x for the following indices\n index: 1 Got: 5 Expected: 4\n Please fix either the inputs/outputs or the model.',
    "Non-zero status code returned while running Reshape node. Name:'Reshape_1' Status Message: The input tensor cannot be reshaped to the requested shape.",
    'Load model from model.onnx failed: Protobuf parsing failed.',
    'Unexpected input data type. Actual: (tensor(double)) , expected: (tensor(float))',
  ]) {
    const { error, gpu } = classify(new TypeError(message), 'cuda')
    t.false(gpu, message)
    t.deepEqual(error.data, { provider: 'cuda' })
    t.is(error.code, 'MODEL_UNAVAILABLE')
  }
})

test('memory that the process cannot have is the process\'s own on the CPU, and the GPU\'s elsewhere', (t) => {
  for (const message of ['std::bad_alloc', 'onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 939524096']) {
    t.false(classify(new TypeError(message), 'cpu').gpu)
    t.true(classify(new TypeError(message), 'webgpu').gpu)
  }
})

test('what a task says of its input passes through as it is', (t) => {
  const thrown = new MtorError('IMAGE_INVALID', 'no picture: CUDA failure 700 is written on it', { data: { image: 'a.jpg' } })
  t.deepEqual(classify(thrown, 'cuda'), { error: thrown, gpu: false })
})

test('things that are no errors are told too, and long messages keep beginning and end', (t) => {
  t.is(classify('odd', 'cpu').error.message, 'the model failed on cpu: odd')
  const long = brief(`begin ${'x'.repeat(1000)}\n end`)
  t.is(brief('/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const Config&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n'), 'Failed to get a WebGPU adapter: No supported adapters')
  t.true(long.startsWith('begin ') && long.endsWith('x end') && long.length < 410)
})
