import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ExecutionContext } from 'ava'

/** For tests: a folder with files as the kernel shows them. `write` changes them, as the kernel does. */
export async function sensorTree(t: ExecutionContext, files: Record<string, string | number> = {}) {
  const root = await mkdtemp(join(tmpdir(), 'mtor-governor-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const write = async (changed: Record<string, string | number>) => {
    for (const [path, content] of Object.entries(changed)) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), `${content}\n`)
    }
  }
  await write(files)
  return { root, write, remove: (path: string) => rm(join(root, path), { recursive: true, force: true }), thermalDir: join(root, 'thermal'), cpuDir: join(root, 'cpu'), powerDir: join(root, 'power') }
}

/** A thermal zone. */
export const zone = (index: number, type: string, temperatureC: number | string) => ({
  [`thermal/thermal_zone${index}/type`]: type, [`thermal/thermal_zone${index}/temp`]: typeof temperatureC === 'number' ? Math.round(temperatureC * 1000) : temperatureC,
})
