/** Readings of telemetry as a table to learn from: only what is there in (nearly) every reading, and changes. */
export interface Reading { atMs: number; values: Record<string, number> }
export interface Table { names: string[]; rows: { atMs: number; values: Float32Array }[]; dropped: { name: string; reason: string }[]; incomplete: number }

/** A value that is missing more often than this is left out, and not the readings without it. */
const PRESENT = 0.9

/**
 * Nothing is filled in: a name that is often missing is dropped as a whole, a reading that then still lacks one is dropped
 * too. So is what never changes, and what only grows (a counter is never where it was before).
 */
export function toTable(readings: readonly Reading[]): Table {
  const dropped: Table['dropped'] = []
  const all = [...new Set(readings.flatMap(({ values }) => Object.keys(values)))].sort()
  const names = all.filter((name) => {
    const values = readings.map(({ values: v }) => v[name]).filter(Number.isFinite) as number[]
    const reason = values.length < PRESENT * readings.length ? `is in ${Math.round(100 * values.length / readings.length)} % of the readings only`
      : isConstant(values) ? 'never changes' : isCounter(values) ? 'only grows: a counter' : undefined
    if (reason !== undefined) dropped.push({ name, reason })
    return reason === undefined
  })
  const complete = readings.filter(({ values }) => names.every((name) => Number.isFinite(values[name])))
  return { names, dropped, incomplete: readings.length - complete.length, rows: complete.map(({ atMs, values }) => ({ atMs, values: Float32Array.from(names, (name) => values[name]!) })) }
}

function isConstant(values: readonly number[]): boolean {
  let low = Infinity, high = -Infinity
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value) }
  return high - low <= 1e-6 * Math.max(1, Math.abs(high))
}

function isCounter(values: readonly number[]): boolean {
  let steps = 0
  for (let i = 1; i < values.length; i++) {
    if (values[i]! < values[i - 1]!) return false
    if (values[i]! > values[i - 1]!) steps++
  }
  return steps >= 3
}

/** Mean and standard deviation of each column. */
export function statistics(rows: readonly Float32Array[]): { mean: Float32Array; std: Float32Array } {
  const width = rows[0]!.length
  const mean = new Float64Array(width), square = new Float64Array(width)
  for (const row of rows) for (let i = 0; i < width; i++) mean[i]! += row[i]! / rows.length
  for (const row of rows) for (let i = 0; i < width; i++) square[i]! += (row[i]! - mean[i]!) ** 2 / rows.length
  // In training it may have stood still though it moved elsewhere: a tenth of nothing would make anything abnormal.
  return { mean: Float32Array.from(mean), std: Float32Array.from(square, (s, i) => Math.max(Math.sqrt(s), 1e-3 * Math.abs(mean[i]!), 1e-6)) }
}

/** Linear between the two nearest. @param part 0 to 1 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = part * (sorted.length - 1), low = Math.floor(at)
  return sorted[low]! + (at - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!)
}
