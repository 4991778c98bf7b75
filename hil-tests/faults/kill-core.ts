import type { Fault } from './port.ts'

/** kill −9 of the daemon; whoever runs it starts it again. */
export const killCore: Fault = {
  kind: 'kill-core', weight: 2,
  async inject({ appliance }) {
    const { pid } = appliance
    appliance.killCore()
    return { pid }
  },
}
