import { statfs } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import type { Systeminformation } from 'systeminformation'
import type { Clock } from '../contracts/clock.ts'

/** State of the board itself. What could not be read in time is absent, never zero. */
export interface BoxState {
  load1: number
  processors: number
  memoryUsedFraction?: number
  diskFreeBytes?: number
  diskFreeFraction?: number
  /** The processor's. */
  temperatureC?: number
  battery?: { fraction?: number; charging: boolean; voltageV?: number }
}

export interface BoxReader {
  start(): Promise<void>
  /** Never rejects; takes at most `timeoutMs`. */
  read(): Promise<BoxState>
}

/** Temperatures of the board by the name of the zone. */
export type ThermalZones = () => Promise<readonly { type: string; temperatureC: number }[]>

export interface BoxReaderOptions {
  clock: Clock
  /** The disk that is asked for is the one with this folder. */
  diskPath: string
  /** Thermal zones of the board, type in lower case; left out: none. */
  thermalZones?: ThermalZones
  /** A probe that takes longer is left out of the answer, ms. */
  timeoutMs?: number
  /** A state this young is given again, ms. */
  cacheMs?: number
  /** Replaces probes, such as one that hangs. */
  probes?: Partial<Record<ProbeName, () => Promise<Partial<BoxState>>>>
}
type ProbeName = 'memory' | 'disk' | 'temperature' | 'battery'

/**
 * Reads load, memory, disk, temperature and battery of the board. systeminformation gives memory and battery, which it
 * reads from files (3 ms, 1 ms). Its other calls are not used: measured on two cores, one `currentLoad` takes 0.5 s,
 * `cpuTemperature` starts seven and `fsSize` three child processes, some of them synchronously, which would hold up the
 * emergency stop.
 */
export function makeBoxReader({ clock, diskPath, thermalZones = async () => [], timeoutMs = 1_000, cacheMs = 3_000, probes: replaced }: BoxReaderOptions): BoxReader {
  const si = () => import('systeminformation').then((module) => module.default)
  const probes: Record<ProbeName, () => Promise<Partial<BoxState>>> = {
    async memory() {
      const { total, available } = await (await si()).mem()
      return total > 0 ? { memoryUsedFraction: 1 - available / total } : {}
    },
    async disk() {
      const { bsize, blocks, bavail } = await statfs(diskPath)
      return blocks > 0 ? { diskFreeBytes: bavail * bsize, diskFreeFraction: bavail / blocks } : {}
    },
    temperature: () => processorTemperature(thermalZones),
    async battery() { return batteryOf(await (await si()).battery()) },
    ...replaced,
  }
  // A probe that hangs is not started a second time: calls must not pile up behind a sick disk.
  const underway = new Map<string, Promise<Partial<BoxState>>>()
  let cached: { atMs: number; state: Promise<BoxState> } | undefined

  const bounded = (name: ProbeName): Promise<Partial<BoxState>> => {
    const running = underway.get(name) ?? probes[name]().catch(() => ({})).finally(() => underway.delete(name))
    underway.set(name, running)
    const late = Promise.withResolvers<Partial<BoxState>>()
    const timer = clock.setTimeout(() => late.resolve({}), timeoutMs)
    return Promise.race([running, late.promise]).finally(() => clock.clearTimeout(timer))
  }
  const measure = async (): Promise<BoxState> => {
    const parts = await Promise.all((Object.keys(probes) as ProbeName[]).map(bounded))
    return Object.assign({ load1: loadavg()[0]!, processors: availableParallelism() }, ...parts) as BoxState
  }
  return {
    /** Loads systeminformation now (25 ms), rather than in the middle of a request. */
    async start() { await si() },
    read() {
      const nowMs = clock.monoMs()
      if (!cached || nowMs - cached.atMs > cacheMs) cached = { atMs: nowMs, state: measure() }
      return cached.state
    },
  }
}

/** The hottest zone that names the processor, else the hottest of all. Other zones may be constants: the PMIC zone of a Jetson always says 100 °C. */
async function processorTemperature(thermalZones: ThermalZones): Promise<Partial<BoxState>> {
  const zones = await thermalZones()
  const processor = zones.filter((zone) => /cpu|x86_pkg|soc|tj/.test(zone.type))
  const chosen = processor.length > 0 ? processor : zones.filter((zone) => !zone.type.startsWith('pmic'))
  return chosen.length > 0 ? { temperatureC: Math.max(...chosen.map((zone) => zone.temperatureC)) } : {}
}

/** systeminformation says 0 for what the battery does not report; that is left out here. */
export function batteryOf(data: Pick<Systeminformation.BatteryData, 'hasBattery' | 'percent' | 'isCharging' | 'voltage' | 'maxCapacity' | 'currentCapacity'>): Pick<BoxState, 'battery'> {
  if (!data.hasBattery) return {}
  const fraction = data.percent > 0 ? data.percent / 100 : data.maxCapacity > 0 && data.currentCapacity > 0 ? data.currentCapacity / data.maxCapacity : undefined
  return { battery: {
    charging: data.isCharging,
    ...(fraction === undefined ? {} : { fraction: Math.min(1, fraction) }),
    ...(data.voltage > 0 ? { voltageV: data.voltage } : {}),
  } }
}
