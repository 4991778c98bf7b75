import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'
import { Config } from './schema.ts'

interface SchemaNode { default?: unknown; properties?: Record<string, SchemaNode>; items?: SchemaNode; type?: string }

/** Fills in the defaults of the schema, into a copy; what is given stays as it is, right or wrong. */
function withDefaults(schema: SchemaNode, value: unknown): unknown {
  if (value === undefined && schema.default !== undefined) value = structuredClone(schema.default)
  if (schema.properties) {
    if (value === undefined || value === null) value = {}
    if (typeof value !== 'object' || Array.isArray(value)) return value
    const filled: Record<string, unknown> = { ...(value as Record<string, unknown>) }
    for (const [key, child] of Object.entries(schema.properties)) {
      const given = filled[key]
      if (given === undefined && child.default === undefined && !child.properties) continue
      // An optional part without a default (tls) is not conjured up; only parts all of whose keys have defaults are.
      filled[key] = withDefaults(child, given)
    }
    return filled
  }
  if (schema.items && Array.isArray(value)) return value.map((item) => withDefaults(schema.items as SchemaNode, item))
  return value
}

const SOCKET_PATH_BYTES = 107
const configValidator = validator(Config)

/** The folder of this checkout or package: relative paths start here when there is no configuration file. */
export const PROJECT_DIR = resolve(import.meta.dirname, '../..')

/**
 * Checks a configuration and fills in defaults; paths become absolute against `baseDir`.
 * @throws MtorError CONFIG_INVALID that names every wrong key
 */
export function makeConfig(input: unknown, baseDir: string = PROJECT_DIR): Config {
  const filled = withDefaults(Config as unknown as SchemaNode, input ?? {})
  const config = structuredClone(configValidator.assert(filled, 'CONFIG_INVALID', 'configuration')) as Config
  config.node ??= hostname().toLowerCase().replaceAll(/[^a-z0-9-]/g, '-').replace(/^-+/, '').slice(0, 63) || 'node'
  config.stateDir = resolve(baseDir, config.stateDir)
  config.inference.modelsDir = resolve(PROJECT_DIR, config.inference.modelsDir)
  if (config.inference.copyDir !== undefined) config.inference.copyDir = resolve(PROJECT_DIR, config.inference.copyDir)
  const [, pictures] = /^directory:(.+)$/.exec(config.vision.camera) ?? []
  if (pictures !== undefined) config.vision.camera = `directory:${resolve(baseDir, pictures)}`
  config.runDir = config.runDir ? resolve(baseDir, config.runDir) : join(config.stateDir, 'run')
  // The kernel's limit of a UNIX socket's path; the last is where "mtor stop" gets its answer. @see unix(7), sun_path
  const sockets = ['control.sock', config.guard.stopSocket, '.stop-4194304-000000', ...config.devices.filter((d) => d.port === 'simulated').map((d) => `${d.id}.tty.control`)]
  const longest = sockets.map((name) => inRunDir(config, name)).find((path) => Buffer.byteLength(path) > SOCKET_PATH_BYTES)
  if (longest !== undefined) throw new MtorError('CONFIG_INVALID', `configuration: /runDir is too long: the socket ${longest} has ${Buffer.byteLength(longest)} bytes, at most ${SOCKET_PATH_BYTES} fit`, { hint: 'Set runDir to a shorter path.' })
  const seen = new Set<string>()
  for (const device of config.devices) {
    if (seen.has(device.id)) throw new MtorError('CONFIG_INVALID', `configuration: /devices has two devices with id ${device.id}`)
    seen.add(device.id)
  }
  return config
}

/** Reads a YAML (or JSON) configuration file. @throws MtorError CONFIG_INVALID with file, line and what is wrong */
export function loadConfig(file: string | undefined, baseDir = file === undefined ? PROJECT_DIR : dirname(resolve(file))): Config {
  if (file === undefined) return makeConfig({}, baseDir)
  let text: string
  try { text = readFileSync(file, 'utf8') } catch (error) {
    throw new MtorError('CONFIG_INVALID', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
  const document = parseDocument(text, { prettyErrors: true })
  const broken = document.errors[0]
  if (broken) throw new MtorError('CONFIG_INVALID', `${file}: ${broken.message}`)
  let value: unknown
  try { value = document.toJS({ maxAliasCount: 100 }) } catch (error) { throw new MtorError('CONFIG_INVALID', `${file}: ${(error as Error).message}`, { cause: error }) }
  try { return makeConfig(value ?? {}, baseDir) } catch (error) {
    if (error instanceof MtorError) throw new MtorError('CONFIG_INVALID', `${file}: ${error.message.replace(/^configuration: /, '')}`, { cause: error, hint: error.hint, ...(error.data ? { data: error.data } : {}) })
    throw error
  }
}

/** A path of the configuration: absolute as it is, else in the state folder. */
export const inStateDir = (config: Config, path: string): string => isAbsolute(path) ? path : join(config.stateDir, path)
/** Likewise in the run folder. */
export const inRunDir = (config: Config, path: string): string => isAbsolute(path) ? path : join(config.runDir, path)
