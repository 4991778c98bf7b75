import type { DeployMeta } from './store.ts'

/**
 * off: switched off, or stopped. starting: until flows run. running. incomplete: the editor answers, but flows need node types
 * that are not installed, so none runs. down: ended, and about to be started again.
 */
export type FlowsState = 'off' | 'starting' | 'running' | 'incomplete' | 'down'

export interface FlowsStatus {
  state: FlowsState
  url?: string
  /** The editor asks for name and password. */
  login: boolean
  /** Of Node-RED. */
  version?: string
  pid?: number
  rssMB?: number
  restarts: number
  /** Of the last start: until the probe intent was back, ms. */
  startMs?: number
  /** How long the last probe intent took, ms. */
  probeMs?: number
  /** Node types that are not installed. */
  missing?: string[]
  deploy?: Pick<DeployMeta, 'n' | 'at' | 'author' | 'good'>
}
