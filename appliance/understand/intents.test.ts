import test from 'ava'
import { INTENTS } from '../contracts/intents.ts'
import { Understander } from './index.ts'
import { judge, runUnderstand } from './score.ts'
import { fileURLToPath } from 'node:url'

const understander = await Understander.load()
const { tests, unsure, never } = understander.catalogue

/** What only programs ask for has no sentences. */
const BY_PROGRAMS = new Set<string>(['speech.say', 'speech.ask', 'device.command'])

test('every type of the catalogue that is said has templates and at least five test sentences', (t) => {
  for (const { type } of INTENTS) if (!BY_PROGRAMS.has(type)) t.true(tests.filter((each) => each.type === type).length >= 5, type)
  t.true(tests.length >= 400, `${tests.length}`)
  t.true(never.length >= 150, `${never.length}`)
})

for (const file of new Set(tests.map((each) => each.file))) {
  const name = file.split('/').at(-1)!
  test(`${name}: each of its sentences means what it says there`, (t) => {
    for (const { say, type, slots } of tests.filter((each) => each.file === file)) t.is(judge(understander.match(say), { type, slots }), 'right', `${say} -> ${JSON.stringify(understander.match(say))}`)
  })
  test(`${name}: what must not match does not`, (t) => {
    for (const { say } of never.filter((each) => each.file === file)) t.is(understander.match(say).by, null, `${say} -> ${understander.match(say).type}`)
    for (const { say } of unsure.filter((each) => each.file === file)) t.not(understander.match(say).by, 'template', `${say} -> ${understander.match(say).type}`)
  })
}

test('no negated or reported form of a test sentence commands anything', (t) => {
  const free = new Set(['log.record', 'chat.ask', 'mail.send'])
  const wrap = [(s: string) => `don't ${s}`, (s: string) => `he said ${s}`, (s: string) => `${s} yesterday`, (s: string) => `I would ${s} if I could`, (s: string) => `never ${s}`, (s: string) => `${s} or not`]
  const actuating = new Set(['drive.move', 'drive.turn', 'drive.speed', 'light.set', 'sequence.run', 'arm.set', 'mode.set'])
  for (const { say, type } of tests) {
    if (free.has(type)) continue
    for (const form of wrap) {
      const meant = understander.match(form(say)).type
      t.false(meant !== null && actuating.has(meant), `${form(say)} -> ${meant}`)
    }
  }
})

test('one wrong letter never turns a command into one with other slots', (t) => {
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  let seed = 42
  const random = (below: number) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % below }
  for (const { say, type, slots } of tests.filter((each) => /^(drive|light|arm|mode)\./.test(each.type))) {
    for (let turn = 0; turn < 12; turn++) {
      const at = random(say.length)
      const kind = random(3)
      // A digit or a sign changed is another number, rightly understood as such.
      if (!/[a-z]/.test(say[at]!) || /\d/.test(say)) continue
      const letter = letters[random(26)]!
      const said = kind === 0 ? say.slice(0, at) + say.slice(at + 1) : kind === 1 ? say.slice(0, at) + letter + say.slice(at) : say.slice(0, at) + letter + say.slice(at + 1)
      const meant = understander.match(said)
      if (meant.type !== type) continue
      for (const [slot, value] of Object.entries(meant.slots)) {
        if (slots[slot] === undefined || slots[slot] === null) continue
        t.is(JSON.stringify(value), JSON.stringify(slots[slot]), `${said} (from ${say}) -> ${JSON.stringify(meant.slots)}`)
      }
    }
  }
})

for (const file of ['held-out.tsv', 'held-out-blind.tsv']) {
  test(`${file}: recall and false accepts stay within what is reported`, async (t) => {
    const lines: string[] = []
    await runUnderstand({ file: fileURLToPath(new URL(file, import.meta.url)), json: true, proposals: false }, (line) => lines.push(line), understander)
    const { score } = JSON.parse(lines.at(-1)!)
    // Two of its sentences ("for metres") are asked about: the number may be missing.
    t.true(score.recall >= 0.945, JSON.stringify(score))
    t.true(score.falseAccepts <= 1, JSON.stringify(score))
    t.is(score.wrongType, 0)
  })
}
