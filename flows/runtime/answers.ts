import type { EditorAccess } from './access.ts'
import type { Deploys } from './deploys.ts'
import type { Ask } from './messages.ts'

export interface AnswersOptions {
  deploys: Deploys
  access: EditorAccess
  /** Node-RED has been given the flows. */
  onFlows(): void
  /** Somebody could not log in. */
  onRefused(username: string): void
}

/** What the core answers when Node-RED asks. @throws MtorError where it cannot */
export async function answerTo(ask: Ask, { deploys, access, onFlows, onRefused }: AnswersOptions): Promise<unknown> {
  switch (ask.what) {
    case 'flows': {
      const flows = await deploys.current()
      onFlows()
      return flows
    }
    case 'save': {
      const { what: _, ...deploy } = ask
      await deploys.save(deploy)
      return undefined
    }
    case 'read': return deploys.readSettings(ask.name)
    case 'write': return deploys.writeSettings(ask.name, ask.value)
    case 'user': return access.user(ask.username)
    case 'authenticate': {
      const user = await access.authenticate(ask.username, ask.password)
      if (!user) onRefused(ask.username.slice(0, 64))
      return user
    }
  }
}
