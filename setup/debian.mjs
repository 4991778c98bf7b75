import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { done, failed, missing, ticking } from './steps.mjs'

const SPHINX = '/usr/share/pocketsphinx'
// The first speech engine's library ships for x86-64; elsewhere the second one is what hears.
const SECOND_ENGINE = process.arch === 'x64' ? 'test' : 'start'
/**
 * What is used of Debian, who uses it, and what does not work without it. `needs`: a program in PATH, or a file. `service`: what Debian would start with it.
 * `for`: start ⊂ test ⊂ bench; each purpose brings those before it.
 */
export const PARTS = [
  { package: 'alsa-utils', needs: 'arecord', for: 'start', without: 'no hearing and no sound (arecord, aplay)' },
  { package: 'flite', needs: 'flite', for: 'start', without: 'replies fall back to espeak-ng' },
  { package: 'espeak-ng', needs: 'espeak-ng', for: 'start', without: 'no second voice if flite fails' },
  { package: 'openssl', needs: 'openssl', for: 'start', without: 'no self-made certificate for listening beyond loopback' },
  { package: 'etcd-server', needs: 'etcd', for: 'start', service: 'etcd', without: 'no realm of several nodes' },
  { package: 'ffmpeg', needs: 'ffmpeg', for: 'start', without: 'no camera by V4L2 or RTSP and no thumbnails; only JPEG pictures' },
  ...(process.arch === 'arm64' ? [{ package: 'libatomic1', needs: '/usr/lib/aarch64-linux-gnu/libatomic.so.1', for: 'start', without: 'the first speech engine cannot be loaded' }] : []),
  // The first speech engine for arm64 comes as a Python wheel; elsewhere only models that an operator asks for do.
  { package: 'python3-pip', needs: 'pip3', for: process.arch === 'arm64' ? 'start' : 'test', without: 'models cannot be fetched from PyPI' },
  { package: 'python3-venv', needs: '/usr/share/doc/python3-venv', for: 'test', without: 'the dialects are not tried with clients that others wrote' },
  { package: 'bzip2', needs: 'bzip2', for: 'test', without: 'models in .tar.bz2 cannot be unpacked' },
  { package: 'xz-utils', needs: 'xz', for: 'test', without: 'models in .tar.xz cannot be unpacked' },
  { package: 'pocketsphinx', needs: 'pocketsphinx_continuous', for: SECOND_ENGINE, without: 'no second speech engine' },
  { package: 'pocketsphinx-en-us', needs: `${SPHINX}/model/en-us`, for: SECOND_ENGINE, without: 'the second speech engine has no model' },
  { package: 'pocketsphinx-testdata', needs: `${SPHINX}/test/data/goforward.raw`, for: 'test', without: 'no human voice to test with' },
  { package: 'sox', needs: 'sox', for: 'test', without: 'test sounds cannot be made' },
  { package: 'chromium', needs: 'chromium', for: 'test', without: 'no browser to try the flow editor in' },
  { package: 'mosquitto', needs: 'mosquitto', for: 'bench', service: 'mosquitto', without: 'no peer beside the bus bench' },
  { package: 'asterisk-core-sounds-en-wav', needs: '/usr/share/asterisk/sounds/en_US_f_Allison/vm-intro.wav', for: 'bench', without: 'no speech to count false accepts on' },
  { package: 'asterisk-core-sounds-en', needs: '/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz', for: 'bench', without: 'no texts of that speech to judge transcribers by' },
  { package: 'python3-skimage', needs: '/usr/lib/python3/dist-packages/skimage/data/chelsea.png', for: 'bench', without: 'fewer photographs to look at (coffee, cat, motorcycle …)' },
  { package: 'python-matplotlib-data', needs: '/usr/share/matplotlib/mpl-data/sample_data/grace_hopper.jpg', for: 'bench', without: 'one photograph less to look at' },
  { package: 'opencv-doc', needs: '/usr/share/doc/opencv-doc/examples/data/messi5.jpg', for: 'bench', without: 'fewer photographs to look at (footballer, bus, birds …)' },
]
const PURPOSES = ['start', 'test', 'bench']

const programs = () => [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
const isThere = (needs) => needs.startsWith('/') ? existsSync(needs) : programs().some((folder) => existsSync(join(folder, needs)))

/** The parts of this purpose that are not there. */
export const missingParts = (purpose) => PARTS.filter((part) => PURPOSES.indexOf(part.for) <= PURPOSES.indexOf(purpose) && !isThere(part.needs))

const INSTALL = ['apt-get', 'install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300']
const hasLists = () => { try { return readdirSync('/var/lib/apt/lists').some((name) => name.includes('Packages')) } catch { return false } }

/** Runs a command; `errors` is the end of what it said on stderr. */
function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    let errors = ''
    child.stderr.on('data', (data) => { errors = (errors + data).slice(-4_000) })
    child.on('error', (error) => resolve({ code: 1, errors: error.message }))
    child.on('close', (code) => resolve({ code, errors }))
  })
}

/** Installs missing Debian parts where it may (root, or sudo without a password); else says what to run. Never fails: it says what will not work. */
export async function installParts(purpose) {
  const parts = missingParts(purpose)
  if (parts.length === 0) return
  const names = parts.map((part) => part.package)
  if (!isThere('apt-get')) {
    missing('this is no Debian: install these by hand:')
    for (const part of parts) missing(`  ${part.needs} (Debian calls it ${part.package}); without it: ${part.without}`)
    return
  }
  const root = process.getuid?.() === 0
  const prefix = root ? [] : ['sudo', '-n']
  const allowed = !process.env.MTOR_NO_APT && (root || (isThere('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0))
  if (!allowed) {
    missing(`missing: ${names.join(' ')}. To install: ${root ? '' : 'sudo '}apt-get update && ${root ? '' : 'sudo '}apt-get install -y --no-install-recommends ${names.join(' ')}`)
    for (const part of parts) missing(`  without ${part.package}: ${part.without}`)
    return
  }
  const startedMs = performance.now()
  const stop = ticking(() => `installing ${names.join(', ')}`)
  const apt = (...args) => run([...prefix, ...args])
  const update = () => apt('apt-get', 'update', '-qq')
  if (!hasLists()) await update()
  let result = await apt(...INSTALL, ...names)
  // Lists grow old: then a package cannot be located or fetched; once more with new ones.
  if (result.code !== 0) { await update(); result = await apt(...INSTALL, ...names) }
  // One package that this release lacks must not keep the others away.
  if (result.code !== 0) for (const name of names) { const one = await apt(...INSTALL, name); if (one.code !== 0) result = one }
  // Debian starts what it installs; on their ports the broker and etcd would be in the way of the appliance's own.
  if (isThere('systemctl')) for (const { service } of parts) if (service) await apt('systemctl', 'disable', '--now', service)
  stop()
  const still = missingParts(purpose)
  if (still.length < parts.length) done(`Debian: ${names.filter((name) => !still.some((part) => part.package === name)).join(', ')}`, startedMs)
  if (still.length > 0) {
    failed(`apt-get did not bring: ${still.map((part) => part.package).join(' ')}\n${result.errors.trim().split('\n').slice(-3).join('\n')}`)
    for (const part of still) missing(`  without ${part.package}: ${part.without}`)
  }
}
