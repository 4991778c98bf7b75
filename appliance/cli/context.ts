import type { Config } from '../config/schema.ts'
import type { ControlClient } from '../gateway/client.ts'

/** What every family of `mtor` commands gets. */
export interface CliContext {
  /** @throws MtorError CONFIG_INVALID */
  config(): Config
  client(): ControlClient
  json(): boolean
  /** Prints the value as one line of JSON with --json, else the text. */
  print(value: unknown, text: () => string): void
  /** Aborted by Ctrl-C. */
  interrupted: AbortController
}
