import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { ExecutionContext } from 'ava'
import { freePort } from '../../appliance/contracts/free-port.ts'
import { buildFlows } from '../build.mjs'
import type { NodeConfig } from './red.ts'

const NODE_RED = createRequire(import.meta.url).resolve('node-red/red.js')
const PACKAGE = resolve(import.meta.dirname, '..')

export interface NodeRed { url: string; pid: number; output(): string; /** What the editor does at "deploy". */ deploy(flow: readonly NodeConfig[]): Promise<void>; kill(signal: NodeJS.Signals): Promise<void> }

/** Node-RED as a process of its own, with the built package in its user folder. */
export async function startNodeRed(t: ExecutionContext, { env = {}, settings = {} }: { env?: Record<string, string>; settings?: Record<string, unknown> } = {}): Promise<NodeRed> {
  await buildFlows()
  const dir = mkdtempSync(join(tmpdir(), 'mtor-node-red-'))
  const link = join(dir, 'node_modules/@mtor/node-red-appliance')
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(PACKAGE, link)
  const port = await freePort()
  writeFileSync(join(dir, 'settings.js'), `module.exports = ${JSON.stringify({ uiHost: '127.0.0.1', uiPort: port, flowFile: 'flows.json', credentialSecret: false, ...settings })}\n`)
  const child = spawn(process.execPath, [NODE_RED, '--userDir', dir, '--settings', join(dir, 'settings.js')], { env: { ...process.env, NODE_OPTIONS: '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => { text = (text + data).slice(-20_000) })
  const exited = once(child, 'exit')
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
  }
  t.teardown(async () => { await kill('SIGKILL'); rmSync(dir, { recursive: true, force: true }) })
  const url = `http://127.0.0.1:${port}`
  while (!text.includes('Started flows')) {
    if (child.exitCode !== null) throw new TypeError(`Node-RED ended with ${child.exitCode}: ${text}`)
    await new Promise((done) => setTimeout(done, 50))
  }
  return {
    url, pid: child.pid!, output: () => text, kill,
    deploy: async (flow) => {
      const response = await fetch(`${url}/flows`, { method: 'POST', headers: { 'content-type': 'application/json', 'Node-RED-Deployment-Type': 'full' }, body: JSON.stringify(flow) })
      if (!response.ok) throw new TypeError(`deploy: ${response.status} ${await response.text()}`)
    },
  }
}
