import { isCode } from '../../appliance/contracts/codes.ts'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import type { Held } from './handler.ts'
import type { Realm } from './realm.ts'
import type { Message, NodeConfig, NodeStatus, Red, RedNode } from './red.ts'

/** The config node as the others see it; undefined where its settings are wrong, which it has said itself. */
export type RealmNode = RedNode & { realm: Realm | undefined }
export interface RealmUser extends NodeConfig { realm: string }

/** What a node is part of: its realm, and a status that says so while there is no connection. */
export interface Attached { realm: Realm; /** Shows `idle`, or that there is no connection. */ refresh(): void }

/** The realm that a node names; where there is none the node's status says so. */
export function realmOf(RED: Red, node: RedNode, config: RealmUser): Realm | undefined {
  const realm = (RED.nodes.getNode(config.realm) as RealmNode | null | undefined)?.realm
  if (!realm) node.status({ fill: 'red', shape: 'ring', text: RED._('common.status.noRealm') })
  return realm
}

/**
 * Attaches a node to the realm it names. While connected it shows what `idle` gives, from the first `refresh` on. Without a realm it says so, and
 * what it is then asked to do fails with CONFIG_INVALID.
 */
export function attach(RED: Red, node: RedNode, config: RealmUser, idle: () => NodeStatus = () => ({})): Attached | undefined {
  const realm = realmOf(RED, node, config)
  if (!realm) return undefined
  const refresh = () => node.status(realm.connection.ready ? idle() : { fill: 'red', shape: 'ring', text: `${RED._('common.status.notConnected')}${realm.connection.trouble ? `: ${realm.connection.trouble}`.slice(0, 60) : ''}` })
  const off = realm.connection.onState(refresh)
  node.on('close', (_removed, done) => { off(); done() })
  if (!realm.connection.ready) refresh()
  return { realm, refresh }
}

/** @throws MtorError CONFIG_INVALID */
export function attached(to: Attached | undefined): Realm {
  if (!to) throw new MtorError('CONFIG_INVALID', 'this node has no realm: choose one in its settings')
  return to.realm
}

/** What a message of an intent in node carries, so that nodes behind it find the intent again. Plain, as messages are cloned. */
export interface Handle { realm: string; intent: string; instance: string }

/** The intent a message is of, and who has it: by its handle, by `msg.intent.id`, else by the message id, which every node keeps. */
export function findHeld(RED: Red, msg: Message): { realm: Realm; held: Held | undefined; intent: string | undefined } | undefined {
  const handle = msg._mtor as Partial<Handle> | undefined
  const intent = handle?.intent ?? (msg.intent as { id?: string } | undefined)?.id
  const realms: Realm[] = []
  RED.nodes.eachNode((config) => {
    if (config.type !== 'mtor-realm') return
    const { realm } = (RED.nodes.getNode(config.id) ?? {}) as Partial<RealmNode>
    if (realm && !realms.includes(realm)) realms.push(realm)
  })
  for (const realm of realms) {
    const held = realm.handler.heldBy({ intent, msgid: msg._msgid })
    if (held) return { realm, held, intent: held.task.id }
  }
  const known = intent === undefined ? undefined : realms.find((realm) => realm.handler.endOf(intent) !== undefined)
  return known ? { realm: known, held: undefined, intent } : undefined
}

/** Shows an error for a moment's look, and gives it with the code of the catalogue to `done`, so that catch nodes have it as msg.error.code. */
export function failed(node: RedNode, done: (error?: unknown) => void, thrown: unknown): void {
  // Every node is bundled by itself: an error of the realm's has its code, but is of another class of the same name.
  const error = thrown instanceof Error && isCode((thrown as { code?: unknown }).code) ? thrown as MtorError : toMtorError(thrown)
  node.status({ fill: 'red', shape: 'dot', text: error.code })
  done(error)
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** One slot or argument of a form: a value of the kind that Node-RED's typed input has. */
export interface Field { name: string; value: string; valueType: string }

/** @throws MtorError INVALID_SLOTS for a value that cannot be had */
export async function valueOf(RED: Red, node: RedNode, msg: Message, value: string, type: string): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    try {
      RED.util.evaluateNodeProperty(value, type, node, msg, (error, got) => { if (error) reject(new MtorError('INVALID_SLOTS', String((error as Error).message ?? error))); else resolve(got) })
    } catch (error) { reject(new MtorError('INVALID_SLOTS', `cannot take ${type} ${value}: ${(error as Error).message}`, { cause: error })) }
  })
}

/**
 * The slots of an intent: an object of the message, or the fields of the form; fields without a value are left out.
 * @throws MtorError INVALID_SLOTS
 */
export async function slotsFrom(RED: Red, node: RedNode, msg: Message, from: { source?: string | undefined; fields?: readonly Field[] | undefined }): Promise<Record<string, unknown>> {
  if (from.source === 'payload') {
    const { payload } = msg
    if (payload === undefined || payload === null || payload === '') return {}
    if (!isObject(payload)) throw new MtorError('INVALID_SLOTS', `expected the slots as an object in msg.payload, got ${JSON.stringify(payload)?.slice(0, 80)}`)
    return payload
  }
  const slots: Record<string, unknown> = {}
  for (const { name, value, valueType } of from.fields ?? []) {
    const got = await valueOf(RED, node, msg, value, valueType)
    if (name !== '' && got !== undefined && got !== '') slots[name] = got
  }
  return slots
}

/** A number of a form's field, or the fallback where it is empty. */
export function numberOf(value: unknown, fallback: number): number
export function numberOf(value: unknown, fallback: undefined): number | undefined
export function numberOf(value: unknown, fallback: number | undefined): number | undefined {
  const number = value === '' || value === undefined || value === null ? Number.NaN : Number(value)
  return Number.isFinite(number) ? number : fallback
}

/** Milliseconds of a form's field in seconds; undefined where it is empty. */
export function milliseconds(value: unknown): number | undefined {
  const seconds = numberOf(value, undefined)
  return seconds === undefined ? undefined : Math.round(seconds * 1000)
}
