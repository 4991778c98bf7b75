import type { Command } from 'commander'
import type { HandlerStatus } from '../dispatch/index.ts'
import { table } from '../gateway/table.ts'
import type { CliContext } from './context.ts'

/** `mtor handlers …`: programs, such as Node-RED, that carry out intents of their own types. */
export function addHandlersCommands(program: Command, { client, json, print }: CliContext): void {
  const handlers = program.command('handlers').description('programs that carry out intents: flows of this box and of other machines')

  handlers.command('list', { isDefault: true }).description('who handles and declares which intent types')
    .action(async () => {
      const list = await client().call('GET', '/handlers') as HandlerStatus[]
      if (json()) for (const handler of list) print(handler, () => '')
      else print(list, () => list.length === 0 ? 'None.' : table(list.map(({ client: id, name, online, handles, declares }) => [id, name ?? '', online ? 'yes' : 'no', handles.join(', '), declares.join(', ')]), ['client', 'name', 'there', 'handles', 'declares']))
    })

  handlers.command('forget').argument('<client>', 'client id of a handler that will not come back').description('forget what a handler declared')
    .action(async (id: string) => { const answer = await client().call('DELETE', `/handlers/${encodeURIComponent(id)}`); print(answer, () => `Forgotten: ${id}.`) })
}
