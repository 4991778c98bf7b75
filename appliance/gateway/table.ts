/** Lays rows out in aligned columns for a terminal; to the right the columns `rightColumns` names, left out: those that hold only numbers. */
export function table(rows: readonly (readonly (string | number)[])[], header?: readonly string[], rightColumns?: readonly number[]): string {
  const all = header ? [header, ...rows] : [...rows]
  const columns = Math.max(0, ...all.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...all.map((row) => String(row[i] ?? '').length)))
  const right = Array.from({ length: columns }, (_, i) => rightColumns ? rightColumns.includes(i) : rows.length > 0 && rows.every((row) => row[i] === undefined || row[i] === '' || typeof row[i] === 'number' || /^[-+]?[\d.,]+$/.test(String(row[i]))))
  const line = (row: readonly (string | number)[]) => row.map((cell, i) => right[i] ? String(cell).padStart(widths[i]!) : String(cell).padEnd(widths[i]!)).join('  ').trimEnd()
  return [...(header ? [line(header), widths.map((w) => '─'.repeat(w)).join('  ')] : []), ...rows.map(line)].join('\n')
}
