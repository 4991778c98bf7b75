import type { Code } from '../../appliance/contracts/codes.ts'
import type { Credentials, Flows } from './flow.ts'

/** What Node-RED is told at its start. Everything secret comes this way, and nothing of it by the environment. */
export interface Setup {
  host: string
  /** 0 takes a free one. */
  port: number
  /** PEM; left out: plain HTTP. */
  tls?: { cert: string; key: string }
  userDir: string
  /** Where relative file names of file nodes begin. */
  filesDir: string
  credentialSecret: string
  functionTimeoutS: number
  /** Who opens the editor must log in; the core knows who may. */
  login: boolean
  /** Only requests that name a loopback host are served. */
  loopbackOnly: boolean
}

/** An operator of the editor, as Node-RED wants to know one. */
export interface EditorUser { username: string; permissions: string }

/** What Node-RED asks the core for. */
export type Ask =
  | { what: 'flows' }
  | { what: 'save'; flows: Flows; /** Left out: as they were. */ credentials?: Credentials; author: string; of?: number }
  | { what: 'read'; name: 'settings' | 'sessions' }
  | { what: 'write'; name: 'settings' | 'sessions'; value: unknown }
  | { what: 'authenticate'; username: string; password: string }
  | { what: 'user'; username: string }

export type ToNodeRed =
  | { kind: 'run'; setup: Setup }
  | { kind: 'answer'; id: number; value?: unknown; error?: string }
  | { kind: 'deploy'; id: number; flows: Flows; credentials?: Credentials; author: string; of?: number }
  | { kind: 'shutdown' }

export type LogLevel = 'warning' | 'error' | 'critical'

export type FromNodeRed =
  | { kind: 'up' }
  /** The editor answers. */
  | { kind: 'listening'; port: number; version: string; types: string[] }
  /** The flows run, or cannot because of node types that are not installed. */
  | { kind: 'running'; missing: string[]; probe: boolean }
  | { kind: 'ask'; id: number; ask: Ask }
  | { kind: 'deployed'; id: number; error?: { code: Code; message: string } }
  | { kind: 'log'; level: LogLevel; message: string; leftOut: number }
  /** It ends because of this. */
  | { kind: 'failed'; code: Code; message: string }
