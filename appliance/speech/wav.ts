import { open, type FileHandle } from 'node:fs/promises'
import { invalid, readHeader, TAG_PCM, type Source, type WavFormat } from './wav-header.ts'

export { WAV_LIMITS, type WavFormat } from './wav-header.ts'

/**
 * Reads PCM (8, 16, 24, 32 bit) and float (32, 64 bit) WAV, plain or WAVE_FORMAT_EXTENSIBLE, 1 to 8 channels,
 * 4 to 192 kHz, as 16-bit samples, a block at a time. Unknown chunks are skipped. A data size that a streaming writer
 * left open means "to the end of the file". RF64 and BW64 are read by the sizes in their ds64 chunk.
 * Every fault is an MtorError AUDIO_INVALID: a header that contradicts itself and a file that is cut short, too.
 * @see Multimedia Programming Interface and Data Specifications 1.0 (RIFF WAVE); EBU Tech 3306 (RF64)
 * @see ITU-R BS.2088 (BW64)
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
    try {
      file = await open(path, 'r')
    } catch (error) {
      throw invalid(path, `cannot be opened (${(error as NodeJS.ErrnoException).code ?? error})`, { cause: error })
    }
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
    return WavReader.#from(name, {
      size: buffer.length,
      read: async (position, length) => buffer.subarray(position, position + length),
      close: async () => {},
    })
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
    for await (const block of this.blocks()) {
      samples.set(block, at)
      at += block.length
    }
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
      } catch (error) {
        throw invalid(name, 'cannot be read', { cause: error })
      }
      return buffer.subarray(0, filled)
    },
    async close() {
      if (!open) return
      open = false
      await file.close()
    },
  }
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
