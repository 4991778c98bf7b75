import { createRequire } from 'node:module'
import type { Ask } from './messages.ts'
import type { Credentials, Flows } from './flow.ts'
import { hasProbe, withoutProbe, withProbe } from './probe-flow.ts'
import { starterFlow } from './starter-flow.ts'

/** A user of Node-RED; deploys of the core carry with them what is to be kept. */
export interface StorageUser { username?: string; deploy?: { credentials?: Credentials; of?: number } }

export interface StorageOptions {
  ask<T>(ask: Ask): Promise<T>
  userDir: string
  /** MQTT client id of the probe's connection; undefined where the nodes for it are not there. */
  probeClientId(): string | undefined
  /** Somebody has deployed flows without the probe. */
  onProbeMissing(): void
}

interface Library { init(settings: object): Promise<void>; getLibraryEntry(type: string, path: string): Promise<unknown>; saveLibraryEntry(type: string, path: string, meta: object, body: unknown): Promise<void> }

/**
 * Node-RED's storage, which keeps nothing itself: the core does. The probe is added to what is loaded, and taken out of what is kept.
 * @see https://nodered.org/docs/api/storage/methods/
 */
export function makeStorage({ ask, userDir, probeClientId, onProbeMissing }: StorageOptions) {
  // Functions and flows that people keep for themselves lie in files of the user folder, as in any Node-RED.
  const library = createRequire(import.meta.url)('@node-red/runtime/lib/storage/localfilesystem/library.js') as Library
  let loaded: { flows: Flows; credentials: Credentials } | undefined
  /** Node-RED gives credentials first, then flows: they are kept together. */
  let unsaved: Credentials | undefined
  const load = async () => { loaded = await ask<{ flows: Flows; credentials: Credentials }>({ what: 'flows' }); return loaded }
  return {
    init: async () => { await library.init({ userDir, readOnly: false }) },
    getFlows: async (): Promise<Flows> => {
      const { flows } = await load()
      const clientId = probeClientId()
      return clientId === undefined ? flows : withProbe(flows.length === 0 ? starterFlow() : flows, clientId)
    },
    getCredentials: async (): Promise<Credentials> => (loaded ?? await load()).credentials,
    saveCredentials: async (credentials: Credentials) => { unsaved = credentials },
    saveFlows: async (flows: Flows, user?: StorageUser) => {
      const credentials = user?.deploy?.credentials ?? unsaved
      unsaved = undefined
      await ask({ what: 'save', flows: withoutProbe(flows), author: user?.username ?? 'editor', ...(credentials === undefined ? {} : { credentials }), ...(user?.deploy?.of === undefined ? {} : { of: user.deploy.of }) })
      const clientId = probeClientId()
      if (clientId !== undefined && !hasProbe(flows, clientId)) onProbeMissing()
    },
    getSettings: () => ask<object>({ what: 'read', name: 'settings' }),
    saveSettings: (value: unknown) => ask<void>({ what: 'write', name: 'settings', value }),
    getSessions: () => ask<object>({ what: 'read', name: 'sessions' }),
    saveSessions: (value: unknown) => ask<void>({ what: 'write', name: 'sessions', value }),
    getLibraryEntry: library.getLibraryEntry,
    saveLibraryEntry: library.saveLibraryEntry,
  }
}
