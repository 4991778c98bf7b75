import { compare, truncates } from 'bcryptjs'
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/**
 * Whether `password` is the one that a bcrypt hash was made of. The JavaScript of it computes a tenth of a second and more at
 * a time: in a thread of its own, so that neither the bus nor a stop waits for it.
 */
export async function bcryptMatches(password: string, stored: string): Promise<boolean> {
  // bcrypt looks at the first 72 bytes only: what is longer was never what was hashed.
  if (truncates(password)) return false
  const thread = new Worker(new URL(import.meta.url), { workerData: { password, stored }, env: {} })
  const [matches] = await once(thread, 'message') as [boolean]
  return matches
}

if (!isMainThread && parentPort) {
  const { password, stored } = workerData as { password: string; stored: string }
  parentPort.postMessage(await compare(password, stored))
}
