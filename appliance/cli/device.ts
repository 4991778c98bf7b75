import type { Command } from 'commander'
import { table } from '../gateway/table.ts'
import type { DeviceView, Moved } from '../realm/ownership/index.ts'
import type { CliContext } from './context.ts'

/** `mtor device …`: which node commands which device. */
export function addDeviceCommands(program: Command, context: CliContext): void {
  const device = program.command('device').description('the devices, and which node commands them')
  device.command('list', { isDefault: true }).description('devices, owners, epochs, and whose lines work')
    .action(async () => {
      const devices = await context.client().call('GET', '/devices') as DeviceView[]
      if (context.json()) for (const one of devices) context.print(one, () => '')
      else context.print(devices, () => devicesText(devices))
    })
  device.command('move').argument('<device>', 'as in the list').argument('<node>', 'that is to command it').description('hand a device over to another node, in order')
    .option('--now', 'end what it does with CANCELLED, instead of waiting for it')
    .action(async (name: string, to: string, { now }: { now?: boolean }) => {
      const moved = await context.client().call('POST', `/devices/${encodeURIComponent(name)}/move`, { to, policy: now ? 'stop' : 'wait' }) as Moved
      context.print(moved, () => `${moved.to} commands ${moved.device} now (epoch ${moved.epoch}): handed over by ${moved.from} in ${moved.handoverMs} ms${moved.waitedMs >= 1 ? `, after ${moved.waitedMs} ms until it was free` : ''}.`)
    })
}

export function devicesText(devices: readonly DeviceView[]): string {
  if (devices.length === 0) return 'No device is configured.'
  return table(devices.map(({ device, kind, owner, epoch, wired, lines, here, alone, cutOff }) => [device, kind ?? '', alone ? 'this node, alone' : owner ?? (cutOff ? 'not known' : 'nobody'), epoch ?? '', wired.map((node) => lines.includes(node) ? node : `${node} (${cutOff ? 'not known' : 'dead'})`).join(', '), here]), ['device', 'kind', 'owner', 'epoch', 'lines', 'this node'], [3])
}
