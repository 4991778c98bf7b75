import { encodeWav } from '../wav.ts'

export type EarconName = 'heard' | 'understood' | 'refused'

/** A note: frequency in Hz, start and length in ms. */
interface Note { hz: number; atMs: number; forMs: number }

/** Rising for "go on", two quick notes up for "yes", two low notes down for "no": told apart by contour, not by pitch alone. */
const EARCONS: Record<EarconName, Note[]> = {
  heard: [{ hz: 880, atMs: 0, forMs: 120 }],
  understood: [{ hz: 659, atMs: 0, forMs: 90 }, { hz: 988, atMs: 90, forMs: 130 }],
  refused: [{ hz: 330, atMs: 0, forMs: 140 }, { hz: 220, atMs: 150, forMs: 200 }],
}
const RATE_HZ = 48_000
const PEAK = 0.35 * 32_767
/** Raised-cosine flanks: shorter ones click. */
const FLANK_MS = 12

const cache = new Map<EarconName, Buffer>()

/** The tone of a name, as a mono 48 kHz WAV. */
export function earcon(name: EarconName): Buffer {
  let wav = cache.get(name)
  if (!wav) cache.set(name, wav = encodeWav(render(EARCONS[name]), { sampleRateHz: RATE_HZ }))
  return wav
}

function render(notes: Note[]): Int16Array {
  const lengthMs = Math.max(...notes.map((note) => note.atMs + note.forMs))
  const samples = new Int16Array((lengthMs * RATE_HZ) / 1000)
  for (const { hz, atMs, forMs } of notes) {
    const count = (forMs * RATE_HZ) / 1000
    const flank = (FLANK_MS * RATE_HZ) / 1000
    for (let i = 0, at = (atMs * RATE_HZ) / 1000; i < count; i++, at++) {
      const edge = Math.min(1, i / flank, (count - 1 - i) / flank)
      samples[at]! += PEAK * 0.5 * (1 - Math.cos(Math.PI * edge)) * Math.sin((2 * Math.PI * hz * i) / RATE_HZ)
    }
  }
  return samples
}
