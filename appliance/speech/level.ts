/** Nothing that 16 bits can hold is softer. */
const SILENCE_DB = -96

/** Level of a stretch of 16-bit samples, dB below full scale (the RMS of a full square wave is 0). */
export function levelDb(samples: Int16Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  return sum === 0 ? SILENCE_DB : Math.max(SILENCE_DB, 10 * Math.log10(sum / samples.length / 32_768 ** 2))
}
