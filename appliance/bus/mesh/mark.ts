import type { Version } from './version.ts'

/**
 * What the mesh knows of a packet on its way through the broker. `stays`: it came from another node, or is for the clients
 * of this one alone. `handed`: it waited at another node for the one client that it is for.
 */
export interface Mark { version: Version; stays?: true; handed?: true }
interface Marked { properties?: { mark?: Mark } }

/**
 * The mark travels as `properties`, which aedes copies from packet to packet. They are of MQTT 5, which no client here
 * speaks: to a client of MQTT 3.1.1 nothing of them is written.
 */
export const markOf = (packet: object): Mark | undefined => (packet as Marked).properties?.mark
export const marked = <P extends object>(packet: P, mark: Mark): P => Object.assign(packet, { properties: { mark } })
