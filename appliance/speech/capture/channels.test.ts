import test from 'ava'
import { ChannelMix } from './channels.ts'

const RATE = 16_000
const voice = (i: number) => Math.round(8_000 * Math.sin(i / 7) * Math.sin(i / 900))
/** Interleaves the channels given as functions of the sample number. */
function interleave(channels: ((i: number) => number)[], frames: number, from = 0): Int16Array {
  const count = channels.length
  const at = (k: number) => channels[k % count]!(from + Math.floor(k / count))
  return Int16Array.from({ length: frames * count }, (_, k) => Math.round(at(k)))
}
const noise = (seed: number) => (i: number) => (((i * 2_654_435_761 + seed * 40_503) >>> 0) % 601) - 300

test('one channel passes untouched', (t) => {
  const input = interleave([voice], 512)
  t.is(new ChannelMix(1, RATE).reduce(input), input)
})

test('equal channels come out as they went in, sample for sample', (t) => {
  for (const count of [2, 6, 8]) {
    const mono = new ChannelMix(count, RATE).reduce(interleave(Array(count).fill(voice), 512))
    t.deepEqual(mono, interleave([voice], 512))
  }
})

test('dead channels (zero, constant, last bit) take no part and are named', (t) => {
  const mix = new ChannelMix(6, RATE)
  const mono = mix.reduce(interleave([() => 0, voice, () => 1_234, voice, (i) => i & 1, voice], 1_024))
  t.deepEqual(mono, interleave([voice], 1_024))
  t.deepEqual(mix.dead, [0, 2, 4])
})

test('all channels dead gives silence', (t) => {
  t.deepEqual([...new ChannelMix(2, RATE).reduce(interleave([() => 0, () => 77], 64))], Array(64).fill(0))
})

test('a channel out of phase does not cancel the voice, a loopback channel does not enter', (t) => {
  const mix = new ChannelMix(3, RATE)
  const channels = [voice, (i: number) => -0.8 * voice(i), (i: number) => 7_000 * Math.sin(i / 3.1)]
  for (let at = 0; at < RATE; at += 512) mix.reduce(interleave(channels, 512, at))
  t.is(mix.weights.filter((weight) => weight > 0).length, 1)
})

test('a far microphone with mostly noise is left out; a microphone that dies is dropped within a second', (t) => {
  const mix = new ChannelMix(3, RATE)
  let at = 0
  for (; at < RATE; at += 512) mix.reduce(interleave([voice, voice, noise(3)], 512, at))
  t.deepEqual(mix.weights, [0.5, 0.5, 0])
  for (const end = at + RATE * 2; at < end; at += 512) mix.reduce(interleave([() => 0, voice, noise(3)], 512, at))
  t.deepEqual(mix.weights, [0, 1, 0])
})

test('the first block after digital silence comes out in full, without a ramp', (t) => {
  for (const silent of [512, 5 * RATE]) {
    const mix = new ChannelMix(2, RATE)
    mix.reduce(interleave([voice, voice], 512))
    for (let at = 0; at < silent; at += 512) mix.reduce(new Int16Array(1_024))
    t.deepEqual(mix.reduce(interleave([voice, voice], 512, 900)), interleave([voice], 512, 900))
  }
})
