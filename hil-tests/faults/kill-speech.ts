import type { Fault } from './port.ts'

/** kill −9 of the speech process; the daemon starts it again. */
export const killSpeech: Fault = {
  kind: 'kill-speech', weight: 1,
  async inject({ appliance }) {
    const status = await appliance.control.call('GET', '/status').catch(() => undefined) as { speech?: { pid?: number } } | undefined
    const pid = status?.speech?.pid
    if (pid === undefined) return undefined
    try { process.kill(pid, 'SIGKILL') } catch { return undefined }
    return { pid }
  },
}
