#!/usr/bin/env node
// npm run setup:cuda: brings what models need to run on an NVIDIA GPU of an x86-64 Linux machine, and proves that they do.
// Opt-in: without it everything runs on the CPU. On a Jetson: see jetson/README.md.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { environment } from './child.mjs'
import { CUDNN, isLoadable, leastDriver, needsOf } from './cuda-needs.mjs'
import { root, setUpOrExit } from './setup.mjs'
import { done, failed, missing, say, SetupError, ticking } from './steps.mjs'

const HELP = `npm run setup:cuda [-- --check] [--no-tfjs] [--help]

Lets models run on an NVIDIA GPU (x86-64 Linux). It brings:
  1. the CUDA and TensorRT libraries of onnxruntime-node (several hundred MB, by its own install script, from NuGet),
  2. @tensorflow/tfjs-node-gpu, which trains on the GPU (several hundred MB, by npm; --no-tfjs leaves it out),
and then proves, by profiling a small graph, what ran where.
It does not bring: the NVIDIA driver, CUDA and cuDNN 9 (and TensorRT 10, which is optional); it says which is missing, and
which CUDA (12 or 13) the libraries of onnxruntime were built for.

  --check    only look: install nothing
  --no-tfjs  without @tensorflow/tfjs-node-gpu

npm ci, also the one of a later set-up after an update, removes what this brought: then run it again.
Ends with 0 when CUDA runs, with 1 when it does not.`

/** Below it no CUDA 12 runs. @see https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html */
const LEAST_DRIVER = 525
const PROVIDERS = ['shared', 'cuda', 'tensorrt']
const bindings = join(root, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64')
const libraryOf = (name) => join(bindings, `libonnxruntime_providers_${name}.so`)

const args = process.argv.slice(2)
const unknown = args.filter((arg) => !['--check', '--no-tfjs', '--help', '-h'].includes(arg))
if (unknown.length > 0) { failed(`unknown: ${unknown.join(' ')}`); say(HELP); process.exit(2) }
if (args.includes('--help') || args.includes('-h')) { process.stdout.write(`${HELP}\n`); process.exit(0) }
const onlyCheck = args.includes('--check')

try { process.exitCode = await main() } catch (error) {
  if (!(error instanceof SetupError)) throw error
  failed(error.message)
  if (error.hint) say(`  ${error.hint}`)
  process.exitCode = 1
}

async function main() {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new SetupError(`this is for x86-64 Linux; here is ${process.platform} ${process.arch}`, process.arch === 'arm64' ? 'On a Jetson onnxruntime is built on the board: see jetson/README.md' : undefined)
  const gpus = findGpus()
  for (const gpu of gpus) done(gpu)
  await setUpOrExit('start')
  if (!onlyCheck) {
    await installOnnxruntime()
    if (!args.includes('--no-tfjs')) await installTfjs()
  }
  const wanting = checkLibraries(gpus)
  if (wanting > 0 && onlyCheck) return 1
  return await prove()
}

function findGpus() {
  const { status, error, stdout, stderr } = spawnSync('nvidia-smi', ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'], { encoding: 'utf8', timeout: 30_000 })
  if (error?.code === 'ENOENT') throw new SetupError('there is no NVIDIA driver here (nvidia-smi is not installed)', 'Install the driver of your distribution first (Debian: nvidia-driver, from non-free). Without a GPU nothing needs to be done: models run on the CPU.')
  if (error || status !== 0) throw new SetupError(`nvidia-smi failed: ${error?.message ?? (stderr || stdout).trim()}`, 'The driver is installed but does not reach a GPU: see dmesg | grep -i nvrm')
  const gpus = stdout.trim().split('\n').filter(Boolean)
  if (gpus.length === 0) throw new SetupError('the NVIDIA driver finds no GPU', 'See: lspci | grep -i nvidia')
  const old = gpus.map((gpu) => gpu.split(',')[1]?.trim() ?? '').find((driver) => Number.parseInt(driver, 10) < LEAST_DRIVER)
  if (old) throw new SetupError(`the NVIDIA driver ${old} is too old for CUDA 12`, `Install ${LEAST_DRIVER} or newer.`)
  return gpus
}

async function installOnnxruntime() {
  const absent = PROVIDERS.filter((name) => !existsSync(libraryOf(name)))
  if (absent.length === 0) return done('onnxruntime has its CUDA and TensorRT libraries already')
  const startedMs = performance.now()
  await run('node', ['script/install.js'], join(root, 'node_modules/onnxruntime-node'), 'fetching the CUDA and TensorRT libraries of onnxruntime', { ONNXRUNTIME_NODE_INSTALL: 'true' })
  const still = PROVIDERS.filter((name) => !existsSync(libraryOf(name)))
  if (still.length > 0) throw new SetupError(`the install script of onnxruntime-node did not bring: ${still.join(', ')}`)
  done('CUDA and TensorRT libraries of onnxruntime', startedMs)
}

/** What trains is optional: where it cannot be had that is said, and models still run on the GPU. */
async function installTfjs() {
  const startedMs = performance.now()
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/@tensorflow/tfjs-core/package.json'), 'utf8'))
  try {
    // The scripts of other packages would compile or download: only its own is run.
    await run('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', `@tensorflow/tfjs-node-gpu@${version}`], root, 'installing @tensorflow/tfjs-node-gpu')
    await run('node', ['scripts/install.js', 'gpu', 'download'], join(root, 'node_modules/@tensorflow/tfjs-node-gpu'), 'fetching TensorFlow for the GPU')
    // Loaded in a process of its own, as it would be: a library that does not fit this Node ends only that.
    await run(join(root, 'node_modules/.bin/node'), ['--no-warnings', '-e', "const tf = require('@tensorflow/tfjs-node-gpu'); if (tf.getBackend() !== 'tensorflow') process.exit(1); tf.matMul([[1, 2]], [[3], [4]]).dataSync()"], root, 'loading TensorFlow')
    done(`@tensorflow/tfjs-node-gpu ${version}`, startedMs)
  } catch (error) {
    missing(`@tensorflow/tfjs-node-gpu cannot be used, so learning stays on the CPU: ${error.message}`)
  }
}

/** How many things are wanting: shared libraries that the linker looks for in vain, and what it does not know of (cuDNN, the driver). */
function checkLibraries(gpus) {
  let wanting = 0
  for (const name of PROVIDERS) {
    const file = libraryOf(name)
    if (!existsSync(file)) { missing(`libonnxruntime_providers_${name}.so is not installed${onlyCheck ? ' (npm run setup:cuda installs it)' : ''}`); wanting++; continue }
    const { absent, cuda } = needsOf(file)
    if (name === 'cuda') {
      if (!absent.includes(CUDNN) && !isLoadable(CUDNN)) absent.push(CUDNN)
      const least = leastDriver(cuda, gpus)
      if (least) { missing(`CUDA ${cuda}, which libonnxruntime_providers_cuda.so was built for, needs the NVIDIA driver ${least} or newer`); wanting++ }
    }
    if (absent.length === 0) { done(`libonnxruntime_providers_${name}.so finds all it needs`); continue }
    missing(`libonnxruntime_providers_${name}.so needs ${absent.join(', ')}`)
    if (name === 'tensorrt') say('  TensorRT 10 is optional: without it models run on CUDA.')
    else { wanting++; say(`  Install CUDA${cuda ? ` ${cuda}` : ''} (cudart, cuBLAS, cuFFT, cuRAND) and cuDNN 9 for it from NVIDIA's package repository for your distribution, then run: ldconfig`) }
  }
  return wanting
}

async function prove() {
  say('  running a small graph on each provider …')
  const node = join(root, 'node_modules/.bin/node')
  const code = (name) => new Promise((resolve) => {
    spawn(node, ['--no-warnings', join(root, 'setup/providers.ts'), name], { stdio: 'inherit', env: environment }).on('error', () => resolve(1)).on('exit', (status) => resolve(status ?? 1))
  })
  await code('tensorrt')
  const cuda = await code('cuda')
  if (cuda === 0) done('CUDA runs models. The order in which providers are tried is inference.providers in the configuration.')
  else failed('CUDA does not run models: they stay on the CPU.')
  return cuda
}

/** Runs a command with what it prints held back; shows the end of it when it fails. */
function run(command, commandArgs, cwd, text, env = {}) {
  const stop = ticking(() => text)
  return new Promise((resolve, reject) => {
    const child = spawn(command, commandArgs, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`, ...env } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output = (output + data).slice(-4_000) })
    child.on('error', (error) => { stop(); reject(new SetupError(`cannot run ${command}: ${error.message}`)) })
    child.on('close', (code) => {
      stop()
      if (code === 0) resolve()
      else reject(new SetupError(`${command} ${commandArgs.slice(0, 2).join(' ')} ended with ${code}: ${output.trim().split('\n').slice(-6).join('\n')}`, 'Check the network and the free disk space, then run the same command again.'))
    })
  })
}
