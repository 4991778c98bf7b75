import { MtorError } from '../appliance/contracts/errors.ts'
import type { Measure, Row } from './harness.ts'
import { numberItems, NUMBER_KINDS, type NumberItem, type NumberKind } from './numbers/items.ts'
import { judgeNumber, type NumberVerdict } from './numbers/judge.ts'
import { each } from './refusal/crew.ts'
import type { Outcome } from './refusal/box.ts'
import { shuffled } from './refusal/text.ts'
import { voiceFor } from './refusal/voices.ts'
import type { Task } from './refusal/worker.ts'

const FULL_COUNT = 2_400
const QUICK = { count: 240, untilMs: 42_000 }
const ASKED_PERCENT = 10

interface NumberTask extends Task {
  item: NumberItem
}

type Tally = Record<NumberVerdict, number>
const tally = (): Tally => ({ right: 0, wrong: 0, 'asked right': 0, asked: 0, refused: 0 })
const sum = (counts: Tally) => Object.values(counts).reduce((a, b) => a + b, 0)
const askedOf = (counts: Tally) => counts.asked + counts['asked right']
const percent = (part: number, whole: number) => (whole === 0 ? null : Math.round((1000 * part) / whole) / 10)

/** As many of each kind as of the others, as far as there are, in an order that chance decides. */
function drawn(items: readonly NumberItem[], count: number, random: () => number): NumberItem[] {
  const kinds = NUMBER_KINDS.map((kind) =>
    shuffled(
      items.filter((item) => item.kind === kind),
      random,
    ),
  )
  const list: NumberItem[] = []
  for (let i = 0; list.length < Math.min(count, items.length); i++)
    for (const kind of kinds) if (kind[i]) list.push(kind[i]!)
  return list.slice(0, count)
}

function rowsOf(how: string, kinds: ReadonlyMap<NumberKind, Tally>, unwoken: number): Row[] {
  const all = [...kinds.values()].reduce(
    (a, b) => Object.fromEntries(Object.entries(a).map(([name, n]) => [name, n + b[name as NumberVerdict]])) as Tally,
    tally(),
  )
  const tried = sum(all)
  const asked = askedOf(all)
  const askedPercent = percent(asked, tried)
  return [
    ...[...kinds].flatMap(([kind, counts]): Row[] => {
      const n = sum(counts)
      return n === 0
        ? []
        : [
            {
              metric: `${how}, ${kind}: wrong value acted on`,
              value: counts.wrong,
              unit: `of ${n}`,
              goal: '= 0',
              holds: counts.wrong === 0,
            },
            {
              metric: `${how}, ${kind}: right / asked about (right value) / not understood`,
              value: `${counts.right} / ${askedOf(counts)} (${counts['asked right']}) / ${counts.refused}`,
              unit: '',
            },
          ]
    }),
    { metric: `${how}, all: right`, value: percent(all.right, tried), unit: `% of ${tried}` },
    {
      metric: `${how}, all: wrong value acted on`,
      value: tried === 0 ? null : all.wrong,
      unit: `of ${tried}`,
      goal: '= 0',
      holds: tried > 0 && all.wrong === 0,
    },
    {
      metric: `${how}, all: asked about`,
      value: askedPercent,
      unit: `% of ${tried}`,
      goal: `<= ${ASKED_PERCENT}`,
      holds: askedPercent !== null && askedPercent <= ASKED_PERCENT,
    },
    { metric: `${how}, all: asked about with the right value`, value: all['asked right'], unit: `of ${asked}` },
    { metric: `${how}, all: not understood`, value: percent(all.refused, tried), unit: `% of ${tried}` },
    ...(how === 'spoken' ? [{ metric: 'spoken: wake word not heard', value: unwoken, unit: `of ${tried}` }] : []),
  ]
}

const numbers: Measure = {
  name: 'numbers',
  title: 'spoken numbers (teens, tens, hundreds, decimals, fractions, units) by 14 voices: right, wrong, asked about',
  flags: [
    { flag: '--count N', help: `so many sentences (default ${FULL_COUNT})` },
    { flag: '--kind NAME', help: `only one of ${NUMBER_KINDS.join(', ')}` },
    { flag: '--typed', help: 'typed instead of spoken: no ears' },
    { flag: '--jobs N', help: 'ears at once, each a process (default: as many as cores)' },
  ],
  async run({ quick, random, seed, flags, signal, progress }) {
    const startedMs = performance.now()
    const count = flags.count === undefined ? (quick ? QUICK.count : FULL_COUNT) : Number(flags.count)
    if (!(count > 0)) throw new MtorError('USAGE', `--count: expected a number above 0, got ${flags.count}`)
    if (flags.kind !== undefined && !NUMBER_KINDS.includes(flags.kind as never))
      throw new MtorError('USAGE', `--kind: expected one of ${NUMBER_KINDS.join(', ')}, got ${flags.kind}`)
    const items = numberItems().filter(({ kind }) => flags.kind === undefined || kind === flags.kind)
    const isTyped = flags.typed !== undefined
    const how = isTyped ? 'typed' : 'spoken'
    const tasks = drawn(items, count, random).map((item): NumberTask => {
      const text = isTyped ? item.text : `computer, ${item.text}`
      return { item, text, yes: true, ...(isTyped ? {} : { voice: voiceFor(text, seed) }) }
    })
    const kinds = new Map<NumberKind, Tally>(NUMBER_KINDS.map((kind) => [kind, tally()]))
    let unwoken = 0
    const add = ({ item, text, voice }: NumberTask, outcome: Outcome) => {
      if (!outcome.woken) unwoken++
      const verdict = judgeNumber(item, outcome)
      kinds.get(item.kind)![verdict]++
      if (verdict === 'right') return
      const heard = outcome.heard.map(({ how: as, text: words }) => `${as}: ${words}`).join(' | ')
      const did = outcome.submitted.map(({ type, slots }) => `${type} ${JSON.stringify(slots)}`).join(', ')
      const became = did || outcome.asked.at(-1)?.say || 'nothing'
      progress(`${verdict === 'wrong' ? 'WRONG' : verdict}: ${voice ?? 'typed'} “${text}” → ${became} [${heard}]`)
    }
    const done = await each(
      tasks,
      {
        ears: !isTyped,
        signal,
        ...(quick ? { untilMs: startedMs + QUICK.untilMs } : {}),
        ...(flags.jobs ? { jobs: Number(flags.jobs) } : {}),
      },
      add,
    )
    return [
      { metric: 'items', value: done, unit: `of ${tasks.length} drawn of ${items.length}, seed ${seed}` },
      ...rowsOf(how, kinds, unwoken),
    ]
  },
}
export default numbers
