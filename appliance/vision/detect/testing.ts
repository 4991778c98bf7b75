import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import sharp, { type Sharp } from 'sharp'
import { GraphWriter } from '../../inference/convert/onnx-writer.ts'
import type { Manifest } from '../../inference/manifest.ts'
import type { LoadedTask } from '../../inference/task.ts'
import { manifestOf } from '../../inference/worker/testing.ts'
import { task } from './task.ts'

/** A detector that is a real graph with weights that can be understood: it sees what is red and what is blue. */

/** Half the side of every box, pixels of the input. */
export const HALF_PX = 16
export const TOY_OPTIONS: Manifest['options'] = { decoder: 'centernet', heat: 'heat', sides: 'sides', labels: ['red thing', 'blue thing'], sizePx: 128, padValue: 0 }

/** Heat: how much redder (bluer) than the other colours the surroundings are; its peak is where a square of that colour has its centre. */
export function toyGraph(fixedPx?: number): Uint8Array {
  const graph = new GraphWriter('toy')
  graph.input('image', 'float32', fixedPx === undefined ? ['batch', 3, 'height', 'width'] : [1, 3, fixedPx, fixedPx])
  graph.node('AveragePool', ['image'], ['cells'], { kernel_shape: [4, 4], strides: [4, 4] })
  // Twice: once would leave a plateau instead of a peak.
  graph.node('AveragePool', ['cells'], ['smoother'], { kernel_shape: [5, 5], strides: [1, 1], pads: [2, 2, 2, 2] })
  graph.node('AveragePool', ['smoother'], ['smooth'], { kernel_shape: [5, 5], strides: [1, 1], pads: [2, 2, 2, 2] })
  graph.constant('colours', Float32Array.of(12, -6, -6, -6, -6, 12), [2, 3, 1, 1])
  graph.constant('threshold', Float32Array.of(-2, -2), [2])
  graph.node('Conv', ['smooth', 'colours', 'threshold'], ['logits'])
  graph.node('Sigmoid', ['logits'], ['heat'])
  graph.constant('nothing', new Float32Array(12), [4, 3, 1, 1])
  graph.constant('half', new Float32Array(4).fill(HALF_PX), [4])
  graph.node('Conv', ['smooth', 'nothing', 'half'], ['sides'])
  graph.output('heat', 'float32', ['batch', 2, 'h', 'w'])
  graph.output('sides', 'float32', ['batch', 4, 'h', 'w'])
  return graph.bytes()
}

/** Loads a graph as a worker does. */
export async function loadDetector(folder: string, bytes: Uint8Array = toyGraph(), options: Manifest['options'] = TOY_OPTIONS): Promise<LoadedTask<'detect'>> {
  await writeFile(join(folder, 'toy.onnx'), bytes)
  return await task.load({
    model: { folder, manifest: manifestOf('toy.onnx', bytes, { name: 'toy', task: 'detect', options }) }, threads: 1,
    open: async (path) => ({ ort, provider: 'cpu', session: await ort.InferenceSession.create(await readFile(join(folder, path)), { intraOpNumThreads: 1 }) }),
  })
}

/** Grey, with squares of 40 × 40 px around these centres. */
export function squares(width: number, height: number, list: { colour: string; x: number; y: number }[]): Sharp {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#808080"/>${list.map(({ colour, x, y }) => `<rect x="${x - 20}" y="${y - 20}" width="40" height="40" fill="${colour}"/>`).join('')}</svg>`
  return sharp(Buffer.from(svg)).removeAlpha()
}
