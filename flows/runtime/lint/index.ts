import { MtorError, toMtorError } from '../../../appliance/contracts/errors.ts'
import { DeclaredIntent } from '../../../appliance/contracts/handlers.ts'
import { intentDefinition, isBuiltIn } from '../../../appliance/contracts/intents.ts'
import { validator } from '../../../appliance/contracts/validate.ts'
import { isNotFitted } from '../../../appliance/skills/index.ts'
import { declarationOf, type DeclarationFields } from '../../lib/declaration.ts'
import type { Field } from '../../lib/node.ts'
import { nameOf, type FlowNode, type Flows } from '../flow.ts'
import { PROBE_TYPE } from '../probe-flow.ts'
import { lintFunction } from './function.ts'
import { reachable } from './reach.ts'
import { CORE_TYPES, EXCLUDED_TYPES } from './types.ts'

/** Something wrong, or doubtful, in flows. */
export interface LintProblem { severity: 'error' | 'warning'; /** Of the node. */ id?: string; node?: string; /** Label of its tab. */ on?: string; message: string }

export interface LintOptions {
  /** Node types that are installed; left out: those of the appliance's own Node-RED. */
  types?: readonly string[]
  /** Intent types that others declare, in this realm. */
  declared?: readonly string[]
  /** What is wrong with sentences, as the appliance judges them. */
  checkSentences?(declares: readonly DeclaredIntent[]): readonly { type: string; code: string; message: string }[]
}

const declaredIntent = validator(DeclaredIntent)
/** Nodes that talk to an appliance, through the realm they name. */
const WITHOUT_REALM = new Set(['mtor-realm', 'mtor-intent-result'])
/** What only holds other nodes. */
const CONTAINERS = new Set(['tab', 'subflow', 'group'])

/** Everything that can be said of flows without running them. */
export function lintFlows(flows: Flows, options: LintOptions = {}): LintProblem[] {
  const problems: LintProblem[] = []
  const byId = new Map<string, FlowNode>()
  const tell = (severity: LintProblem['severity'], node: FlowNode, message: string) => {
    const on = node.z === undefined ? undefined : byId.get(node.z)
    const label = on?.['label'] ?? on?.name
    problems.push({ severity, id: node.id, node: nameOf(node), ...(typeof label === 'string' && label !== '' ? { on: label } : {}), message })
  }
  for (const node of flows) {
    if (byId.has(node.id)) tell('error', node, `id ${node.id} is there twice`)
    byId.set(node.id, node)
  }
  const installed = new Set(options.types ?? CORE_TYPES)
  const { declares, byNode } = declarationsOf(flows)
  const known = new Set([...declares.map(({ type }) => type), ...options.declared ?? [], PROBE_TYPE])
  /** Somewhere a message is told that it was confirmed; which one is not known without running it. */
  const tellsMessages = flows.some((node) => !node.type.startsWith('mtor-') && /\bconfirmed\b/.test(JSON.stringify({ ...node, name: '', info: '' })))
  const isKnown = (type: string) => isBuiltIn(type) || known.has(type)

  for (const node of flows) {
    if (node['d'] === true) continue
    const { type, z } = node
    if (type.startsWith('subflow:') ? !byId.has(type.slice(8)) : !CONTAINERS.has(type) && !installed.has(type)) tell('error', node, EXCLUDED_TYPES.get(type) ?? `no node of type ${type} is installed: with it, no flow runs`)
    if (typeof z === 'string' && z !== '' && !byId.has(z)) tell('error', node, `it stands on ${z}, which is not there`)
    for (const to of targetsOf(node)) if (!byId.has(to)) tell('error', node, `it is wired to ${to}, which is not there`)
    if (type.startsWith('mtor-') && !WITHOUT_REALM.has(type)) {
      const realm = node['realm']
      if (typeof realm !== 'string' || realm === '') tell('error', node, 'it names no realm')
      else if (byId.get(realm)?.type !== 'mtor-realm') tell('error', node, `its realm ${realm} is not there`)
    }
    if (type === 'function') for (const { severity, message } of lintFunction(node)) tell(severity, node, message)
    if (type === 'mtor-intent-in') lintIntentIn(node)
    const submitted = node['intentType']
    if (type === 'mtor-intent-out' && typeof submitted === 'string' && submitted.trim() !== '' && !isKnown(submitted.trim())) tell('error', node, `the intent type ${submitted} is not known`)
    if (submits(node) && node['confirmed'] !== true && !tellsMessages && mustBeConfirmed(node)) tell('warning', node, `${String(submitted)} must be confirmed: it is rejected with NOT_CONFIRMED unless "already confirmed" is ticked or msg.confirmed is true`)
    const wrong = byNode.get(node.id)
    if (wrong) tell('error', node, wrong)
  }
  for (const { type, code, message } of options.checkSentences?.(declares) ?? []) {
    const node = flows.find((each) => each.type === 'mtor-intent-define' && String(each['intentType']).trim() === type)
    if (node) tell('error', node, `${code}: ${message}`)
  }
  return problems

  /** By its type, or by the values of its form. */
  function mustBeConfirmed(node: FlowNode): boolean {
    const type = String(node['intentType'] ?? '').trim()
    const hazardous = declares.find((declared) => declared.type === type)?.hazardous ?? intentDefinition(type)?.policy.hazardous ?? false
    if (typeof hazardous === 'boolean') return hazardous
    const fields = node.type === 'mtor-limit' || node['slotsFrom'] === 'fields' ? node['slots'] as readonly Field[] | undefined ?? [] : []
    return Object.entries(hazardous).every(([slot, value]) => fields.some((field) => field.name === slot && field.value === String(value)))
  }

  function lintIntentIn(node: FlowNode): void {
    const given = node['intentType']
    const type = typeof given === 'string' ? given.trim() : ''
    if (type === '') tell('error', node, 'it names no intent type')
    else if (isBuiltIn(type) && !isNotFitted(type)) tell('error', node, `${type} is carried out by the appliance itself: a flow never gets it`)
    else if (!isKnown(type)) tell('error', node, `the intent type ${type} is not known: declare it with intent define`)
    if (![...reachable(node, flows, byId)].some((id) => byId.get(id)?.type === 'mtor-intent-result')) tell('error', node, 'nothing behind it reaches an intent result: its intents end by their deadline')
  }
}

const submits = (node: FlowNode): boolean => node.type === 'mtor-intent-out' || (node.type === 'mtor-limit' && node['action'] === true)

/** All that nodes of the file declare, and what is wrong with it. */
function declarationsOf(flows: Flows): { declares: DeclaredIntent[]; byNode: Map<string, string> } {
  const declares: DeclaredIntent[] = []
  const byNode = new Map<string, string>()
  for (const node of flows) {
    if (node.type !== 'mtor-intent-define' || node['d'] === true) continue
    try {
      const declared = declaredIntent.assert(declarationOf(node as DeclarationFields), 'FLOW_INVALID', 'declaration')
      if (isBuiltIn(declared.type)) throw new MtorError('TYPE_TAKEN', `${declared.type} is a type of the appliance itself`)
      if (declares.some(({ type }) => type === declared.type)) throw new MtorError('TYPE_TAKEN', `${declared.type} is declared twice`)
      declares.push(declared)
      if (declared.sentences.length === 0) byNode.set(node.id, `${declared.type} has no sentence, so nobody can say it`)
    } catch (thrown) { byNode.set(node.id, toMtorError(thrown).message) }
  }
  return { declares, byNode }
}

function targetsOf({ wires, links }: FlowNode): string[] {
  const all = [...(Array.isArray(wires) ? wires.flat() : []), ...(Array.isArray(links) ? links as unknown[] : [])]
  return all.filter((id): id is string => typeof id === 'string')
}
