import type { TObject, TSchema } from 'typebox'
import { QUANTITIES, type Quantity } from './quantities.ts'

/** What an intent file must know of one slot, read off the schema of its type. */
export interface SlotInfo {
  /** How it is said: a quantity, free words, or undefined when only fixed values and lists fit. */
  kind: Quantity | 'words' | undefined
  unit: string | undefined
  required: boolean
  description: string | undefined
  minimum: number | undefined
  maximum: number | undefined
  /** The values it may take, if they are few. */
  values: readonly unknown[] | undefined
  /** True when a fixed value has the slot's JSON type (its range is admission's business). */
  accepts(value: unknown): boolean
}

const BY_UNIT: Readonly<Record<string, Quantity>> = { m: 'length', deg: 'angle', 'm/s': 'speed', s: 'duration' }

/** The slots of a type's schema, by name. */
export function describeSlots(schema: TObject): Map<string, SlotInfo> {
  const required = new Set(schema.required ?? [])
  return new Map(Object.entries(schema.properties).map(([name, property]) => [name, describe(property, required.has(name))]))
}

function describe(property: TSchema, required: boolean): SlotInfo {
  const { type, 'x-unit': unit, enum: values, description, minimum, maximum } = property as Record<string, unknown> & { type?: string; 'x-unit'?: string; enum?: readonly unknown[]; description?: string; minimum?: number; maximum?: number }
  const numeric = type === 'number' || type === 'integer'
  const kind = numeric ? BY_UNIT[unit ?? ''] ?? (type === 'integer' ? 'count' : 'fraction') : values || type === 'boolean' ? undefined : 'words'
  const choices = type === 'boolean' ? [true, false] : values
  return {
    kind, unit, required, description, minimum, maximum, values: choices,
    accepts: (value) => choices ? choices.includes(value) : numeric ? typeof value === 'number' : typeof value === 'string',
  }
}

export const isQuantity = (kind: string | undefined): kind is Quantity => QUANTITIES.includes(kind as Quantity)
