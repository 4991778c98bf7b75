import { mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isLoopback } from '../../appliance/bus/certificate.ts'
import type { Address } from '../../appliance/bus/listeners.ts'
import { PROJECT_DIR } from '../../appliance/config/load.ts'
import type { FlowsConfig, ListenerConfig } from '../../appliance/config/schema.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'

/** Of the system: what holds no secret. Not /proc, where the environment of other processes can be read, nor /etc. */
const SYSTEM = ['/sys', '/usr/lib', '/usr/share']
/** Of the project: its state may lie in the same folder, and is not read. */
const OF_PROJECT = ['node_modules', 'flows', 'appliance', 'package.json']
/** What of the environment goes on; nothing that is called MTOR, and no secret that somebody put there. */
const KEPT = ['PATH', 'LANG', 'LC_ALL', 'TZ', 'MALLOC_ARENA_MAX'] as const
/** Part of the memory ceiling that JavaScript objects may take; the rest is code, buffers and stacks. */
const HEAP_SHARE = 0.6

export interface Places { userDir: string; filesDir: string; cacheDir: string }

/** Where Node-RED finds the appliance's own nodes. */
const nodesLink = (userDir: string) => join(userDir, 'node_modules', '@mtor', 'node-red-appliance')

export const placesOf = (dir: string): Places => ({ userDir: join(dir, 'node-red'), filesDir: join(dir, 'node-red', 'files'), cacheDir: join(dir, 'node-red', 'cache') })

/** Makes the folders of Node-RED, with the appliance's own nodes in them. */
export function makePlaces({ userDir, filesDir, cacheDir }: Places): void {
  for (const folder of [filesDir, cacheDir, join(userDir, 'node_modules', '@mtor')]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  try { writeFileSync(join(userDir, 'package.json'), '{ "name": "mtor-flows", "private": true }\n', { flag: 'wx' }) } catch { /* It is there. */ }
  const link = nodesLink(userDir)
  const target = join(PROJECT_DIR, 'flows')
  let there: string | undefined
  try { there = readlinkSync(link) } catch { /* None, or no link. */ }
  if (there === target) return
  rmSync(link, { recursive: true, force: true })
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(target, link, 'dir')
}

/**
 * Flags under which Node-RED runs: it reads the programs and its own folder, writes its own folder only, starts no program
 * and loads no native code; its heap has a ceiling. Threads are allowed, since a stop must not wait for a flow.
 * @see https://nodejs.org/docs/latest-v24.x/api/permissions.html
 */
export function flagsOf(config: Pick<FlowsConfig, 'maxMemoryMB' | 'readable' | 'writable'>, { userDir }: Places, alsoReadable: readonly string[]): string[] {
  const readable = [...SYSTEM, ...OF_PROJECT.map((name) => join(PROJECT_DIR, name)), userDir, ...config.readable, ...config.writable, ...alsoReadable]
  return [
    '--permission', ...readable.map((path) => `--allow-fs-read=${path}`), ...[userDir, ...config.writable].map((path) => `--allow-fs-write=${path}`), '--allow-worker',
    '--no-warnings', `--max-old-space-size=${Math.floor(config.maxMemoryMB * HEAP_SHARE)}`, '--max-semi-space-size=4',
  ]
}

/** The whole environment of Node-RED. */
export function environmentOf(config: Pick<FlowsConfig, 'environment'>, { userDir, cacheDir }: Places, realm: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...Object.fromEntries(KEPT.flatMap((name) => process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    HOME: userDir, NODE_COMPILE_CACHE: cacheDir, ...config.environment, ...realm,
  }
}

const ANY = new Set(['0.0.0.0', '::', ''])
const isPlain = ({ host, tls }: { host: string; tls?: unknown }) => (isLoopback(host) && (tls === undefined || tls === false)) || (ANY.has(host) && tls === false)

/**
 * The listeners of the bus, and where none of them is plain on loopback one more: certificates are made out to names by which
 * other machines know this one, and Node-RED is on this one.
 */
export const withLocalListener = (listeners: readonly ListenerConfig[]): ListenerConfig[] => listeners.some(isPlain) ? [...listeners] : [...listeners, { kind: 'tcp', host: '127.0.0.1', port: 0 }]

/** Where Node-RED reaches the bus. */
export function realmUrl(addresses: readonly Address[]): string {
  const plain = addresses.filter(isPlain)
  const address = plain.find(({ kind }) => kind === 'tcp') ?? plain[0]
  if (!address) throw new MtorError('INTERNAL', 'the bus has no plain listener on loopback')
  const host = ANY.has(address.host) ? '127.0.0.1' : address.host.includes(':') ? `[${address.host}]` : address.host
  return `${address.kind === 'tcp' ? 'mqtt' : 'ws'}://${host}:${address.port}`
}
