import type { Appliance } from '../resources/appliance.ts'
import type { SimulatorProcess } from '../../drivers/rover/simulator/host.ts'

/** What a fault may lay hands on. */
export interface Victims { appliance: Appliance; controller: SimulatorProcess }

/** One kind of fault. `inject` does it once and says what it did; undefined when there was nothing to do it to. */
export interface Fault {
  kind: string
  /** How often it is drawn, relative to the others. */
  weight: number
  inject(victims: Victims): Promise<Record<string, unknown> | undefined>
}
