import type { Received } from './connection.ts'

/** The object of a message, or undefined for anything else. */
export function parsed({ payload }: Pick<Received, 'payload'>): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined
  } catch { return undefined }
}
