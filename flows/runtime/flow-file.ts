import { readFile, stat } from 'node:fs/promises'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { FlowNode, Flows } from './flow.ts'
import { withoutProbe } from './probe-flow.ts'

const MAX_BYTES = 16 * 1024 * 1024

/**
 * Reads flows as Node-RED exports them: an array of nodes, or an object with `flows`.
 * @throws MtorError NOT_FOUND, TOO_LARGE, MALFORMED for what is no JSON, FLOW_INVALID for JSON that is no flows
 */
export async function readFlowFile(file: string): Promise<Flows> {
  let text: string
  try {
    const { size } = await stat(file)
    if (size > MAX_BYTES) throw new MtorError('TOO_LARGE', `${file} has ${size} bytes, at most ${MAX_BYTES} are read`)
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof MtorError) throw error
    throw new MtorError('NOT_FOUND', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  let value: unknown
  try { value = JSON.parse(text) } catch (error) { throw new MtorError('MALFORMED', `${file} is not JSON: ${(error as Error).message}`, { hint: 'Give flows as Node-RED exports them.' }) }
  return withoutProbe(flowsOf(value, file))
}

/** @throws MtorError FLOW_INVALID */
export function flowsOf(value: unknown, what: string): Flows {
  const nodes: unknown = Array.isArray(value) ? value : (value as { flows?: unknown } | null)?.flows
  if (!Array.isArray(nodes)) throw new MtorError('FLOW_INVALID', `${what}: expected an array of nodes`, { hint: 'Give flows as Node-RED exports them.' })
  const wrong = nodes.findIndex((node) => typeof node !== 'object' || node === null || typeof (node as FlowNode).id !== 'string' || typeof (node as FlowNode).type !== 'string')
  if (wrong >= 0) throw new MtorError('FLOW_INVALID', `${what}: entry ${wrong} is no node: expected an object with id and type`, { hint: 'Give flows as Node-RED exports them.' })
  return nodes as Flows
}
