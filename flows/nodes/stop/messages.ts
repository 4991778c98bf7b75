import type { ConnectionSettings } from '../../lib/settings.ts'

/** What the worker is started with. */
export interface StopWorkerData {
  settings: ConnectionSettings
  topic: string
  /** Counts on as long as Node-RED's event loop turns; left out: no dead man. */
  heartbeat?: SharedArrayBuffer
  /** The event loop may stand still for so long, ms. */
  deadManMs: number
}
export type ToWorker = { stop: number; reason: string } | { close: true }
export type FromWorker = { stopped: number } | { failed: number; message: string } | { connected: boolean; trouble?: string } | { deadMan: true }
