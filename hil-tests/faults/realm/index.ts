import { NETWORK_FAULTS } from './network.ts'
import type { RealmFault } from './port.ts'
import { PROCESS_FAULTS } from './processes.ts'
import { STORAGE_FAULTS } from './storage.ts'

/** All that a realm is tried with, without clocks and disks first. */
export const REALM_FAULTS: readonly RealmFault[] = [...PROCESS_FAULTS, ...NETWORK_FAULTS, ...STORAGE_FAULTS]
export type { Injected, RealmFault, RealmVictims } from './port.ts'
