import type { RealmCatalogue } from '../../appliance/contracts/handlers.ts'
import type { Choices } from './form.ts'
import { $, RED } from './red.ts'

/** Asked again after this: the appliance may have learned types since. */
const FRESH_MS = 3000
/** What a rover's state and a node's telemetry hold. @see ../../appliance/contracts/telemetry.ts */
const DEVICE_VALUES = ['batteryV', 'batteryFraction', 'temperatureC', 'lightFraction', 'speedMps', 'headingDeg', 'odometerM', 'xM', 'yM', 'moving', 'stalled', 'connected']
const NODE_VALUES = ['coreRssBytes', 'speechRssBytes', 'eventLoopP99Ms', 'load1', 'journalQueue', 'intentsAccepted', 'intentsFinished']
const kept = new Map<string, { atMs: number; catalogue: Promise<RealmCatalogue | undefined> }>()

/** What the appliance behind a realm node offers to choose from; undefined while it cannot be asked. */
export function catalogueOf(realm: string): Promise<RealmCatalogue | undefined> {
  const known = kept.get(realm)
  if (known && performance.now() - known.atMs < FRESH_MS) return known.catalogue
  const catalogue = new Promise<RealmCatalogue | undefined>((resolve) => { $.getJSON('mtor-appliance/catalogue', { realm }).done(resolve).fail(() => resolve(undefined)) })
  kept.set(realm, { atMs: performance.now(), catalogue })
  return catalogue
}

/** Types of this very canvas that the appliance does not know yet: they are about to be deployed with it. */
function drawnTypes(catalogue: RealmCatalogue | undefined): (readonly [type: string, title: string])[] {
  const drawn = new Map(RED.nodes.filterNodes({ type: 'mtor-intent-define' }).map(({ intentType, title }) => [String(intentType ?? ''), String(title ?? '')]))
  return [...drawn].filter(([type]) => type !== '' && !catalogue?.types.some((known) => known.type === type))
}

/** What can be chosen, as the editor's autoComplete takes it. */
export function choicesOf(from: Choices, catalogue: RealmCatalogue | undefined, typed: string, device: string): { value: string; label: string }[] {
  const all = ((): readonly (readonly [value: string, about?: string])[] => {
    switch (from) {
      case 'types': return [...drawnTypes(catalogue), ...catalogue?.types.map(({ type, title }) => [type, title] as const) ?? []]
      // What the box carries out itself is never given to a flow.
      case 'handled': return [...drawnTypes(catalogue), ...catalogue?.types.filter(({ by }) => by !== 'appliance').map(({ type, title }) => [type, title] as const) ?? []]
      case 'devices': return catalogue?.devices.map(({ id, kind }) => [id, kind]) ?? []
      case 'commands': return Object.keys(catalogue?.devices.find(({ id }) => id === device)?.commands ?? {}).map((command) => [command])
      case 'components': return catalogue?.components.map((component) => [component]) ?? []
      case 'packets': return [['node']]
      case 'values': return [...DEVICE_VALUES, ...NODE_VALUES].map((value) => [value])
    }
  })()
  // What is chosen already does not hide the others.
  const wanted = all.some(([value]) => value === typed) ? '' : typed.toLowerCase()
  return all.filter(([value, about]) => value.toLowerCase().includes(wanted) || about?.toLowerCase().includes(wanted)).map(([value, about]) => ({ value, label: about ? `${value}  (${about})` : value }))
}
