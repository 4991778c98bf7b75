import { MtorError } from '../contracts/errors.ts'
import { intentDefinition, type IntentType } from '../contracts/intents.ts'
import { labelOf, withArticle } from '../contracts/objects.ts'
import type { Skill, SkillContext, SkillResult } from './port.ts'
import { spokenFind, spokenSight, spokenText, type Seen } from './sight.ts'
import { duration, list } from './words.ts'

/** A picture in the ring. */
interface Picture { id: string; file: string; thumbnail?: string; widthPx: number; heightPx: number }
interface By { frame: Picture; model: string; version: string; provider: string; tookMs: number; vote?: unknown }

/** What the skills of seeing need; appliance/vision gives it. Everything rejects with an MtorError. */
export interface SkillEyes {
  labels(): readonly string[]
  capture(signal: AbortSignal): Promise<Picture>
  look(signal: AbortSignal, options: { vote?: number }): Promise<By & { widthPx: number; detections: Seen[]; annotated?: string }>
  read(signal: AbortSignal, options: { vote?: number }): Promise<By & { text: string; lines: unknown[] }>
  watch(object: string, durationS?: number): Promise<unknown>
  /** What was watched for. */
  unwatch(object?: string): Promise<string[]>
  watching(): string[]
}

/** What is said where there is no camera. */
const BLIND = {
  'camera.capture': 'No camera is fitted.',
  'vision.describe': 'No camera is fitted, so I cannot look.',
  'vision.find': 'No camera is fitted, so I cannot look.',
  'vision.read': 'No camera is fitted, so I cannot read.',
  'vision.watch': 'No camera is fitted, so I cannot watch.',
  'vision.unwatch': 'No camera is fitted, so I am not watching.',
} as const satisfies Partial<Record<IntentType, string>>
type VisionType = keyof typeof BLIND

const pictureData = ({ id, file, thumbnail, widthPx, heightPx }: Picture) => ({ frame: id, file, ...(thumbnail ? { thumbnail } : {}), widthPx, heightPx })
const byData = ({ frame, model, version, provider, tookMs, vote }: By) => ({ ...pictureData(frame), model, version, provider, tookMs, ...(vote ? { vote } : {}) })

/** The detector's label for what was asked. @throws MtorError NOT_FOUND that names some of what it knows */
function wanted(eyes: SkillEyes, object: string): string {
  const labels = eyes.labels()
  const label = labelOf(object, labels)
  if (label !== undefined) return label
  const examples = ['person', 'dog', 'car', 'cup', 'bottle', 'chair'].filter((each) => labels.includes(each))
  const known = (examples.length > 0 ? examples : labels.slice(0, 5)).map(withArticle)
  throw new MtorError('NOT_FOUND', `${JSON.stringify(object)} is none of the ${labels.length} objects of the detector`, { say: `I cannot look for ${withArticle(object)}; I know for example ${list(known)}.`, hint: 'All it knows: docs/14-vision.md', data: { object, known: [...labels] } })
}

const RUN: Record<VisionType, (eyes: SkillEyes, context: SkillContext, vote: { vote?: number }) => Promise<SkillResult>> = {
  async 'camera.capture'(eyes, { signal }) {
    return { say: 'I took a picture.', data: pictureData(await eyes.capture(signal)) }
  },
  async 'vision.describe'(eyes, { signal }, vote) {
    const sight = await eyes.look(signal, vote)
    return { say: spokenSight(sight.detections, sight.widthPx), data: { detections: sight.detections, ...byData(sight), ...(sight.annotated ? { annotated: sight.annotated } : {}) } }
  },
  async 'vision.find'(eyes, { signal, slots }, vote) {
    const object = wanted(eyes, String(slots.object))
    const sight = await eyes.look(signal, vote)
    const found = sight.detections.filter(({ label }) => label === object)
    return { say: spokenFind(object, found, sight.widthPx), data: { object, found: found.length > 0, detections: found, ...byData(sight), ...(sight.annotated ? { annotated: sight.annotated } : {}) } }
  },
  async 'vision.read'(eyes, { signal }, vote) {
    const reading = await eyes.read(signal, vote)
    return { say: spokenText(reading.text), data: { text: reading.text, lines: reading.lines, ...byData(reading) } }
  },
  async 'vision.watch'(eyes, { slots }) {
    const { durationS } = slots as { durationS?: number }
    const object = wanted(eyes, String(slots.object))
    await eyes.watch(object, durationS)
    return { say: `I am watching for ${withArticle(object)}${durationS === undefined ? '' : ` for ${duration(durationS)}`}.`, data: { object, ...(durationS === undefined ? {} : { durationS }) } }
  },
  async 'vision.unwatch'(eyes, { slots }) {
    const watching = eyes.watching()
    // A label the detector has lost since can still be watched for.
    const object = slots.object === undefined ? undefined : labelOf(String(slots.object), watching) ?? wanted(eyes, String(slots.object))
    const ended = await eyes.unwatch(object)
    if (ended.length > 0) return { say: `I have stopped watching for ${list(ended.map(withArticle))}.`, data: { objects: ended } }
    if (watching.length === 0) return { say: 'I am not watching for anything.', data: { objects: [] } }
    throw new MtorError('NOT_FOUND', `nobody watches for ${object}`, { say: `I am not watching for ${withArticle(object!)}, only for ${list(watching.map(withArticle))}.` })
  },
}

/** Taking pictures, saying what is in view, finding, reading, watching. Without eyes everything is NOT_FITTED. */
export function makeVisionSkill({ eyes }: { eyes?: SkillEyes | undefined }): Skill {
  return {
    name: 'vision',
    types: Object.keys(BLIND) as VisionType[],
    async run(context) {
      const type = context.intent.type as VisionType
      if (!eyes) throw new MtorError('NOT_FITTED', `${type}: no camera`, { say: BLIND[type] })
      const vote = intentDefinition(type)!.policy.vote
      try { return await RUN[type](eyes, context, vote === undefined ? {} : { vote }) } catch (error) {
        // The camera itself says only that it is missing; what cannot be done for that is said here.
        if (error instanceof MtorError && error.code === 'NOT_FITTED' && error.say === BLIND['camera.capture']) throw new MtorError('NOT_FITTED', error.message, { cause: error, say: BLIND[type], hint: error.hint })
        throw error
      }
    },
  }
}
