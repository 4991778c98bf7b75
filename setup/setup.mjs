#!/usr/bin/env node
// Brings what the appliance needs: Node 24 and the packages of package-lock.json, Debian parts, the default models.
// node setup/setup.mjs [--for=start|test|bench]
import { dirname } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { installParts, missingParts } from './debian.mjs'
import { lock } from './lock.mjs'
import { bringModels, modelsState, sayGivenUp } from './models.mjs'
import { installPackages, packagesAreCurrent } from './packages.mjs'
import { done, failed, say, SetupError } from './steps.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
const PURPOSES = ['start', 'test', 'bench']

/**
 * Sets up this checkout for a purpose; each brings the ones before it. Doing it again is quick and changes nothing.
 * @param {'start' | 'test' | 'bench'} purpose
 * @throws {SetupError} only when nothing can run: Node too old, packages not to be had
 */
export async function setUp(purpose) {
  const startedMs = performance.now()
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) throw new SetupError(`this is Node ${process.versions.node}; 20 or newer is needed`, 'Install a newer Node (Debian 12 backports, or the packages of nodejs.org).')
  // Only here: the mtor command loads this file too, and builds nothing.
  const { buildFlows, flowsAreCurrent } = await import('../flows/build.mjs')
  const packages = packagesAreCurrent(root)
  let models = packages ? modelsState(root, purpose) : 'missing'
  if (packages && flowsAreCurrent() && missingParts(purpose).length === 0 && models !== 'missing') {
    if (models === 'given up') sayGivenUp(root)
    return
  }
  const unlock = await lock(root)
  try {
    if (!packagesAreCurrent(root)) await installPackages(root)
    const flowsMs = performance.now()
    if (await buildFlows()) done('nodes of the flows', flowsMs)
    await installParts(purpose)
    // Another set-up may have brought them while this one waited.
    models = modelsState(root, purpose)
    if (models === 'missing') await bringModels(root)
  } finally { unlock() }
  done('set up', startedMs)
}

/** Runs `setUp` as a command does: what went wrong is printed, and the process ends with 1. */
export async function setUpOrExit(purpose) {
  try { await setUp(purpose) } catch (error) {
    if (!(error instanceof SetupError)) throw error
    failed(error.message)
    say(`  ${error.hint}`)
    process.exit(1)
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const purpose = process.argv.find((argument) => argument.startsWith('--for='))?.slice(6) ?? 'start'
  if (!PURPOSES.includes(purpose)) { failed(`--for=${purpose}: expected ${PURPOSES.join(', ')}`); process.exit(2) }
  await setUpOrExit(purpose)
}
