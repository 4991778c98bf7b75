import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Understander } from '../appliance/understand/index.ts'
import { Nlu } from '../appliance/understand/nlu.ts'
import { corpusOf } from '../appliance/understand/proposer.ts'
import { judge, parseLine, Score } from '../appliance/understand/score.ts'
import type { Measure, Row } from './harness.ts'
import { quantile } from './table.ts'

/** What each is worth, and its first score, stands at its head. */
const HELD_OUT = ['held-out.tsv', 'held-out-blind.tsv'].map((name) => fileURLToPath(new URL(`../appliance/understand/${name}`, import.meta.url)))
/** Below this nlp.js on its own says nothing: its documentation's usual threshold. */
const PEER_THRESHOLD = 0.5

const rounded = (value: number | null, digits = 3) => value === null ? null : Number(value.toFixed(digits))
const megabytes = () => { globalThis.gc?.(); return process.memoryUsage().rss / 1e6 }

const measure: Measure = {
  name: 'understand',
  title: 'Text to intent: time, memory, recall and false accepts, beside nlp.js alone on the same sentences',
  flags: [{ flag: 'file', help: 'sentences with expectations (default: both held-out files)' }],
  async run({ quick, progress, flags, signal }) {
    const rows: Row[] = []
    const beforeMb = megabytes()
    const loadFrom = performance.now()
    const understander = await Understander.load()
    rows.push({ metric: 'load', value: rounded(performance.now() - loadFrom, 0), unit: 'ms' })
    rows.push({ metric: 'memory of templates', value: rounded(megabytes() - beforeMb, 1), unit: 'MB' })

    const files = await Promise.all((flags.file ? [flags.file] : HELD_OUT).map(async (file) => ({ name: basename(file), text: await readFile(file, 'utf8'), score: new Score(), withProposals: new Score(), peer: { right: 0, falseAccepts: 0 } })))
    const lines = files.flatMap((file) => file.text.split('\n').flatMap((line, index) => { const parsed = parseLine(line, index + 1); return parsed ? [{ ...parsed, file }] : [] }))
    progress(`${lines.length} sentences; training nlp.js on the ${understander.catalogue.templates.length} templates' own sentences`)
    const corpus = corpusOf(understander.catalogue)
    const peerBeforeMb = megabytes()
    const trainFrom = performance.now()
    const peer = await Nlu.train(corpus)
    rows.push({ metric: 'nlp.js: training', value: rounded(performance.now() - trainFrom, 0), unit: 'ms' }, { metric: 'nlp.js: memory, training included', value: rounded(megabytes() - peerBeforeMb, 1), unit: 'MB' })
    const proposeFrom = performance.now()
    await understander.propose('turn it ninety degrees')
    rows.push({ metric: 'first proposal (training in a child process)', value: rounded(performance.now() - proposeFrom, 0), unit: 'ms' })

    // One list a sentence: its median over the rounds is its time, so that a moment taken by another process is none of it.
    const oursRounds: number[][] = lines.map(() => [])
    const peerRounds: number[][] = lines.map(() => [])
    for (let round = 0; round < (quick ? 5 : 20) && !signal.aborted; round++) {
      for (const [index, { text, expected, file }] of lines.entries()) {
        const oursFrom = performance.now()
        const understanding = understander.match(text)
        const peerFrom = performance.now()
        const [best] = await peer.classify(text)
        // The first round scores and warms both up; the others are timed.
        if (round > 0) { peerRounds[index]!.push(performance.now() - peerFrom); oursRounds[index]!.push(peerFrom - oursFrom); continue }
        if (!expected) continue
        file.score.add({ line: index, understanding, expected, verdict: judge(understanding, expected) })
        const said = await understander.understand(text)
        file.withProposals.add({ line: index, understanding: said, expected, verdict: judge(said, expected) })
        const taken = best && best.score >= PEER_THRESHOLD && best.intent !== 'None' ? best.intent : null
        if (expected.type === null) { if (taken) file.peer.falseAccepts += 1 } else if (taken === expected.type) file.peer.right += 1
      }
    }
    const medians = (rounds: number[][]) => rounds.flatMap((each) => quantile(each, 0.5) ?? [])
    const oursMs = medians(oursRounds)
    const peerMs = medians(peerRounds)
    const p99 = quantile(oursMs, 0.99)
    rows.push(
      { metric: 'sentence, p50', value: rounded(quantile(oursMs, 0.5), 4), unit: 'ms' },
      { metric: 'sentence, p99', value: rounded(p99, 4), unit: 'ms', goal: '< 1', holds: p99 !== null && p99 < 1 },
      { metric: 'sentence, worst single one', value: rounded(Math.max(...oursRounds.flat()), 4), unit: 'ms' },
      { metric: 'nlp.js alone: sentence, p50', value: rounded(quantile(peerMs, 0.5), 4), unit: 'ms' },
      { metric: 'nlp.js alone: sentence, p99', value: rounded(quantile(peerMs, 0.99), 4), unit: 'ms' },
    )
    for (const { name, score, withProposals, peer: { right, falseAccepts: peerFalseAccepts } } of files) {
      const { recall, positives, negatives, counts } = score
      const falseAccepts = counts['false accept']
      rows.push(
        { metric: `${name}: recall, type and slots`, value: rounded(recall), unit: `of ${positives}` },
        { metric: `${name}: wrong type`, value: counts['wrong type'], unit: `of ${positives}`, goal: '0', holds: counts['wrong type'] === 0 },
        { metric: `${name}: false accepts`, value: falseAccepts, unit: `of ${negatives}`, goal: '0', holds: falseAccepts === 0 },
        { metric: `${name}: of what the templates missed, asked back about the right type`, value: withProposals.proposedRight, unit: `of ${counts.missed}` },
        { metric: `${name}: asked back where nothing was meant`, value: withProposals.proposedWrong, unit: `of ${negatives}` },
        { metric: `${name}: nlp.js alone: recall, type only`, value: rounded(positives ? right / positives : null), unit: `of ${positives}` },
        { metric: `${name}: nlp.js alone: false accepts`, value: peerFalseAccepts, unit: `of ${negatives}` },
      )
    }
    return rows
  },
}
export default measure
