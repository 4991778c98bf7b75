import { MtorError } from '../contracts/errors.ts'

/** What a WAV file says about its samples. `frames` counts samples per channel. */
export interface WavFormat {
  sampleRateHz: number
  channels: number
  /** Bits of one stored sample, padding included. */
  containerBits: 8 | 16 | 24 | 32 | 64
  float: boolean
  frames: number
  durationS: number
}

export const WAV_LIMITS = { minRateHz: 4_000, maxRateHz: 192_000, maxChannels: 8, maxChunks: 1_000 } as const

/** Random access to bytes: a file or a buffer. */
export interface Source {
  /** Bytes. */
  size: number
  /** Fewer bytes than `length` come back only at the end. */
  read(position: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

type SampleFormat = Omit<WavFormat, 'frames' | 'durationS'>

export const TAG_PCM = 1
const TAG_FLOAT = 3
const TAG_EXTENSIBLE = 0xfffe
/** Encodings that people do have, by format tag. @see RFC 2361 */
const ENCODINGS: Readonly<Record<number, string>> = {
  2: 'MS ADPCM',
  6: 'A-law',
  7: 'µ-law',
  0x11: 'IMA ADPCM',
  0x31: 'GSM 6.10',
  0x50: 'MPEG',
  0x55: 'MP3',
}
/**
 * Tail of every KSDATAFORMAT_SUBTYPE GUID. Its first two bytes are the format tag.
 * @see mmreg.h, WAVEFORMATEXTENSIBLE
 */
const SUBTYPE_TAIL = Buffer.from('000000001000800000aa00389b71', 'hex')
/** What WAVEFORMATEXTENSIBLE adds to the 18 bytes of WAVEFORMATEX. */
const EXTENSION_BYTES = 22
const FMT_BYTES = { least: 16, extensible: 18 + EXTENSION_BYTES } as const
/**
 * Writers that stream cannot know a length. They leave 0, 0xffffffff, or (arecord, espeak-ng, sox) something about
 * 0x80000000.
 */
const STREAMED_SIZE_FROM = 0x7fff_0000
const UNKNOWN_SIZE = 0xffff_ffff
/** A 64-bit size beyond this is no size. */
const UNKNOWN_SIZE_64 = Number.MAX_SAFE_INTEGER
const CONVERT = 'Convert it to 16-bit PCM: sox IN.wav -e signed-integer -b 16 OUT.wav'

export function invalid(name: string, message: string, options: { cause?: unknown; hint?: string } = {}): MtorError {
  return new MtorError('AUDIO_INVALID', `${name}: ${message}`, options)
}

/**
 * The format of a WAV and the position of its samples. A header whose numbers contradict each other is refused: nothing
 * says which of them is wrong, and sound that is read at a wrong speed or width is heard as other words.
 * @throws MtorError AUDIO_INVALID
 */
export async function readHeader(name: string, source: Source): Promise<{ format: WavFormat; dataAt: number }> {
  const riff = await source.read(0, 12)
  const id = riff.toString('latin1', 0, 4)
  if (riff.length < 12 || !['RIFF', 'RF64', 'BW64'].includes(id) || riff.toString('latin1', 8, 12) !== 'WAVE') {
    throw invalid(name, `expected a RIFF WAVE file${id === 'RIFX' ? ', got the big-endian RIFX form' : ''}`)
  }
  let riffBytes = riff.readUInt32LE(4)
  let data64: number | undefined
  let fmt: SampleFormat | undefined
  let at = 12
  for (let chunk = 0; chunk < WAV_LIMITS.maxChunks; chunk++) {
    const header = await source.read(at, 8)
    if (header.length < 8) throw invalid(name, fmt ? 'has no data chunk' : 'has no fmt chunk')
    const kind = header.toString('latin1', 0, 4)
    const size = header.readUInt32LE(4)
    const bodyAt = at + 8
    if (kind === 'fmt ') {
      if (fmt) throw invalid(name, 'expected one fmt chunk, got two')
      fmt = readFmt(name, await source.read(bodyAt, Math.min(size, FMT_BYTES.extensible)))
    }
    if (kind === 'ds64' && id !== 'RIFF') {
      const sizes = await source.read(bodyAt, Math.min(size, 16))
      if (sizes.length < 16) throw invalid(name, `expected a ds64 chunk of 16 bytes or more, got ${sizes.length}`)
      riffBytes = Number(sizes.readBigUInt64LE(0))
      data64 = Number(sizes.readBigUInt64LE(8))
    }
    if (kind === 'data') {
      if (!fmt) throw invalid(name, 'the data chunk comes before the fmt chunk')
      const stated = size === UNKNOWN_SIZE && data64 !== undefined ? data64 : size
      const bytes = dataBytes(name, { stated, left: source.size - bodyAt, bodyAt, riffBytes })
      const frames = Math.floor(bytes / (fmt.channels * (fmt.containerBits / 8)))
      if (frames === 0) throw invalid(name, 'holds no samples')
      return { format: { ...fmt, frames, durationS: frames / fmt.sampleRateHz }, dataAt: bodyAt }
    }
    at = await nextChunk(source, bodyAt + size)
  }
  throw invalid(name, `has more than ${WAV_LIMITS.maxChunks} chunks before its data`)
}

/** Chunks are padded to an even position. Some writers forget that; `fmt ` and `data` are found all the same. */
async function nextChunk(source: Source, endAt: number): Promise<number> {
  if (endAt % 2 === 0) return endAt
  const kind = (await source.read(endAt, 4)).toString('latin1')
  return kind === 'fmt ' || kind === 'data' ? endAt : endAt + 1
}

/** How many bytes of sound there are. */
function dataBytes(name: string, sizes: {
  /** By the header of the data chunk, or by ds64. */
  stated: number
  /** In the file, behind the header of the data chunk. */
  left: number
  bodyAt: number
  riffBytes: number
}): number {
  const { stated, left, bodyAt, riffBytes } = sizes
  if (stated === 0) {
    // A header that was written before the samples also says that the file ends here, or nothing.
    const isOpen = riffBytes === 0 || riffBytes >= STREAMED_SIZE_FROM || riffBytes + 8 <= bodyAt
    return isOpen ? left : 0
  }
  if (stated === UNKNOWN_SIZE || stated > UNKNOWN_SIZE_64) return left
  if (stated <= left) return stated
  const isStreamed = stated >= STREAMED_SIZE_FROM && stated <= UNKNOWN_SIZE
  // Some writers count the header into the data; nothing is missing then.
  const countsHeader = stated - left <= bodyAt
  if (isStreamed || countsHeader) return left
  // The end of a sentence can turn its meaning: half a sentence is no sentence.
  throw invalid(name, `is cut short: expected ${stated} bytes of sound by its header, got ${left}`, {
    hint: 'Copy the file again. To take what is there: sox --ignore-length IN.wav OUT.wav',
  })
}

function readFmt(name: string, body: Buffer): SampleFormat {
  if (body.length < FMT_BYTES.least) {
    throw invalid(name, `expected a fmt chunk of ${FMT_BYTES.least} bytes or more, got ${body.length}`)
  }
  let tag = body.readUInt16LE(0)
  const channels = body.readUInt16LE(2)
  const sampleRateHz = body.readUInt32LE(4)
  const byteRate = body.readUInt32LE(8)
  const blockAlign = body.readUInt16LE(12)
  const bits = body.readUInt16LE(14)
  let validBits = bits
  const extensible = tag === TAG_EXTENSIBLE
  if (extensible) {
    if (body.length < FMT_BYTES.extensible) {
      throw invalid(name, `expected an extensible fmt chunk of ${FMT_BYTES.extensible} bytes, got ${body.length}`)
    }
    const extension = body.readUInt16LE(16)
    if (extension < EXTENSION_BYTES) {
      throw contradiction(name, `extensible: expected an extension of ${EXTENSION_BYTES} bytes, got ${extension}`)
    }
    if (!body.subarray(26, 40).equals(SUBTYPE_TAIL)) {
      throw invalid(name, `unknown extensible sub-format ${body.toString('hex', 24, 40)}`, { hint: CONVERT })
    }
    // 0 is what writers leave who do not know the field.
    validBits = body.readUInt16LE(18) || bits
    tag = body.readUInt16LE(24)
  }
  if (tag !== TAG_PCM && tag !== TAG_FLOAT) {
    const encoding = ENCODINGS[tag] ?? 'unknown'
    throw invalid(name, `expected PCM (1) or float (3), got format ${tag} (${encoding})`, { hint: CONVERT })
  }
  const { minRateHz, maxRateHz, maxChannels } = WAV_LIMITS
  if (channels < 1 || channels > maxChannels) {
    throw invalid(name, `expected 1 to ${maxChannels} channels, got ${channels}`)
  }
  if (sampleRateHz < minRateHz || sampleRateHz > maxRateHz) {
    throw invalid(name, `expected ${minRateHz} to ${maxRateHz} Hz, got ${sampleRateHz}`)
  }
  const float = tag === TAG_FLOAT
  const containerBits = containerOf(name, { float, extensible, bits, validBits })
  // A block is one sample of each channel. In the plain form nothing says where in a wider block a sample lies: the
  // standard has it in the high bytes, arecord -f S24_LE in the low ones.
  const blockBytes = channels * (containerBits / 8)
  if (blockAlign !== blockBytes) {
    const expected = `expected blocks of ${blockBytes} bytes`
    throw contradiction(name, `${channels} channel(s) of ${bits} bits: ${expected}, got ${blockAlign}`)
  }
  // 0 is "not given": nothing needs this number, but where it is given it tells of a wrong rate.
  const expectedByteRate = sampleRateHz * blockBytes
  if (byteRate !== 0 && byteRate !== expectedByteRate) {
    const expected = `expected ${expectedByteRate} bytes a second`
    throw contradiction(name, `${sampleRateHz} Hz in blocks of ${blockBytes} bytes: ${expected}, got ${byteRate}`)
  }
  return { sampleRateHz, channels, containerBits, float }
}

function contradiction(name: string, message: string): MtorError {
  return invalid(name, `its header contradicts itself: ${message}`, {
    hint: 'Record or export it again, as 16-bit PCM.',
  })
}

/** Bits of one stored sample. The plain form rounds up to whole bytes; the extensible form gives the container. */
function containerOf(name: string, sample: {
  float: boolean
  extensible: boolean
  bits: number
  validBits: number
}): WavFormat['containerBits'] {
  const { float, extensible, bits, validBits } = sample
  const kind = float ? 'float' : 'PCM'
  const known = float ? [32, 64] : [8, 16, 24, 32]
  const container = float || extensible ? bits : Math.ceil(bits / 8) * 8
  if (!known.includes(container)) {
    throw invalid(name, `${kind}: expected ${known.join(', ')} bits, got ${bits}`, { hint: CONVERT })
  }
  if (validBits > container || (float && validBits !== container)) {
    throw contradiction(name, `${kind} of ${bits} bits, of which ${validBits} are said to be used`)
  }
  return container as WavFormat['containerBits']
}
