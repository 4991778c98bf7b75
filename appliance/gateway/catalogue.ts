import type { Driver } from '../../drivers/port.ts'
import { PROTOCOL_VERSION } from '../contracts/envelope.ts'
import type { RealmCatalogue } from '../contracts/handlers.ts'
import type { Hub } from '../contracts/hub.ts'
import { allIntents, isBuiltIn } from '../contracts/intents.ts'

const EXAMPLES = 3
/** Parts of every appliance that raise events; devices raise them under their own ids. */
const COMPONENTS = ['bus', 'dispatch', 'flows', 'governor', 'guard', 'inference', 'journal', 'models', 'speech', 'telemetry', 'timer', 'vision']

export interface CatalogueParts {
  hub: Hub
  drivers: readonly Driver[]
  /** Sentences by type. */
  examples(): readonly { type: string; examples: readonly string[] }[]
  handlers: { takes(type: string): boolean; handles(type: string): boolean; declared(): readonly { client: string; intent: { type: string } }[] }
  /** Built-in types that the box itself cannot carry out. */
  isVacant(type: string): boolean
}

/** What a flow editor offers to choose from: every type with its slots, every device with its commands. */
export function realmCatalogue({ hub, drivers, examples, handlers, isVacant }: CatalogueParts): RealmCatalogue {
  const spoken = new Map(examples().map((each) => [each.type, each.examples]))
  const declaredBy = new Map(handlers.declared().map(({ client, intent }) => [intent.type, client]))
  const by = (type: string) => handlers.takes(type) ? handlers.handles(type) ? 'flow' : 'nobody' : isBuiltIn(type) && !isVacant(type) ? 'appliance' : 'nobody'
  return {
    v: PROTOCOL_VERSION, at: hub.now(), node: hub.node,
    types: allIntents().map(({ type, title, slots, policy }) => {
      const declarer = declaredBy.get(type)
      return { type, title, slots: slots as unknown as Record<string, unknown>, actuates: policy.actuates, hazardous: policy.hazardous !== false, by: by(type), ...(declarer === undefined ? {} : { declaredBy: declarer }), examples: (spoken.get(type) ?? []).slice(0, EXAMPLES) }
    }),
    devices: drivers.map(({ id, kind, commands }) => ({ id, kind, commands: { ...commands } })),
    components: [...COMPONENTS, ...drivers.map(({ id }) => id)].sort(),
  }
}
