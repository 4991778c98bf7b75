import { MtorError } from '../../appliance/contracts/errors.ts'
import type { ControlRoute } from '../../appliance/gateway/control.ts'
import { diffFlows, diffLines } from './diff.ts'
import { readFlowFile } from './flow-file.ts'
import type { FlowsHost } from './host.ts'

const CLI = 'cli'

/**
 * The routes of flows on the control socket.
 * @param flows undefined: they are switched off in the configuration
 * @param declared intent types that handlers other than these flows declare
 */
export function flowRoutes(flows: FlowsHost | undefined, declared: () => readonly string[] = () => []): Record<string, ControlRoute> {
  const host = (): FlowsHost => flows ?? fail('FLOWS_DOWN', 'flows are switched off in the configuration', 'Set flows.enabled to true and start again.')
  return {
    'GET /flows': async () => flows?.status() ?? { state: 'off' },
    // What there is beside the flows themselves: for lint.
    'GET /flows/known': async () => ({ types: host().types, declared: declared() }),
    'GET /flows/deploys': async () => host().deploys.store.list(),
    'GET /flows/deploys/:n': async ({ params }) => {
      const { credentials: _, ...deploy } = await host().deploys.read(numberOf(params['n'], host()))
      return deploy
    },
    'GET /flows/diff/:from/:to': async ({ params }) => {
      const [from, to] = await Promise.all([host().deploys.read(numberOf(params['from'], host())), host().deploys.read(numberOf(params['to'], host()))])
      const diff = diffFlows(from.flows, to.flows)
      return { from: from.n, to: to.n, ...diff, lines: diffLines(diff) }
    },
    'POST /flows/rollback': async ({ body }) => {
      const { n } = (body ?? {}) as { n?: unknown }
      return host().rollBack(n === undefined ? before(host()) : numberOf(String(n), host()), CLI)
    },
    // The file is read here: flows may be larger than what is taken as a body.
    'POST /flows/import': async ({ body }) => {
      const { file } = (body ?? {}) as { file?: unknown }
      if (typeof file !== 'string' || !file.startsWith('/')) throw new MtorError('USAGE', 'file must be an absolute path')
      return host().deploy({ flows: await readFlowFile(file), author: CLI })
    },
  }
}

function fail(...[code, message, hint]: [code: 'FLOWS_DOWN' | 'NOT_FOUND', message: string, hint: string]): never { throw new MtorError(code, message, { hint }) }

/** `current` or a number. */
function numberOf(text: string | undefined, host: FlowsHost): number {
  if (text === 'current') return host.deploys.store.current?.n ?? fail('NOT_FOUND', 'nothing has been deployed yet', 'Deploy flows in the editor, or with: mtor flows import FILE')
  if (!/^[1-9]\d{0,11}$/.test(text ?? '')) throw new MtorError('USAGE', `expected the number of a deploy or "current", got ${JSON.stringify(text)}`, { hint: 'See the deploys with: mtor flows list' })
  return Number(text)
}

/** Without a number: the last good deploy before the one in force, else the one before it. */
function before(host: FlowsHost): number {
  const [current, ...older] = host.deploys.store.list()
  const others = older.filter(({ revision }) => revision !== current?.revision)
  return (others.find(({ good, crashed }) => good && !crashed) ?? others.find(({ crashed }) => !crashed))?.n ?? fail('NOT_FOUND', 'there are no older flows to go back to', 'See the deploys with: mtor flows list')
}
