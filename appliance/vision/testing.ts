import { join } from 'node:path'
import sharp from 'sharp'
import { PROJECT_DIR } from '../config/load.ts'
import { systemClock } from '../contracts/clock.ts'
import { ModelStore } from '../inference/store/index.ts'

/** For tests: pictures that are drawn, so that they need no photographs and no fonts of the machine. */

/** The models that the set-up has brought. */
export const broughtModels = (): ModelStore => new ModelStore({ modelsDir: join(PROJECT_DIR, 'models'), clock: systemClock, onEvent: () => { /* Not asked for. */ }, scrubPeriodMs: 24 * 3600_000 })

const octagon = (x: number, y: number, radius: number) => Array.from({ length: 8 }, (_, corner) => { const angle = Math.PI / 8 + corner * Math.PI / 4; return `${x + radius * Math.cos(angle)},${y + radius * Math.sin(angle)}` }).join(' ')
/** STOP in strokes: a font would differ from machine to machine. */
const STOP = ['M32,8 H8 V32 H24 V56 H0', 'M0,8 H32 M16,8 V64', 'M8,8 H24 V56 H8 Z', 'M8,64 V8 H24 V32 H8']
const stopSign = (x: number, y: number) => `<rect x="${x - 6}" y="${y}" width="12" height="330" fill="#888"/><polygon points="${octagon(x, y, 100)}" fill="#fff"/><polygon points="${octagon(x, y, 93)}" fill="#b5121b"/>
  ${STOP.map((path, index) => `<path transform="translate(${x - 70 + index * 47},${y - 32})" d="${path}" fill="none" stroke="#fff" stroke-width="12"/>`).join('')}`
const clock = (x: number, y: number) => `<circle cx="${x}" cy="${y}" r="90" fill="#f8f8f4" stroke="#222" stroke-width="12"/>${Array.from({ length: 12 }, (_, hour) => `<line x1="${x}" y1="${y - 78}" x2="${x}" y2="${y - 64}" stroke="#111" stroke-width="6" transform="rotate(${hour * 30} ${x} ${y})"/>`).join('')}
  <line x1="${x}" y1="${y}" x2="${x}" y2="${y - 60}" stroke="#111" stroke-width="8"/><line x1="${x}" y1="${y}" x2="${x + 40}" y2="${y + 20}" stroke="#111" stroke-width="8"/>`

/** Sky and grass, 640 × 480, with or without a stop sign on the left and a clock on the right. */
export const drawScene = (file: string, things: boolean): Promise<unknown> => sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480"><defs><linearGradient id="g" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="#8bbbe8"/>
  <stop offset=".6" stop-color="#dce9f2"/><stop offset=".62" stop-color="#6f8f4e"/><stop offset="1" stop-color="#4a6a32"/></linearGradient></defs><rect width="640" height="480" fill="url(#g)"/>${things ? stopSign(156, 170) + clock(480, 250) : ''}</svg>`)).blur(0.8).jpeg().toFile(file)

/** Letters of straight strokes in a box of 4 × 6. */
const STROKES: Readonly<Record<string, string>> = {
  A: 'M0,6 L2,0 L4,6 M0.8,3.8 H3.2', E: 'M4,0 H0 V6 H4 M0,3 H3.2', F: 'M4,0 H0 V6 M0,3 H3.2', H: 'M0,0 V6 M4,0 V6 M0,3 H4', I: 'M2,0 V6', L: 'M0,0 V6 H4', N: 'M0,6 V0 L4,6 V0', T: 'M0,0 H4 M2,0 V6', X: 'M0,0 L4,6 M4,0 L0,6',
  1: 'M1,1.2 L2.4,0 V6', 4: 'M3,6 V0 L0,4.2 H4.2', 7: 'M0,0 H4 L1.4,6',
}
/** The size of a sign with so many letters, pixels. */
export const signSize = (text: string, scale = 1) => ({ widthPx: Math.round((text.length * 60 + 200) * scale), heightPx: Math.round(260 * scale) })

/** A sign with one line of letters from 100 px inside its edge on, turned clockwise by a multiple of 90 degrees. */
export async function drawSign(file: string, text: string, { turnedDeg = 0, scale = 1 } = {}): Promise<void> {
  const { widthPx, heightPx } = signSize(text)
  const letters = [...text].map((letter, index) => `<path transform="translate(${100 + index * 60},100) scale(10)" d="${STROKES[letter] ?? ''}" fill="none" stroke="#111" stroke-width="0.9" stroke-linecap="square"/>`).join('')
  const sign = await sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${heightPx}"><rect width="100%" height="100%" fill="#d9c27a"/><rect x="50" y="50" width="${widthPx - 100}" height="${heightPx - 100}" fill="#fff" stroke="#111" stroke-width="5"/>${letters}</svg>`))
    .resize({ width: Math.round(widthPx * scale) }).png().toBuffer()
  await sharp(sign).rotate(turnedDeg).jpeg({ quality: 92 }).toFile(file)
}
/** Grain without any text. */
export const drawGrain = (file: string): Promise<unknown> => sharp({ create: { width: 480, height: 360, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 40 } } }).jpeg().toFile(file)
/** A camera held upright says so in its EXIF data. */
export const turnByExif = (from: string, to: string, orientation: number): Promise<unknown> => sharp(from).withMetadata({ orientation }).toFile(to)
