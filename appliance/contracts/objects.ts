/**
 * Objects and how people call them. A detector has labels of its own; those of COCO are the usual ones. The words stand
 * here once, for what is heard, what is said and what is looked for.
 * @see Lin and others, "Microsoft COCO: Common Objects in Context", 2014: the 80 labels of its detection task
 */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  person: ['people', 'human', 'somebody', 'someone', 'anybody', 'anyone', 'man', 'woman', 'men', 'women', 'child', 'children', 'boy', 'girl', 'pedestrian'],
  bicycle: ['bike'], car: ['automobile'], motorcycle: ['motorbike', 'motor bike'], airplane: ['aeroplane', 'plane', 'aircraft'], bus: [], train: [], truck: ['lorry'], boat: ['ship'],
  'traffic light': ['stop light'], 'fire hydrant': ['hydrant'], 'stop sign': [], 'parking meter': [], bench: [], bird: [], cat: ['kitten'], dog: ['puppy'], horse: [], sheep: [], cow: [],
  elephant: [], bear: [], zebra: [], giraffe: [], backpack: ['rucksack', 'back pack'], umbrella: [], handbag: ['purse', 'hand bag'], tie: ['necktie'], suitcase: ['luggage'], frisbee: [], skis: ['ski'],
  snowboard: [], 'sports ball': ['ball', 'football'], kite: [], 'baseball bat': ['bat'], 'baseball glove': [], skateboard: [], surfboard: [], 'tennis racket': ['racket'], bottle: ['flask'],
  'wine glass': ['glass'], cup: ['mug', 'coffee cup', 'tea cup'], fork: [], knife: [], spoon: [], bowl: [], banana: [], apple: [], sandwich: [], orange: [], broccoli: [], carrot: [], 'hot dog': [], pizza: [],
  donut: ['doughnut'], cake: [], chair: [], couch: ['sofa', 'settee'], 'potted plant': ['plant', 'pottedplant', 'flower pot'], bed: [], 'dining table': ['table', 'diningtable', 'desk'], toilet: [],
  tv: ['television', 'screen', 'monitor', 'tvmonitor'], laptop: ['notebook computer'], mouse: ['computer mouse'], remote: ['remote control'], keyboard: [],
  'cell phone': ['phone', 'mobile', 'mobile phone', 'telephone', 'smartphone'], microwave: ['microwave oven'], oven: ['stove'], toaster: [], sink: [], refrigerator: ['fridge'], book: [], clock: ['wall clock'],
  vase: [], scissors: [], 'teddy bear': ['teddy'], 'hair drier': ['hair dryer', 'hairdryer'], toothbrush: [],
}

/** The labels of COCO. */
export const COCO_LABELS: readonly string[] = Object.keys(NAMES)

const IRREGULAR: Readonly<Record<string, string>> = { sheep: 'sheep', skis: 'pairs of skis', scissors: 'pairs of scissors', knife: 'knives', mouse: 'mice', broccoli: 'pieces of broccoli' }
/** What comes in pairs or pieces is counted by them. */
const SINGULAR: Readonly<Record<string, string>> = { skis: 'a pair of skis', scissors: 'a pair of scissors', broccoli: 'a piece of broccoli', tv: 'a TV' }
const SPOKEN: Readonly<Record<string, string>> = { tv: 'TV' }

/** "two" dogs: the label for more than one. Works for labels that are not COCO's, too. */
export function plural(label: string): string {
  if (Object.hasOwn(IRREGULAR, label)) return IRREGULAR[label]!
  const spoken = SPOKEN[label] ?? label
  return /(s|x|ch|sh)$/.test(spoken) ? `${spoken}es` : /[^aeiou]y$/.test(spoken) ? `${spoken.slice(0, -1)}ies` : `${spoken}s`
}

const ARTICLE = /^(a|an|any|some|the|my|your|our|another) /i

/** "a cup", "an apple", "a pair of skis"; what has an article already gets this one. */
export function withArticle(label: string): string {
  const bare = label.trim().replace(ARTICLE, '')
  // A u or eu that sounds like "you".
  return SINGULAR[bare] ?? `${/^(?!uni|use|ut|eu|one)[aeiou]/i.test(bare) ? 'an' : 'a'} ${bare}`
}

const plain = (word: string) => word.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, ' ').trim().replace(ARTICLE, '')
/** Every name by every other of the same thing. */
const SAME = new Map<string, readonly string[]>()
for (const [label, others] of Object.entries(NAMES)) for (const name of [label, ...others]) SAME.set(name, [label, ...others])

/** The label among `labels` that a person's word means: itself, a synonym or a plural; undefined where there is none. */
export function labelOf(word: string, labels: readonly string[]): string | undefined {
  const said = plain(word)
  const known = new Map(labels.map((label) => [plain(label), label]))
  const among = (name: string) => known.get(name) ?? SAME.get(name)?.map((other) => known.get(other)).find((label) => label !== undefined)
  return among(said) ?? labels.find((label) => plain(plural(label)) === said)
    ?? [...SAME.keys()].filter((name) => plural(name) === said).map(among).find((label) => label !== undefined)
}
