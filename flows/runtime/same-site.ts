import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { isLoopback } from '../../appliance/bus/certificate.ts'

const hostOf = (authority: string | undefined): string | undefined => authority !== undefined && URL.canParse(`http://${authority}`) ? new URL(`http://${authority}`).host : undefined

/**
 * Why a request is not served, or undefined. Any page in a browser of this machine may send requests to loopback: one whose
 * name was made to point here (DNS rebinding) is known by its Host, one that comes from another site by its Origin.
 */
export function refusalOf({ headers }: Pick<IncomingMessage, 'headers'>, loopbackOnly: boolean): string | undefined {
  const host = hostOf(headers.host)
  if (loopbackOnly) {
    const name = host === undefined ? undefined : new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '')
    if (name === undefined || !(isLoopback(name) || (isIP(name) === 0 && name.endsWith('.localhost')))) return 'this editor is served on loopback only, under a name of loopback'
  }
  const { origin } = headers
  if (origin === undefined) return undefined
  return URL.canParse(origin) && new URL(origin).host === host ? undefined : 'this request comes from another site'
}
