import { table } from '../appliance/gateway/table.ts'
import type { Row } from './harness.ts'

/** Three significant digits below 1000, whole numbers above; what could not be measured is a dash. */
export function figure(value: Row['value']): string {
  if (value === null) return '–'
  if (typeof value === 'string' || Number.isInteger(value)) return String(value)
  return Math.abs(value) >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))
}

/** The rows of a measure: metric, value, unit, goal, whether it holds. */
export const rowsTable = (rows: readonly Row[]): string => table(
  rows.map((row) => [row.metric, figure(row.value), row.unit, row.goal ?? '', row.holds === undefined ? '' : row.holds ? '✓' : '✗']),
  ['metric', 'value', 'unit', 'goal', ''],
  [1],
)

/** The p-th quantile (0 to 1) of values, nearest rank; null of none. */
export function quantile(values: readonly number[], p: number): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? null
}
