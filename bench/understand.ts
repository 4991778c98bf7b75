import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Understander } from '../appliance/understand/index.ts'
import { Nlu } from '../appliance/understand/nlu.ts'
import { corpusOf } from '../appliance/understand/proposer.ts'
import { judge, parseLine, Score } from '../appliance/understand/score.ts'
import type { Measure, Row } from './harness.ts'

const HELD_OUT = fileURLToPath(new URL('../appliance/understand/held-out.tsv', import.meta.url))
/** Below this nlp.js on its own says nothing: its documentation's usual threshold. */
const PEER_THRESHOLD = 0.5

const quantile = (sorted: readonly number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? null
const rounded = (value: number | null, digits = 3) => value === null ? null : Number(value.toFixed(digits))
const ascending = (list: number[]) => list.sort((a, b) => a - b)
const megabytes = () => { globalThis.gc?.(); return process.memoryUsage().rss / 1e6 }

const measure: Measure = {
  name: 'understand',
  title: 'Text to intent: time, memory, recall and false accepts, beside nlp.js alone on the same sentences',
  flags: [{ flag: 'file', help: 'sentences with expectations (default: the held-out file)' }],
  async run({ quick, progress, flags, signal }) {
    const rows: Row[] = []
    const beforeMb = megabytes()
    const loadFrom = performance.now()
    const understander = await Understander.load()
    rows.push({ metric: 'load', value: rounded(performance.now() - loadFrom, 0), unit: 'ms' })
    rows.push({ metric: 'memory of templates', value: rounded(megabytes() - beforeMb, 1), unit: 'MB' })

    const lines = (await readFile(flags.file ?? HELD_OUT, 'utf8')).split('\n').flatMap((line, index) => parseLine(line, index + 1) ?? [])
    progress(`${lines.length} sentences; training nlp.js on the ${understander.catalogue.templates.length} templates' own sentences`)
    const corpus = corpusOf(understander.catalogue)
    const peerBeforeMb = megabytes()
    const trainFrom = performance.now()
    const peer = await Nlu.train(corpus)
    rows.push({ metric: 'nlp.js: training', value: rounded(performance.now() - trainFrom, 0), unit: 'ms' }, { metric: 'nlp.js: memory, training included', value: rounded(megabytes() - peerBeforeMb, 1), unit: 'MB' })
    const proposeFrom = performance.now()
    await understander.propose('turn it ninety degrees')
    rows.push({ metric: 'first proposal (training in a child process)', value: rounded(performance.now() - proposeFrom, 0), unit: 'ms' })

    const score = new Score()
    const withProposals = new Score()
    const peerCounts = { right: 0, falseAccepts: 0, positives: 0, negatives: 0 }
    // One list a sentence: its median over the rounds is its time, so that a moment taken by another process is none of it.
    const oursRounds: number[][] = lines.map(() => [])
    const peerRounds: number[][] = lines.map(() => [])
    for (let round = 0; round < (quick ? 10 : 50) && !signal.aborted; round++) {
      for (const [index, { text, expected }] of lines.entries()) {
        const oursFrom = performance.now()
        const understanding = understander.match(text)
        const peerFrom = performance.now()
        const [best] = await peer.classify(text)
        // The first round scores and warms both up; the others are timed.
        if (round > 0) { peerRounds[index]!.push(performance.now() - peerFrom); oursRounds[index]!.push(peerFrom - oursFrom); continue }
        if (!expected) continue
        score.add({ line: index, understanding, expected, verdict: judge(understanding, expected) })
        const said = await understander.understand(text)
        withProposals.add({ line: index, understanding: said, expected, verdict: judge(said, expected) })
        const taken = best && best.score >= PEER_THRESHOLD && best.intent !== 'None' ? best.intent : null
        if (expected.type === null) { peerCounts.negatives += 1; if (taken) peerCounts.falseAccepts += 1 } else { peerCounts.positives += 1; if (taken === expected.type) peerCounts.right += 1 }
      }
    }
    const medians = (rounds: number[][]) => ascending(rounds.flatMap((each) => quantile(ascending(each), 0.5) ?? []))
    const oursMs = medians(oursRounds)
    const peerMs = medians(peerRounds)
    const p99 = quantile(oursMs, 0.99)
    const falseAccepts = score.counts['false accept']
    rows.push(
      { metric: 'sentence, p50', value: rounded(quantile(oursMs, 0.5), 4), unit: 'ms' },
      { metric: 'sentence, p99', value: rounded(p99, 4), unit: 'ms', goal: '< 1', holds: p99 !== null && p99 < 1 },
      { metric: 'sentence, worst single one', value: rounded(Math.max(...oursRounds.flat()), 4), unit: 'ms' },
      { metric: 'nlp.js alone: sentence, p50', value: rounded(quantile(peerMs, 0.5), 4), unit: 'ms' },
      { metric: 'nlp.js alone: sentence, p99', value: rounded(quantile(peerMs, 0.99), 4), unit: 'ms' },
      { metric: 'recall, type and slots', value: rounded(score.recall), unit: `of ${score.positives}` },
      { metric: 'wrong type', value: score.counts['wrong type'], unit: `of ${score.positives}`, goal: '0', holds: score.counts['wrong type'] === 0 },
      { metric: 'false accepts', value: falseAccepts, unit: `of ${score.negatives}`, goal: '0', holds: falseAccepts === 0 },
      { metric: 'of what the templates missed: asked back about the right type', value: withProposals.proposedRight, unit: `of ${score.counts.missed}` },
      { metric: 'asked back where nothing was meant', value: withProposals.proposedWrong, unit: `of ${score.negatives}` },
      { metric: 'nlp.js alone: recall, type only', value: rounded(peerCounts.positives ? peerCounts.right / peerCounts.positives : null), unit: `of ${peerCounts.positives}` },
      { metric: 'nlp.js alone: false accepts', value: peerCounts.falseAccepts, unit: `of ${peerCounts.negatives}` },
    )
    return rows
  },
}
export default measure
