import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { done, SetupError, ticking } from './steps.mjs'

const stampFile = (root) => join(root, 'node_modules/.mtor-setup.json')
const node24 = (root) => join(root, 'node_modules/.bin/node')
const lockHash = (root) => createHash('sha256').update(readFileSync(join(root, 'package-lock.json'))).digest('hex')
const readJson = (file) => { try { return JSON.parse(readFileSync(file, 'utf8')) } catch { return undefined } }

/** True when node_modules was made from this very package-lock.json. */
export const packagesAreCurrent = (root) => readJson(stampFile(root))?.lock === lockHash(root) && isRunnable(node24(root)) && existsSync(join(root, 'node_modules/.bin/mtor'))

const isRunnable = (file) => { try { return (statSync(file).mode & 0o111) !== 0 } catch { return false } }

/** True when what npm says it installed is what the lock asks for: somebody ran npm by hand. */
function matchesLock(root) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages
  const present = readJson(join(root, 'node_modules/.package-lock.json'))?.packages
  if (!wanted || !present) return false
  return Object.entries(wanted).every(([path, entry]) => path === '' || entry.optional || present[path]?.version === entry.version)
}

/**
 * Installs the packages of package-lock.json and Node 24, exactly as locked. Install scripts are not run: the
 * packages with native parts ship them prebuilt, and those scripts would compile or download; the one script that
 * is needed, which fetches the Node 24 of this architecture, is run by itself. That also makes every npm behave alike
 * (only npm ≥ 11.16 knows `allowScripts`).
 */
export async function installPackages(root) {
  if (!matchesLock(root)) {
    const startedMs = performance.now()
    const total = Object.keys(readJson(join(root, 'package-lock.json'))?.packages ?? {}).length
    const count = () => { try { return readdirSync(join(root, 'node_modules')).length } catch { return 0 } }
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], root, () => `installing about ${total} packages, ${count()} folders there`)
    done('packages of package-lock.json', startedMs)
  }
  if (!isRunnable(node24(root))) await installNode(root)
  link(root, '../../setup/mtor.mjs', 'mtor')
  writeFileSync(stampFile(root), `${JSON.stringify({ lock: lockHash(root) })}\n`)
}

async function installNode(root) {
  const startedMs = performance.now()
  const folder = join(root, 'node_modules/node')
  const { version } = readJson(join(folder, 'package.json')) ?? {}
  if (!isRunnable(join(folder, 'bin/node'))) await run('node', ['installArchSpecificPackage.js'], folder, () => `installing Node ${version}`)
  // The executable is a hard link to this copy, so it costs no room to leave it to npm; a stale one would.
  rmSync(join(folder, 'node_modules'), { recursive: true, force: true })
  link(root, '../node/bin/node', 'node')
  done(`Node ${version}`, startedMs)
}

// npm itself links no command of the root package, and with a "bin" in package.json npx would first install
// this very folder into its cache: so the link is made here.
function link(root, target, name) {
  const path = join(root, 'node_modules/.bin', name)
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  symlinkSync(target, path)
}

/** Runs a command with what it prints held back; shows it only when the command fails. */
function run(command, args, cwd, text) {
  const stop = ticking(text)
  return new Promise((resolve, reject) => {
    // Settings that npm hands to scripts would send a nested npm to the wrong folder; and the Node 24 of the old
    // node_modules, first in the PATH of npm's scripts, is being removed.
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_(config_local_prefix|package_|lifecycle_)/.test(key)))
    env.PATH = (env.PATH ?? '').split(':').filter((folder) => !folder.includes('node_modules')).join(':')
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output = (output + data).slice(-8_000) })
    child.on('error', (error) => { stop(); reject(new SetupError(`cannot run ${command}: ${error.message}`, 'Install Node 20 or newer together with npm.')) })
    child.on('close', (code) => {
      stop()
      if (code === 0) return resolve()
      reject(new SetupError(`${command} ${args.slice(0, 1).join(' ')} ended with ${code}:\n${output.trim()}`, 'Check the network and the free disk space (about 1 GB), then run the same command again.'))
    })
  })
}
