import vm from 'node:vm'
import type { FlowNode } from '../flow.ts'

/** What is wrong with the code of a function node, as far as it can be told without running it. */
export function lintFunction(node: FlowNode): { severity: 'error' | 'warning'; message: string }[] {
  const found: { severity: 'error' | 'warning'; message: string }[] = []
  const { libs } = node
  if (Array.isArray(libs) && libs.length > 0) found.push({ severity: 'error', message: 'it asks for modules, which function nodes of the appliance do not get' })
  for (const [property, what] of [['func', 'code'], ['initialize', 'start code'], ['finalize', 'stop code']] as const) {
    const code = node[property]
    if (typeof code !== 'string' || code.trim() === '') continue
    try { new vm.Script(`(async function (msg) {${code}\n})`, { filename: what }) } catch (error) {
      const { message, stack = '' } = error as Error
      const line = new RegExp(`^${what}:(\\d+)`).exec(stack)?.[1]
      found.push({ severity: 'error', message: `its ${what} is no JavaScript: ${message}${line === undefined ? '' : ` (line ${line})`}` })
      continue
    }
    if (hasEndlessLoop(code)) found.push({ severity: 'warning', message: `its ${what} has a loop that never ends` })
  }
  return found
}

const ENDLESS = /\b(?:while\s*\(\s*(?:true|1|!0)\s*\)|for\s*\(\s*;\s*(?:true|1)?\s*;[^)]*\))/g
const LEAVES = /\b(?:break|return|throw)\b/

/** A guess: a loop without a condition, and in its body nothing that leaves it. */
export function hasEndlessLoop(code: string): boolean {
  const bare = withoutText(code)
  return [...bare.matchAll(ENDLESS)].some(({ 0: loop, index }) => !LEAVES.test(doBodyBefore(bare, index) ?? bodyAt(bare, index + loop.length)))
}

/** The same without what is no code: comments, strings, templates. */
const withoutText = (code: string) => code.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g, ' ')

/** The statement that begins at `from`: to the brace that closes it, else to the end of the statement. */
function bodyAt(code: string, from: number): string {
  const start = code.slice(from).search(/\S/) + from
  if (code[start] !== '{') return code.slice(from, (code.indexOf(';', from) + 1 || code.length + 1) - 1)
  for (let at = start, depth = 0; at < code.length; at++) {
    if (code[at] === '{') depth++
    if (code[at] === '}' && --depth === 0) return code.slice(start, at)
  }
  return code.slice(start)
}

/** The body of the `do` whose condition begins at `end`; undefined where it is no such condition. */
function doBodyBefore(code: string, end: number): string | undefined {
  const close = code.slice(0, end).trimEnd().length - 1
  if (code[close] !== '}') return undefined
  for (let at = close, depth = 0; at >= 0; at--) {
    if (code[at] === '}') depth++
    if (code[at] === '{' && --depth === 0) return /\bdo\s*$/.test(code.slice(0, at)) ? code.slice(at, close) : undefined
  }
  return undefined
}
