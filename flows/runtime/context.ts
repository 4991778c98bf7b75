import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { readObject } from './files.ts'

/**
 * Sets aside what of the context on disk cannot be read: one damaged file of one flow would keep Node-RED from starting at all.
 * @returns what was set aside
 */
export async function mendContext(userDir: string): Promise<string[]> {
  const aside: string[] = []
  for (const entry of await readdir(join(userDir, 'context'), { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile() || !entry.name.endsWith('.json')) continue
    const file = join(entry.parentPath, entry.name)
    if (await readObject(file)) continue
    await rename(file, `${file}.damaged`)
    aside.push(`${file}.damaged`)
  }
  return aside
}
