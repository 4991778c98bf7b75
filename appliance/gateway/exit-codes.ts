import type { Code } from '../contracts/codes.ts'

/** Exit codes of `mtor`. */
export const EXIT = {
  done: { code: 0, meaning: 'done' },
  failed: { code: 1, meaning: 'accepted, but it failed, expired or was aborted; or a check found something wrong' },
  usage: { code: 2, meaning: 'the command line, a file or the configuration is wrong' },
  notRunning: { code: 3, meaning: 'the daemon is not running, or ended before it had answered' },
  rejected: { code: 4, meaning: 'the intent was rejected; the code says why' },
  notUnderstood: { code: 5, meaning: 'not understood' },
  asked: { code: 6, meaning: 'the box asks back; answer with another "mtor say" in the same session' },
  interrupted: { code: 130, meaning: 'ended by Ctrl-C' },
} as const

/** The exit code for an error of the catalogue. */
export function exitCodeOf(code: Code): number {
  switch (code) {
    case 'NOT_RUNNING': return EXIT.notRunning.code
    case 'USAGE': case 'CONFIG_INVALID': case 'TEMPLATE_INVALID': case 'AUDIO_INVALID': case 'NOT_FOUND': case 'MALFORMED': case 'TOO_LARGE': return EXIT.usage.code
    case 'NOT_UNDERSTOOD': return EXIT.notUnderstood.code
    default: return EXIT.failed.code
  }
}
