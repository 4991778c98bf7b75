import { readFileSync } from 'node:fs'
import { writeStopFrame } from '../../drivers/rover/stop-line.ts'

/** What the daemon leaves in its run folder for whoever must act without it. */
export interface RunFile { pid: number; devices: { id: string; driver: string; port: string }[] }

/**
 * Writes the stop frame straight to the line of every device the daemon had: for a daemon that is dead or hung.
 * True when at least one line took it.
 */
export async function stopAllLines(runFile: string): Promise<boolean> {
  let devices: RunFile['devices']
  try { devices = (JSON.parse(readFileSync(runFile, 'utf8')) as RunFile).devices } catch { return false }
  const results = await Promise.allSettled(devices.filter((d) => d.driver === 'rover').map(async (d) => { await writeStopFrame(d.port) }))
  return results.some((r) => r.status === 'fulfilled')
}
