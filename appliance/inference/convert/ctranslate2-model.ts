import { MtorError } from '../../contracts/errors.ts'

/** Element types of CTranslate2's files, by their number there. */
const TYPES = ['float32', 'int8', 'int16', 'int32', 'float16', 'bfloat16'] as const
const BYTES: Record<Ct2Type, number> = { float32: 4, int8: 1, int16: 2, int32: 4, float16: 2, bfloat16: 2 }
type Ct2Type = (typeof TYPES)[number]

/** Versions of the binary format that this reader knows; in older ones variables have no type. */
const VERSIONS = [5, 6]
const MAX_RANK = 8
const MAX_VARIABLES = 100_000

interface Ct2Variable { type: Ct2Type; dims: number[]; bytes: Buffer }

/**
 * A model.bin of CTranslate2: named weights and numbers. Layout, little-endian: uint32 version; string specification;
 * uint32 revision; uint32 count; for each variable string name, uint8 rank, uint32 × rank, uint8 type, uint32 bytes, data;
 * uint32 count; for each alias two strings. A string is a uint16 length that counts the closing zero, then its bytes.
 * @see https://github.com/OpenNMT/CTranslate2/blob/master/python/ctranslate2/specs/model_spec.py (_serialize)
 */
export class Ct2Model {
  readonly specification: string
  readonly revision: number
  readonly #variables: ReadonlyMap<string, Ct2Variable>

  private constructor(specification: string, revision: number, variables: ReadonlyMap<string, Ct2Variable>) {
    this.specification = specification
    this.revision = revision
    this.#variables = variables
  }

  /** @throws MtorError MODEL_INVALID where the file is cut off, too long, of another version or says what cannot be */
  static read(file: Uint8Array): Ct2Model {
    const reader = new Reader(file)
    const version = reader.uint32('version')
    if (!VERSIONS.includes(version)) throw invalid(`expected version ${VERSIONS.join(' or ')} of the format, got ${version}`)
    const specification = reader.string('specification')
    const revision = reader.uint32('revision')
    const variables = new Map<string, Ct2Variable>()
    for (let left = reader.count('variables'); left > 0; left--) {
      const name = reader.string('name of a variable')
      const rank = reader.uint8(`rank of ${name}`)
      if (rank > MAX_RANK) throw invalid(`${name}: expected at most ${MAX_RANK} dimensions, got ${rank}`)
      const dims = Array.from({ length: rank }, () => reader.uint32(`shape of ${name}`))
      const number = reader.uint8(`type of ${name}`)
      const type = TYPES[number]
      if (type === undefined) throw invalid(`${name}: element type ${number} is unknown`)
      const length = reader.uint32(`length of ${name}`)
      const expected = dims.reduce((product, dim) => product * dim, BYTES[type])
      if (length !== expected) throw invalid(`${name}: ${dims.join(' × ') || 'one number'} of ${type} take ${expected} bytes, the file says ${length}`)
      if (variables.has(name)) throw invalid(`${name} is there twice`)
      variables.set(name, { type, dims, bytes: reader.bytes(length, name) })
    }
    for (let left = reader.count('aliases'); left > 0; left--) {
      const alias = reader.string('alias')
      const name = reader.string(`what ${alias} stands for`)
      const variable = variables.get(name)
      if (!variable) throw invalid(`${alias} stands for ${name}, which is not there`)
      variables.set(alias, variable)
    }
    reader.end()
    return new Ct2Model(specification, revision, variables)
  }

  has(name: string): boolean { return this.#variables.has(name) }

  /** Row-major size of each dimension. */
  dims(name: string): readonly number[] { return this.#get(name).dims }

  /** A single number, such as how many heads attend. */
  number(name: string): number {
    const { type, bytes, dims } = this.#get(name)
    if (dims.length > 0) throw invalid(`${name}: expected one number, got ${dims.join(' × ')}`)
    switch (type) {
      case 'int8': return bytes.readInt8()
      case 'int16': return bytes.readInt16LE()
      case 'int32': return bytes.readInt32LE()
      case 'float32': return bytes.readFloatLE()
      default: return floats(type, bytes)[0]!
    }
  }

  /**
   * Weights as they are stored where that is float16 or float32. Others become float32: bfloat16 exactly, int8 and int16
   * divided by their scale, one for each row or one for all.
   */
  weights(name: string): { data: Float16Array | Float32Array; dims: readonly number[] } {
    const { type, bytes, dims } = this.#get(name)
    if (type === 'float16') return { data: new Float16Array(aligned(bytes)), dims }
    const data = floats(type, bytes)
    if (!type.startsWith('int')) return { data, dims }
    const scale = this.#variables.get(`${name}_scale`)
    if (!scale) throw invalid(`${name} is ${type} without ${name}_scale`)
    const scales = floats(scale.type, scale.bytes)
    const rowLength = data.length / scales.length
    if (scales.length !== 1 && scales.length !== dims[0]) throw invalid(`${name}: expected one scale or ${dims[0]}, got ${scales.length}`)
    for (let i = 0; i < data.length; i++) data[i]! /= scales[Math.floor(i / rowLength)]!
    return { data, dims }
  }

  #get(name: string): Ct2Variable {
    const variable = this.#variables.get(name)
    if (!variable) throw invalid(`${name} is not there`)
    return variable
  }
}

function floats(type: Ct2Type, bytes: Buffer): Float32Array {
  const buffer = aligned(bytes)
  switch (type) {
    case 'float32': return new Float32Array(buffer)
    case 'float16': return Float32Array.from(new Float16Array(buffer))
    case 'int8': return Float32Array.from(new Int8Array(buffer))
    case 'int16': return Float32Array.from(new Int16Array(buffer))
    case 'int32': return Float32Array.from(new Int32Array(buffer))
    // The upper half of a float32.
    case 'bfloat16': return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (half) => half << 16).buffer)
  }
}

/** A copy that begins where a typed array may begin. */
const aligned = (bytes: Buffer): ArrayBuffer => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
const invalid = (message: string) => new MtorError('MODEL_INVALID', `CTranslate2 model: ${message}`)

class Reader {
  readonly #bytes: Buffer
  #at = 0
  constructor(file: Uint8Array) { this.#bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength) }

  bytes(length: number, what: string): Buffer {
    const from = this.#at
    if (from + length > this.#bytes.length) throw invalid(`the file ends within ${what}`)
    this.#at += length
    return this.#bytes.subarray(from, this.#at)
  }

  uint8(what: string): number { return this.bytes(1, what).readUInt8() }
  uint32(what: string): number { return this.bytes(4, what).readUInt32LE() }
  string(what: string): string {
    const text = this.bytes(this.bytes(2, what).readUInt16LE(), what)
    return text.toString('utf8', 0, Math.max(0, text.length - 1))
  }

  count(what: string): number {
    const count = this.uint32(`number of ${what}`)
    if (count > MAX_VARIABLES) throw invalid(`${count} ${what} are too many`)
    return count
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw invalid(`${this.#bytes.length - this.#at} bytes follow its end`)
  }
}
