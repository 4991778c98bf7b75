import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { ProgressLine } from '../appliance/cli/progress.ts'
import { loadConfig, PROJECT_DIR } from '../appliance/config/load.ts'
import { systemClock } from '../appliance/contracts/clock.ts'
import { toMtorError } from '../appliance/contracts/errors.ts'
import { ModelStore } from '../appliance/inference/store/index.ts'
import { done, missing } from './steps.mjs'

/** Brings the default models: node setup/models.ts STAMP KEY. Ends with 0 also where one could not be brought: that is told. */
const [stamp, key] = process.argv.slice(2)
const { modelsDir, copyDir, scrubPeriodMs } = loadConfig(process.env.MTOR_CONFIG).inference
const store = new ModelStore({
  modelsDir: resolve(PROJECT_DIR, modelsDir), copyDir: copyDir === undefined ? undefined : resolve(PROJECT_DIR, copyDir), clock: systemClock, scrubPeriodMs,
  onEvent: ({ message, severity }) => { if (severity !== 'info') missing(String(message)) },
})
const cancel = new AbortController()
process.once('SIGINT', () => cancel.abort())

const startedMs = performance.now()
const here: string[] = []
const failed: string[] = []
for (const { name } of store.defaults()) {
  const line = new ProgressLine(`  ${name}`)
  const beganMs = performance.now()
  try {
    const { how } = await store.pull(name, { signal: cancel.signal, onProgress: (progress) => line.show(progress) })
    line.end()
    if (how === 'fetched') done(`model ${name}`, beganMs)
    here.push(name)
  } catch (thrown) {
    const { code, message, hint } = toMtorError(thrown)
    line.end()
    if (cancel.signal.aborted) process.exit(130)
    missing(`model ${name}: ${code}: ${message}\n  ${hint}`)
    failed.push(name)
  }
}
if (here.length > 0) done(`models are right: ${here.join(', ')}`, startedMs)

const files = []
for (const verified of here) for (const path of store.filesOf(verified)) {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found) files.push({ path, bytes: found.size, mtimeMs: found.mtimeMs })
}
if (stamp !== undefined) {
  // A stamp that cannot be written costs the next start a second, no more.
  try { mkdirSync(dirname(stamp), { recursive: true }); writeFileSync(`${stamp}.new`, JSON.stringify({ key, files, failed })); renameSync(`${stamp}.new`, join(stamp)) } catch (thrown) { missing(toMtorError(thrown).message) }
}
