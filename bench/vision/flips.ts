import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TrustedModel } from '../../appliance/inference/manifest.ts'
import { difference } from '../../appliance/inference/equality.ts'
import type { TestPattern, Tasks } from '../../appliance/inference/port.ts'
import { findWeights } from '../../appliance/inference/worker/flip.ts'
import type { MeasureContext, Row } from '../harness.ts'
import { openDetector } from './detector.ts'

/** Bits of a 32-bit float. @see IEEE 754 */
const KINDS = { exponent: [23, 8], sign: [31, 1], mantissa: [0, 23] } as const
const MIN_SCORE = 0.3

interface Seen { outputs: Tasks['detect']['output'][]; digests: string[]; known: string | undefined }

/**
 * Flips one bit of one weight at a time, every tensor of the graph as likely as every other, and asks: does a photograph get
 * another answer, and does the known answer that is run after it tell? `wrong`: another answer by the task's own equality;
 * `other`: other in the last digit that is delivered.
 */
export async function flips(context: MeasureContext, model: TrustedModel, pictures: readonly string[], count: number): Promise<Row[]> {
  const bytes = await readFile(join(model.folder, model.manifest.files[0]!.path))
  const weights = findWeights(bytes).filter(({ width }) => width === 4)
  const known = model.manifest.knownAnswers[0]!.input as { image: TestPattern }
  const look = async (graph: Uint8Array): Promise<Seen> => {
    const detector = await openDetector(model, { bytes: graph })
    try {
      const outputs: Seen['outputs'] = [], digests: string[] = []
      for (const image of pictures) { outputs.push(await detector.run({ image, minScore: MIN_SCORE })); digests.push(detector.digest!()!) }
      await detector.run(known)
      return { outputs, digests, known: detector.digest!() }
    } finally { await detector.close() }
  }
  const before = await look(bytes)
  const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[]
  const total = { wrong: 0, other: 0, raw: 0, unseenWrong: 0, unseenOther: 0, unseenRaw: 0, refused: 0 }
  for (let flip = 0; flip < count; flip++) {
    context.signal.throwIfAborted()
    const [first, width] = KINDS[kinds[flip % kinds.length]!]
    const tensor = weights[Math.floor(context.random() * weights.length)]!
    const element = Math.floor(context.random() * tensor.bytes / 4), bit = first + Math.floor(context.random() * width)
    const graph = new Uint8Array(bytes)
    graph[tensor.offset + 4 * element + (bit >> 3)]! ^= 1 << (bit & 7)
    let after: Seen
    // A size or a factor of a resize is a weight too: onnxruntime refuses some outright.
    try { after = await look(graph) } catch { total.refused++; continue }
    const unseen = after.known === before.known
    const raw = after.digests.some((digest, index) => digest !== before.digests[index])
    const other = after.outputs.some((output, index) => JSON.stringify(output) !== JSON.stringify(before.outputs[index]))
    const wrong = after.outputs.some((output, index) => difference('detect', before.outputs[index], output, { minScore: MIN_SCORE }) !== undefined)
    if (raw) { total.raw++; if (unseen) total.unseenRaw++ }
    if (other) { total.other++; if (unseen) { total.unseenOther++; context.progress(`not seen by the known answer: bit ${bit} of element ${element} of tensor ${weights.indexOf(tensor)}${wrong ? ', and the answer is wrong' : ''}`) } }
    if (wrong) { total.wrong++; if (unseen) total.unseenWrong++ }
    if (flip % 50 === 49) context.progress(`flipped bits: ${flip + 1} of ${count}`)
  }
  return [
    { metric: 'flipped bits, one at a time', value: count, unit: `on ${pictures.length} photographs` },
    { metric: 'refused when loaded', value: total.refused, unit: '' },
    { metric: 'answer wrong', value: total.wrong, unit: '' },
    { metric: 'answer wrong, known answer did not tell', value: total.unseenWrong, unit: '', goal: '= 0', holds: total.unseenWrong === 0 },
    { metric: 'answer other in any digit', value: total.other, unit: '' },
    { metric: 'answer other in any digit, known answer did not tell', value: total.unseenOther, unit: '' },
    { metric: 'raw outputs other', value: total.raw, unit: '' },
    { metric: 'raw outputs other, known answer did not tell', value: total.unseenRaw, unit: '' },
  ]
}
