import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROJECT_DIR } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { systemClock } from '../contracts/clock.ts'
import { toMtorError } from '../contracts/errors.ts'
import { hasProgram, output } from '../inference/child.ts'
import type { Finding } from './doctor.ts'

/** A picture is taken, and thrown away. */
const CAMERA_MS = 10_000

/** What inference and vision need: models, camera, GPU, the sensors of the governor. No part of it keeps another away. */
export async function examineInference(config: Config): Promise<Finding[]> {
  const parts: [what: string, Promise<Finding[]>][] = [['models', models(config)], ['camera', camera(config)], ['GPU', gpu()], ['sensors', sensors(config)]]
  return (await Promise.all(parts.map(async ([what, part]) => {
    try { return await part } catch (error) {
      const { message, hint } = toMtorError(error)
      return [{ what, state: 'missing' as const, found: message, advice: hint }]
    }
  }))).flat()
}

/** Reads every file of every model that is here. */
async function models(config: Config): Promise<Finding[]> {
  const { ModelStore } = await import('../inference/store/index.ts')
  const store = new ModelStore({ ...config.inference, clock: systemClock, onEvent: () => { /* Nothing is changed. */ } })
  const verified = await store.verify()
  const named = (wanted: string) => verified.filter(({ state }) => state === wanted).map(({ model }) => model)
  const good = named('good')
  const asked = new Set([...store.defaults().map(({ name }) => name), config.vision.detector, config.vision.reader])
  return [
    { what: 'models', state: good.length > 0 ? 'good' : 'note', found: good.length > 0 ? `${good.join(', ')}: every file is the right one` : 'none is here' },
    ...named('damaged').map((name): Finding => ({ what: `model ${name}`, state: 'missing', found: 'a file of it, or of its copy, is damaged', advice: `See: mtor models verify ${name}; mend it with: mtor models scrub` })),
    ...[...asked].filter((name) => !good.includes(name) && !named('damaged').includes(name)).map((name): Finding => ({ what: `model ${name}`, state: 'missing', found: 'it is not here', advice: `mtor models pull ${name}` })),
  ]
}

async function camera(config: Config): Promise<Finding[]> {
  const { makeCamera } = await import('../vision/capture/index.ts')
  const { camera: name, widthPx, heightPx } = config.vision
  const fitted = makeCamera(name, { widthPx, heightPx, timeoutMs: CAMERA_MS }, PROJECT_DIR)
  if (!fitted) return [{ what: 'camera', state: 'note', found: 'switched off in the configuration' }]
  const folder = await mkdtemp(join(tmpdir(), 'mtor-doctor-'))
  try {
    await fitted.start?.()
    // Nobody asked for a certain one: none is no fault.
    if (!await fitted.present()) return [{ what: 'camera', state: 'note', found: 'none', advice: 'Plug one in, or set vision.camera, for instance to directory:PATH with pictures.' }]
    const still = await fitted.still({ file: join(folder, 'still.jpg'), thumbnail: join(folder, 'thumbnail.jpg') }, AbortSignal.timeout(CAMERA_MS))
    return [{ what: 'camera', state: 'good', found: `${still.from}: a picture of ${still.widthPx} × ${still.heightPx}${still.thumbnail ? '' : ', without a thumbnail'}` }]
  } catch (error) {
    const { message, hint } = toMtorError(error)
    return [{ what: 'camera', state: 'missing', found: message, advice: hint }]
  } finally {
    await fitted.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function gpu(): Promise<Finding[]> {
  const setUp = 'npm run setup:cuda brings what onnxruntime needs for it, and says which providers work.'
  const jetson = jetsonModel()
  if (jetson !== undefined) return [{ what: 'GPU', state: 'good', found: jetson, advice: 'jetson/ says how onnxruntime is built for it.' }]
  if (!hasProgram('nvidia-smi')) return [existsSync('/proc/driver/nvidia/version')
    ? { what: 'GPU', state: 'note', found: 'NVIDIA driver without nvidia-smi', advice: `Memory of the GPU cannot be watched. ${setUp}` }
    : { what: 'GPU', state: 'note', found: 'no NVIDIA driver: models run on the processor' }]
  const answer = (await output('nvidia-smi', ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']))?.trim()
  return answer ? answer.split('\n').map((line): Finding => ({ what: 'GPU', state: 'good', found: line, advice: setUp })) : [{ what: 'GPU', state: 'missing', found: 'nvidia-smi is here, but reaches no driver', advice: 'Install the driver that belongs to this kernel, or start again after an update of it.' }]
}

function jetsonModel(): string | undefined {
  try {
    const model = readFileSync('/proc/device-tree/model', 'utf8').replaceAll('\0', '').trim()
    return /jetson/i.test(model) ? model : undefined
  } catch { return undefined }
}

async function sensors(config: Config): Promise<Finding[]> {
  if (!config.governor.enabled) return [{ what: 'governor', state: 'note', found: 'switched off in the configuration' }]
  const { Governor } = await import('../inference/governor/index.ts')
  const governor = new Governor({ config: config.governor, clock: systemClock, onEvent: () => { /* Nobody is to act on it. */ } })
  try {
    governor.start()
    // tegrastats speaks a period after it was started.
    if (hasProgram('tegrastats')) await new Promise((spoken) => { setTimeout(spoken, config.governor.periodMs + 500) })
    await governor.look()
    const { hottest, sensors: all, powerMode, step, steps } = governor.status()
    const failed = all.filter(({ state }) => state === 'failed')
    return [
      hottest ? { what: 'temperature', state: 'good', found: `${hottest.name} is at ${hottest.temperatureC.toFixed(1)} °C${step > 0 ? `: step ${step} of ${steps}` : ''}` }
        : { what: 'temperature', state: 'note', found: 'cannot be read here', advice: 'Nothing is lowered for heat; see docs/17-power-and-heat.md' },
      ...all.some(({ state }) => state === 'good') ? [{ what: 'sensors', state: 'good' as const, found: `${all.filter(({ state }) => state === 'good').map(({ sensor }) => sensor).join(', ')}${powerMode === undefined ? '' : `; power mode ${powerMode}`}` }] : [],
      ...failed.map(({ sensor, message }): Finding => ({ what: `sensor ${sensor}`, state: 'missing', found: message ?? 'it gives no reading', advice: 'See governor in the configuration.' })),
    ]
  } finally { await governor.stop() }
}
