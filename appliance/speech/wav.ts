import { open, type FileHandle } from 'node:fs/promises'
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

const TAG_PCM = 1
const TAG_FLOAT = 3
const TAG_EXTENSIBLE = 0xfffe
/** Tail of every KSDATAFORMAT_SUBTYPE GUID; its first two bytes are the format tag. @see mmreg.h, WAVEFORMATEXTENSIBLE */
const SUBTYPE_TAIL = Buffer.from('000000001000800000aa00389b71', 'hex')
/** Writers that stream cannot know the length: they leave 0, 0xffffffff, or (espeak-ng, sox) something just under 0x80000000. */
const STREAMED_SIZE_FROM = 0x7fff_0000

/** Random access to bytes: a file or a buffer. */
interface Source { size: number; read(position: number, length: number): Promise<Buffer>; close(): Promise<void> }

const invalid = (name: string, message: string, cause?: unknown) => new MtorError('AUDIO_INVALID', `${name}: ${message}`, { cause })

/**
 * Reads PCM (8, 16, 24, 32 bit) and float (32, 64 bit) WAV, plain or WAVE_FORMAT_EXTENSIBLE, 1 to 8 channels,
 * 4 to 192 kHz, as 16-bit samples, a block at a time. Unknown chunks are skipped; a data size that the file
 * cannot hold, or that a streaming writer left open, means "to the end of the file". RF64 is read the same way.
 * Every fault is an MtorError AUDIO_INVALID.
 * @see Multimedia Programming Interface and Data Specifications 1.0 (RIFF WAVE); EBU Tech 3306 (RF64)
 */
export class WavReader {
  readonly name: string
  readonly format: WavFormat
  #source: Source
  #dataAt: number

  private constructor(name: string, format: WavFormat, source: Source, dataAt: number) {
    this.name = name
    this.format = format
    this.#source = source
    this.#dataAt = dataAt
  }

  /** Opens a file; close it when done. */
  static async open(path: string): Promise<WavReader> {
    let file: FileHandle
    try { file = await open(path, 'r') } catch (error) { throw invalid(path, `cannot be opened (${(error as NodeJS.ErrnoException).code ?? error})`, error) }
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw invalid(path, 'expected a regular file')
      return await WavReader.#from(path, fileSource(path, file, stat.size))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Reads a WAV that is in memory, such as the output of a speech synthesiser. */
  static fromBuffer(bytes: Uint8Array, name = 'audio'): Promise<WavReader> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return WavReader.#from(name, { size: buffer.length, read: async (position, length) => buffer.subarray(position, position + length), close: async () => {} })
  }

  static async #from(name: string, source: Source): Promise<WavReader> {
    const { format, dataAt } = await readHeader(name, source)
    return new WavReader(name, format, source, dataAt)
  }

  /** Interleaved 16-bit samples, at most `blockFrames` per channel in each block. */
  async *blocks(blockFrames = 4_096): AsyncGenerator<Int16Array> {
    const { channels, containerBits, frames } = this.format
    const frameBytes = channels * (containerBits / 8)
    for (let at = 0; at < frames; at += blockFrames) {
      const count = Math.min(blockFrames, frames - at)
      const bytes = await this.#source.read(this.#dataAt + at * frameBytes, count * frameBytes)
      const whole = Math.floor(bytes.length / frameBytes)
      if (whole > 0) yield decode(bytes.subarray(0, whole * frameBytes), this.format)
      if (whole < count) throw invalid(this.name, 'the file became shorter while it was read')
    }
  }

  /** All samples at once, interleaved: for short sounds. */
  async all(): Promise<Int16Array> {
    const samples = new Int16Array(this.format.frames * this.format.channels)
    let at = 0
    for await (const block of this.blocks()) { samples.set(block, at); at += block.length }
    return samples
  }

  close(): Promise<void> { return this.#source.close() }
}

function fileSource(name: string, file: FileHandle, size: number): Source {
  let open = true
  return {
    size,
    async read(position, length) {
      const buffer = Buffer.allocUnsafe(length)
      let filled = 0
      try {
        while (filled < length) {
          const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled)
          if (bytesRead === 0) break
          filled += bytesRead
        }
      } catch (error) { throw invalid(name, 'cannot be read', error) }
      return buffer.subarray(0, filled)
    },
    async close() { if (open) { open = false; await file.close() } },
  }
}

async function readHeader(name: string, source: Source): Promise<{ format: WavFormat; dataAt: number }> {
  const riff = await source.read(0, 12)
  const id = riff.toString('latin1', 0, 4)
  if (riff.length < 12 || (id !== 'RIFF' && id !== 'RF64') || riff.toString('latin1', 8, 12) !== 'WAVE') throw invalid(name, `expected a RIFF WAVE file${id === 'RIFX' ? ', got the big-endian RIFX form' : ''}`)
  let fmt: ReturnType<typeof readFmt> | undefined
  let at = 12
  for (let chunk = 0; chunk < WAV_LIMITS.maxChunks; chunk++) {
    const header = await source.read(at, 8)
    if (header.length < 8) throw invalid(name, fmt ? 'has no data chunk' : 'has no fmt chunk')
    const kind = header.toString('latin1', 0, 4)
    const size = header.readUInt32LE(4)
    const bodyAt = at + 8
    if (kind === 'fmt ') fmt = readFmt(name, await source.read(bodyAt, Math.min(size, 40)))
    if (kind === 'data') {
      if (!fmt) throw invalid(name, 'the data chunk comes before the fmt chunk')
      const left = source.size - bodyAt
      const bytes = size === 0 || size >= STREAMED_SIZE_FROM || size > left ? left : size
      const frames = Math.floor(bytes / (fmt.channels * (fmt.containerBits / 8)))
      if (frames === 0) throw invalid(name, 'holds no samples')
      return { format: { ...fmt, frames, durationS: frames / fmt.sampleRateHz }, dataAt: bodyAt }
    }
    // Chunks are padded to an even length.
    at = bodyAt + size + (size & 1)
  }
  throw invalid(name, `has more than ${WAV_LIMITS.maxChunks} chunks before its data`)
}

function readFmt(name: string, body: Buffer) {
  if (body.length < 16) throw invalid(name, 'the fmt chunk is too short')
  let tag = body.readUInt16LE(0)
  const channels = body.readUInt16LE(2)
  const sampleRateHz = body.readUInt32LE(4)
  const blockAlign = body.readUInt16LE(12)
  const bits = body.readUInt16LE(14)
  if (tag === TAG_EXTENSIBLE) {
    if (body.length < 40 || !body.subarray(26, 40).equals(SUBTYPE_TAIL)) throw invalid(name, 'unknown extensible sub-format')
    tag = body.readUInt16LE(24)
  }
  if (tag !== TAG_PCM && tag !== TAG_FLOAT) throw invalid(name, `expected PCM (1) or float (3), got format ${tag}`)
  if (channels < 1 || channels > WAV_LIMITS.maxChannels) throw invalid(name, `expected 1 to ${WAV_LIMITS.maxChannels} channels, got ${channels}`)
  if (sampleRateHz < WAV_LIMITS.minRateHz || sampleRateHz > WAV_LIMITS.maxRateHz) throw invalid(name, `expected ${WAV_LIMITS.minRateHz} to ${WAV_LIMITS.maxRateHz} Hz, got ${sampleRateHz}`)
  // The block size tells the container: 20 or 24 bits may lie left-justified in a wider one.
  const containerBits = (blockAlign / channels) * 8
  const float = tag === TAG_FLOAT
  const known = float ? [32, 64] : [8, 16, 24, 32]
  if (!known.includes(containerBits) || bits < 1 || bits > containerBits || (float && bits !== containerBits)) throw invalid(name, `${float ? 'float' : 'PCM'} with ${bits} bits in blocks of ${blockAlign} bytes for ${channels} channels is not supported`)
  return { sampleRateHz, channels, containerBits: containerBits as WavFormat['containerBits'], float }
}

function decode(bytes: Buffer, format: WavFormat): Int16Array {
  const step = format.containerBits / 8
  const samples = new Int16Array(bytes.length / step)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0, at = 0; i < samples.length; i++, at += step) samples[i] = sampleAt(view, at, format)
  return samples
}

function sampleAt(view: DataView, at: number, format: WavFormat): number {
  if (format.float) {
    const value = format.containerBits === 32 ? view.getFloat32(at, true) : view.getFloat64(at, true)
    // NaN compares false everywhere: it falls through to 0.
    return value >= 1 ? 32_767 : value <= -1 ? -32_768 : Math.round(value * 32_767) || 0
  }
  switch (format.containerBits) {
    case 8: return (view.getUint8(at) - 128) << 8
    case 16: return view.getInt16(at, true)
    case 24: return view.getInt16(at + 1, true)
    default: return view.getInt16(at + 2, true)
  }
}

/** A 16-bit PCM WAV of interleaved samples. */
export function encodeWav(samples: Int16Array, options: { sampleRateHz: number; channels?: number }): Buffer {
  const channels = options.channels ?? 1
  const wav = Buffer.alloc(44 + samples.length * 2)
  wav.write('RIFF', 0, 'latin1')
  wav.writeUInt32LE(36 + samples.length * 2, 4)
  wav.write('WAVEfmt ', 8, 'latin1')
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(TAG_PCM, 20)
  wav.writeUInt16LE(channels, 22)
  wav.writeUInt32LE(options.sampleRateHz, 24)
  wav.writeUInt32LE(options.sampleRateHz * channels * 2, 28)
  wav.writeUInt16LE(channels * 2, 32)
  wav.writeUInt16LE(16, 34)
  wav.write('data', 36, 'latin1')
  wav.writeUInt32LE(samples.length * 2, 40)
  for (let i = 0; i < samples.length; i++) wav.writeInt16LE(samples[i]!, 44 + i * 2)
  return wav
}
