import { Config } from '../appliance/config/schema.ts'
import { CODES } from '../appliance/contracts/codes.ts'
import { INTENTS, type IntentDefinition } from '../appliance/contracts/intents.ts'

/** What is read of a JSON schema to describe it. */
interface Node {
  type?: string; description?: string; default?: unknown; enum?: unknown[]; const?: unknown; pattern?: string
  minimum?: number; maximum?: number; minLength?: number; maxLength?: number
  properties?: Record<string, Node>; required?: string[]; items?: Node; anyOf?: Node[]; patternProperties?: Record<string, Node>; 'x-unit'?: string
}

const NOTE = '<!-- Generated from the schemas by: npm run reference -->\n\n'
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
const row = (...cells: string[]) => `| ${cells.map(cell).join(' | ')} |\n`
const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

/** `number 0.05 … 2`, `one of safe, normal`, `text up to 40 characters`. */
function kind(node: Node): string {
  if (node.enum) return `one of ${node.enum.map(code).join(', ')}`
  if (node.anyOf) return node.anyOf.map(kind).join(' or ')
  if (node.items) return `list of ${node.items.properties ? 'parts' : kind(node.items)}`
  if (node.type === 'boolean') return 'true or false'
  if (node.type === 'string') return node.maxLength === undefined ? 'text' : `text up to ${node.maxLength} characters`
  if (node.type === 'number' || node.type === 'integer') {
    const range = node.minimum === undefined && node.maximum === undefined ? '' : ` ${node.minimum ?? ''} … ${node.maximum ?? ''}`
    return `${node.type === 'integer' ? 'whole number' : 'number'}${range.trimEnd()}`
  }
  return 'part'
}

/** docs/reference/codes.md */
export const codesPage = (): string => `${NOTE}# Codes

Every refusal, failure and fault carries one of these. A code is never renamed, only added.

${row('code', 'the box says', 'what to do')}${row('---', '---', '---')}${Object.entries(CODES).map(([name, { say, hint }]) => row(code(name), say, hint)).join('')}`

/** docs/reference/intents.md */
export function intentsPage(): string {
  const one = ({ type, title, slots, policy }: IntentDefinition) => {
    const schema = slots as unknown as Node
    const lines = Object.entries(schema.properties ?? {}).map(([name, slot]) =>
      row(code(name), kind(slot), slot['x-unit'] ?? '', schema.required?.includes(name) ? 'yes' : 'no', slot.description ?? ''))
    const traits = [
      policy.actuates ? `moves something: never done late${policy.refusedIn.length > 0 ? ', needs the drive armed' : ''}` : undefined,
      policy.hazardous === true ? 'must be confirmed' : policy.hazardous ? `must be confirmed with ${Object.entries(policy.hazardous).map(([slot, value]) => `${slot} = ${JSON.stringify(value)}`).join(', ')}` : undefined,
      policy.repeatable ? (policy.retries > 0 ? `repeated up to ${policy.retries} times after a passing failure` : 'safe to repeat') : 'done once at the most',
      policy.refusedIn.length > 0 ? `refused in mode ${policy.refusedIn.join(', ')}` : undefined,
      `lives ${policy.ttlMs / 1000} s, deadline ${policy.deadlineMs / 1000} s, priority ${policy.priority}`,
    ].filter(Boolean)
    return `## ${type}\n\n${title}: ${traits.join('; ')}.\n${lines.length === 0 ? '' : `\n${row('slot', 'value', 'unit', 'required', '')}${row('---', '---', '---', '---', '---')}${lines.join('')}`}`
  }
  return `${NOTE}# Intents\n\nThe same list with example sentences: \`mtor intents\`. Deadline, retries and confirmation come from the type, never from whoever submits. Time to live and priority are those used when the submitter gives none.\n\n${(INTENTS as readonly IntentDefinition[]).map(one).join('\n')}`
}

/** docs/reference/config.md */
export function configPage(): string {
  const lines: string[] = []
  const walk = (node: Node, path: string) => {
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      const key = path ? `${path}.${name}` : name
      // A part has its own lines, unless it is optional as a whole.
      if (child.properties) { walk(child, key); continue }
      lines.push(row(code(key), kind(child), child.default === undefined ? '' : code(child.default), child.description ?? ''))
      if (child.items?.properties) walk(child.items, `${key}[]`)
      for (const choice of child.anyOf ?? []) if (choice.properties) walk(choice, key)
    }
  }
  walk(Config as unknown as Node, '')
  return `${NOTE}# Configuration\n\nOne YAML (or JSON) file; every key has a default or is optional, unknown keys are refused. Check a file with \`mtor config check FILE\`.\n\n${row('key', 'value', 'default', '')}${row('---', '---', '---', '---')}${lines.join('')}`
}
