import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, openSync, closeSync, fdatasyncSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Config } from '../config/schema.ts'
import { systemClock } from '../contracts/clock.ts'
import { toMtorError } from '../contracts/errors.ts'
import type { ControlClient } from './client.ts'
import { examineFlows } from './doctor-flows.ts'
import { examineInference } from './doctor-inference.ts'

const run = promisify(execFile)

/** One thing the doctor looked at. `missing` means something that was asked for cannot work. */
export interface Finding { what: string; state: 'good' | 'note' | 'missing'; found: string; advice?: string }

const PROGRAMS: { name: string; args: string[]; package: string; why: string; essential: boolean }[] = [
  { name: 'arecord', args: ['--version'], package: 'alsa-utils', why: 'hears', essential: true },
  { name: 'aplay', args: ['--version'], package: 'alsa-utils', why: 'speaks', essential: true },
  { name: 'flite', args: ['-lv'], package: 'flite', why: 'makes the voice', essential: true },
  { name: 'espeak-ng', args: ['--version'], package: 'espeak-ng', why: 'second voice', essential: false },
  { name: 'pocketsphinx_continuous', args: ['-h'], package: 'pocketsphinx', why: 'second recogniser', essential: false },
  { name: 'ffmpeg', args: ['-version'], package: 'ffmpeg', why: 'takes pictures from cameras', essential: false },
  { name: 'openssl', args: ['version'], package: 'openssl', why: 'makes certificates beyond loopback', essential: false },
]

/** Looks at what the appliance needs: programs, models, sound, camera, GPU, sensors, devices, disk, clock, daemon. */
export async function examine(config: Config, client: ControlClient): Promise<Finding[]> {
  const findings: Finding[] = [{ what: 'Node', state: Number(process.versions.node.split('.')[0]) >= 24 ? 'good' : 'missing', found: process.version }]
  findings.push(...await Promise.all(PROGRAMS.map(program)))
  const inference = examineInference(config)
  findings.push(await soundCards('arecord', 'microphone'), await soundCards('aplay', 'loudspeaker'))
  findings.push(...await inference)
  findings.push(...await examineFlows(config, client))
  for (const device of config.devices) findings.push(devicePort(device.id, device.port))
  findings.push(disk(config.stateDir), { what: 'clock', state: systemClock.wallMs() === undefined ? 'note' : 'good', found: systemClock.wallMs() === undefined ? 'not known good' : new Date().toISOString() })
  findings.push(await daemon(client))
  return findings
}

async function program({ name, args, package: pkg, why, essential }: (typeof PROGRAMS)[number]): Promise<Finding> {
  try {
    await run(name, args, { timeout: 5_000 })
    return { what: name, state: 'good', found: why }
  } catch (error) {
    // Some print their help with a non-zero status: they are there all the same.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return { what: name, state: 'good', found: why }
    return { what: name, state: essential ? 'missing' : 'note', found: 'not installed', advice: `apt-get install ${pkg}` }
  }
}

async function soundCards(command: 'arecord' | 'aplay', what: string): Promise<Finding> {
  try {
    const { stdout } = await run(command, ['-l'], { timeout: 5_000 })
    const cards = stdout.split('\n').filter((line) => /^card \d+:/.test(line))
    if (cards.length) return { what, state: 'good', found: cards[0]! }
  } catch { /* No card makes the program fail: the same finding. */ }
  return { what, state: 'note', found: 'none', advice: what === 'microphone' ? 'Plug one in; until then: mtor listen FILE.wav' : 'Replies are shown but not heard.' }
}

function devicePort(id: string, port: string): Finding {
  const what = `device ${id}`
  if (port === 'simulated') return { what, state: 'good', found: 'simulated' }
  if (!existsSync(port)) return { what, state: 'missing', found: `${port} is not there`, advice: 'Plug it in, or set devices[].port.' }
  try { accessSync(port, constants.R_OK | constants.W_OK); return { what, state: 'good', found: port } } catch { return { what, state: 'missing', found: `${port} may not be opened`, advice: 'Add the user to the group dialout.' } }
}

/** Free space, and what one fdatasync costs here: the least a durable accept can take. */
function disk(folder: string): Finding {
  try {
    mkdirSync(folder, { recursive: true })
    const probe = join(folder, `.probe-${process.pid}`)
    const fd = openSync(probe, 'w')
    const times: number[] = []
    for (let i = 0; i < 5; i++) { const startMs = performance.now(); writeSync(fd, Buffer.alloc(4096)); fdatasyncSync(fd); times.push(performance.now() - startMs) }
    closeSync(fd)
    rmSync(probe)
    const { bavail, bsize } = statfsSync(folder)
    const freeMB = Math.round(bavail * bsize / 1e6)
    return { what: 'state folder', state: freeMB < 200 ? 'note' : 'good', found: `${folder}, ${freeMB} MB free, fdatasync ${times.sort((a, b) => a - b)[2]!.toFixed(2)} ms`, ...(freeMB < 200 ? { advice: 'Free some space: below 200 MB the journal may be refused.' } : {}) }
  } catch (error) { return { what: 'state folder', state: 'missing', found: (error as Error).message, advice: 'Set stateDir to a folder that can be written.' } }
}

async function daemon(client: ControlClient): Promise<Finding> {
  try {
    const status = await client.call('GET', '/status') as { node: string; pid: number }
    return { what: 'daemon', state: 'good', found: `running as ${status.node}, pid ${status.pid}` }
  } catch (error) { return { what: 'daemon', state: 'note', found: toMtorError(error).message, advice: 'Start it with: npm start' } }
}
