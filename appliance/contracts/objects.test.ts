import test from 'ava'
import { COCO_LABELS, labelOf, plural, withArticle } from './objects.ts'

test('a word means its label: itself, a synonym, a plural, with an article', (t) => {
  for (const [word, label] of Object.entries({
    person: 'person', people: 'person', someone: 'person', 'a man': 'person', persons: 'person', women: 'person', dogs: 'dog', puppies: 'dog', 'the cup': 'cup', mugs: 'cup', phone: 'cell phone', 'Cell-Phone': 'cell phone',
    'my mobile': 'cell phone', sofa: 'couch', sofas: 'couch', knives: 'knife', mice: 'mouse', sheep: 'sheep', buses: 'bus', 'wine glasses': 'wine glass', television: 'tv', TV: 'tv', 'any benches': 'bench', bike: 'bicycle', lorries: 'truck', couches: 'couch',
  })) t.is(labelOf(word, COCO_LABELS), label, word)
  for (const word of ['', 'rock', 'unicorn', 'constructor', 'the', 'personal']) t.is(labelOf(word, COCO_LABELS), undefined, word)
})

test('a detector with names of its own is asked by them', (t) => {
  const labels = ['Motorbike', 'aeroplane', 'tvmonitor', 'rock']
  t.is(labelOf('motorcycle', labels), 'Motorbike')
  t.is(labelOf('planes', labels), 'aeroplane')
  t.is(labelOf('screen', labels), 'tvmonitor')
  t.is(labelOf('rocks', labels), 'rock')
  t.is(labelOf('dog', labels), undefined)
})

test('every label is said in the singular and the plural, and understood again', (t) => {
  t.is(COCO_LABELS.length, 80)
  for (const label of COCO_LABELS) {
    t.is(labelOf(plural(label), COCO_LABELS) ?? (/^(pairs|pieces) of /.test(plural(label)) ? label : undefined), label, plural(label))
    t.regex(withArticle(label), /^an? \w/)
  }
  t.deepEqual(['person', 'bus', 'bench', 'knife', 'sheep', 'toothbrush', 'wine glass', 'tv', 'teddy bear', 'berry', 'toy'].map(plural), ['persons', 'buses', 'benches', 'knives', 'sheep', 'toothbrushes', 'wine glasses', 'TVs', 'teddy bears', 'berries', 'toys'])
  t.deepEqual(['apple', 'umbrella', 'cup', 'scissors', 'tv', 'unicorn', 'my owl'].map(withArticle), ['an apple', 'an umbrella', 'a cup', 'a pair of scissors', 'a TV', 'a unicorn', 'an owl'])
})
