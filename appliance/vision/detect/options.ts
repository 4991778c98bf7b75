import Type, { type Static } from 'typebox'
import { validator } from '../../contracts/validate.ts'
import { COCO_80 } from './labels.ts'

const three = (what: string) => Type.Array(Type.Number(), { minItems: 3, maxItems: 3, description: what })

/** `options` of a detector's manifest. What is left out has the value that most detectors want. */
export const DetectOptions = Type.Object({
  decoder: Type.Enum(['centernet', 'yolo'], { description: 'centernet: a heat map for each class and distances to the four sides; yolo: rows of boxes with scores' }),
  sizePx: Type.Optional(Type.Integer({ minimum: 32, maximum: 4096, description: 'Side of the square the picture is scaled into, unless the graph has a fixed one; 512' })),
  gridPx: Type.Optional(Type.Integer({ minimum: 1, maximum: 256, description: 'Sides are multiples of it; 32' })),
  letterbox: Type.Optional(Type.Enum(['square', 'fit'], { description: 'What of the square the picture does not fill is calculated too, or cut to the grid; square' })),
  padValue: Type.Optional(Type.Number({ minimum: 0, maximum: 255, description: 'Colour around the picture; 114' })),
  scale: Type.Optional(Type.Number({ description: 'Bytes are multiplied by this, then mean is taken off, then divided by std; 1/255' })),
  mean: Type.Optional(three('0 0 0')),
  std: Type.Optional(three('1 1 1')),
  channels: Type.Optional(Type.Enum(['rgb', 'bgr'])),
  layout: Type.Optional(Type.Enum(['nchw', 'nhwc'])),
  labels: Type.Optional(Type.Array(Type.String(), { minItems: 1, description: 'Names of the classes in their order; the 80 of COCO' })),
  minScore: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'Where the caller names none; 0.4' })),
  iou: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'Boxes of one class that overlap more are one object; 0.5' })),
  sameBoxIou: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'Boxes of different classes that overlap more are one object, of the likelier class; 0.85' })),
  maxDetections: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: '100' })),
  stridePx: Type.Optional(Type.Integer({ minimum: 1, description: 'centernet: pixels of the input for one of the heat map; 4' })),
  heat: Type.Optional(Type.String({ description: 'centernet: name of the output with the heat maps [1, classes, h, w]' })),
  sides: Type.Optional(Type.String({ description: 'centernet: name of the output with left, top, right, bottom [1, 4, h, w], in pixels of the input' })),
  boxes: Type.Optional(Type.String({ description: 'yolo: name of the output; left out: the first' })),
  grid: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { description: 'yolo: strides of the grids that boxes are relative to, where the graph leaves that to the caller (YOLOX: 8 16 32)' })),
}, { additionalProperties: false })
const validate = validator(DetectOptions)

export type Options = Required<Omit<Static<typeof DetectOptions>, 'heat' | 'sides' | 'boxes' | 'grid'>> & Pick<Static<typeof DetectOptions>, 'heat' | 'sides' | 'boxes' | 'grid'>

/** @throws MtorError MODEL_INVALID */
export function detectOptions(model: string, options: unknown): Options {
  return {
    sizePx: 512, gridPx: 32, letterbox: 'square', padValue: 114, scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1], channels: 'rgb', layout: 'nchw', labels: [...COCO_80],
    minScore: 0.4, iou: 0.5, sameBoxIou: 0.85, maxDetections: 100, stridePx: 4, ...validate.assert(options, 'MODEL_INVALID', `options of ${model}`),
  }
}
