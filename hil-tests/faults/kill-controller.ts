import type { Fault } from './port.ts'

/** kill −9 of the simulated controller: as if its power was cut. Its host powers it up again; its flash is kept. */
export const killController: Fault = {
  kind: 'kill-controller', weight: 1,
  async inject({ controller }) {
    const { pid } = controller
    if (pid === undefined) return undefined
    try { process.kill(pid, 'SIGKILL') } catch { return undefined }
    return { pid }
  },
}
