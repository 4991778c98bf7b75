import { isOfTheBoard, isPlausible } from './temperature.ts'

/** What a line of tegrastats says that the governor can use. */
export interface TegraStats {
  temperaturesC: Record<string, number>
  /** GPU load (GR3D), 0 to 1, and its clock where the line has it; two clocks are those of two clusters: the faster counts. */
  gpuLoad?: number
  gpuClockMHz?: number
  /** Momentary power of each rail, W. */
  railsW: Record<string, number>
  /** Of the whole board, where a rail measures that. */
  boardW?: number
}

/** Rails that feed everything, by board: Xavier NX, Orin NX and Nano, TX2; Nano; AGX Xavier has none. */
const WHOLE_BOARD = ['VDD_IN', 'POM_5V_IN']

/**
 * Parses one line. Formats differ: `GR3D_FREQ 0%`, `0%@318`, `0%@[305,305]`; temperatures as `CPU@46.5C` or `cpu@46.5C`;
 * rails as `VDD_IN 4786mW/4780mW` (JetPack 4.6 on) or `VDD_IN 4786/4780`, now and average, mW. A part that is powered
 * down has −256 °C, which is no reading. Undefined where the line is none of tegrastats.
 * @see NVIDIA Jetson Linux Developer Guide, tegrastats Utility (reported statistics)
 */
export function parseTegraStats(line: string): TegraStats | undefined {
  if (!/\bRAM \d+\/\d+MB\b/.test(line)) return undefined
  const stats: TegraStats = { temperaturesC: {}, railsW: {} }
  for (const [, name, value] of line.matchAll(/(?<=^|\s)([A-Za-z][\w-]*)@(-?\d+(?:\.\d+)?)C(?=\s|$)/g)) {
    if (isPlausible(Number(value)) && isOfTheBoard(name!)) stats.temperaturesC[name!.toLowerCase()] = Number(value)
  }
  const gpu = /\bGR3D_FREQ (\d+)%(?:@\[?(\d+)(?:,(\d+))?)?/.exec(line)
  if (gpu) {
    stats.gpuLoad = Number(gpu[1]) / 100
    if (gpu[2] !== undefined) stats.gpuClockMHz = Math.max(Number(gpu[2]), Number(gpu[3] ?? 0))
  }
  // RAM and SWAP have a unit behind the second number, and memory in brackets has none of this form.
  for (const [, name, now] of line.matchAll(/(?<=^|\s)([A-Z][A-Z0-9_]*) (\d+)(?:mW\/\d+mW|\/\d+)(?=\s|$)/g)) if (name !== 'NC') stats.railsW[name!] = Number(now) / 1000
  const whole = WHOLE_BOARD.find((rail) => rail in stats.railsW)
  if (whole) stats.boardW = stats.railsW[whole]!
  return stats
}

/** The name of the power mode in what `nvpmodel -q` prints: `NV Power Mode: MODE_30W`, then its number. */
export const powerModeOf = (output: string): string | undefined => /^.*NV Power Mode:\s*(\S+)/m.exec(output)?.[1]
