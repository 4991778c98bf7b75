import test from 'ava'
import { answerTokens } from './answers.ts'
import { isHesitation } from './hesitations.ts'
import { Understander } from './index.ts'
import { ALL_UNITS, isUnitWord, quantityAnswer, saidUnits, type Quantity } from './quantities.ts'
import { FILLERS, LEADS, TAILS, tokenize } from './words.ts'

const understander = await Understander.load()
const answer = (kind: Quantity, text: string) => quantityAnswer(kind, answerTokens(text))
const acts = (text: string) => { const { by, slots } = understander.match(text); return by === 'template' ? slots : undefined }

test('a unit is never a filler, whatever the unit and wherever it stands', (t) => {
  const skipped = [...FILLERS, ...LEADS.flat(), ...TAILS.flat()]
  for (const unit of ALL_UNITS) {
    t.false(skipped.includes(unit), unit)
    for (const kind of ['length', 'angle', 'duration', 'speed', 'fraction'] as const) {
      const bare = answer(kind, 'seven')
      const value = answer(kind, `seven ${unit}`)
      t.true(value === undefined || value !== bare || ['metre', 'metres', 'm', 'degree', 'degrees', 'deg', 'degs',
        'mps', 'second', 'seconds', 'sec', 'secs', 's', 'percent', 'pct'].includes(unit),
        `${kind} seven ${unit} -> ${value}`)
      t.is(answer(kind, `uh seven ${unit} please`), value, `${kind} ${unit}`)
    }
  }
  t.is(answer('length', 'forty mm'), 0.04)
  t.is(answer('length', 'ah forty mm'), 0.04)
})

test('a sound after a number is no unit and is not left out', (t) => {
  for (const sound of ['um', 'er', 'mmm', 'hmm', 'uhh', 'erm']) {
    t.true(isHesitation(sound) && !isUnitWord(sound), sound)
    t.is(answer('length', `eight ${sound}`), undefined, sound)
    t.is(acts(`turn right forty ${sound} six degrees`), undefined, sound)
    t.deepEqual(acts(`turn right ${sound} forty degrees ${sound}`), { angleDeg: -40 }, sound)
    t.deepEqual(acts(`turn right forty ${sound} degrees`), { angleDeg: -40 }, sound)
  }
})

const DASHES = [...'-‐‑‒–—―﹘﹣－−⁻₋➖⁃־⸺〜'].filter((dash) => /[\p{Pd}−⁻₋➖⁃]/u.test(dash))

test('every dash and minus before a number is its sign, or makes the number doubtful', (t) => {
  for (const dash of DASHES) {
    for (const form of [`${dash}3`, `${dash} 3`, `${dash}three`, `${dash} three`, `(${dash}3)`, `${dash}(3)`, `${dash}.3`, `"${dash}3"`, `: ${dash}3`, `, ${dash}3`]) {
      for (const sentence of [`advance ${form} metres`, `drive back ${form} metres`]) t.is(acts(sentence), undefined, sentence)
      const distanceM = acts(`drive ${form} metres`)?.distanceM
      t.true(distanceM === undefined || (distanceM as number) < 0, `drive ${form} metres -> ${distanceM}`)
      const answered = answer('length', `${form} metres`)
      t.true(answered === undefined || answered < 0, `${form} metres -> ${answered}`)
    }
    for (const form of [`forward${dash}3`, `forward${dash}three`, `3${dash}4`, `three${dash}3`, `3${dash}hundred`]) t.is(acts(`drive ${form} metres`), undefined, form)
    t.is(answer('angle', `${dash}40`), -40, dash)
  }
})

test('a hyphen within words and a dash between sentences are no signs', (t) => {
  for (const dash of ['-', '–', '—', '‑']) {
    t.deepEqual(acts(`turn left seventy${dash}two degrees`), { angleDeg: 72 })
    t.deepEqual(acts(`rover ${dash} reverse one metre`), { distanceM: -1 })
    t.is(understander.match(`e${dash}stop`).type, 'stop')
  }
  t.deepEqual(acts('spin counter-clockwise two-and-a-half degrees'), { angleDeg: 2.5 })
  t.deepEqual(acts('do a u-turn'), { angleDeg: 180 })
  t.deepEqual(acts('make a forty-five-degree turn to the right'), { angleDeg: -45 })
})

test('a number goes over no sentence, comma, line or hesitation', (t) => {
  for (const parted of ['thirty. Six', 'thirty, six', 'thirty\nsix', 'thirty uh six', 'thirty; six', 'thirty… six',
    'thirty (six)', 'thirty, um, six', 'thirty please six', 'thirty the six', 'one hundred, six',
    'two hundred and, er, six', 'six point. five', 'six .5', 'minus. six', 'four thousand, two hundred']) {
    t.is(acts(`turn left ${parted} degrees`), undefined, parted)
    t.is(acts(`advance ${parted} centimetres`), undefined, parted)
    t.is(answer('angle', `${parted} degrees`), undefined, parted)
    t.is(answer('length', `${parted} metres`), undefined, parted)
  }
  t.deepEqual(acts('Rover, advance, please, thirty-six centimetres.'), { distanceM: 0.36 })
})

test('other ways to write numbers: the right value or none', (t) => {
  const right: [string, number][] = [['６', 6], ['1２', 12], ['⅔', 2 / 3], ['4¼', 4.25], ['⅜', 0.375], ['2⅛', 2.125],
    ['three point oh two', 3.02], ['three point o two', 3.02], ['naught point two', 0.2], ['four and three quarters',
    4.75], ['half a dozen', 6], ['one hundred and thirty', 130], ['three hundred forty', 340]]
  for (const [said, value] of right) t.is(acts(`drive ${said} metres`)?.distanceM, Number(value.toPrecision(12)), said)
  for (const said of ['3/4', '3,5', '2e1', '0b11', '0xF', '3...4', '1.2.3', '2 500', '2,500', '3 x 4', '3×4', '3*4',
    '3^2', '3²', '②', 'Ⅳ', '٣', '३', '3~4', '~3', '±3', '<3', '≈3', '3!4', '3:4', 'three by four', 'three times two',
    'three to five', 'three or so', 'three or four', 'one ninety', 'three million', "3'", '3"', '3′', '3_000',
    "1'000"]) {
    t.is(acts(`advance ${said} metres`), undefined, said)
    t.is(answer('length', `${said} metres`), undefined, said)
    t.is(acts(`turn left ${said} degrees`), undefined, said)
  }
})

test('units that people say come out in SI, an unknown one is never taken for metres', async (t) => {
  const lengths: [string, number][] = [['three decimetres', 0.3], ['5 dm', 0.5], ['three microns', 3e-6],
    ['two fathoms', 3.6576], ['one furlong', 201.168], ['two yards', 1.8288], ['half a hectometre', 50],
    ['two nautical miles', 3704]]
  for (const [said, value] of lengths) t.is(acts(`drive ${said}`)?.distanceM, value, said)
  t.is(acts('turn left two hundred gradians')?.angleDeg, 180)
  t.is(acts('turn left ninety arc minutes')?.angleDeg, 1.5)
  t.is(acts('set the speed to one knot')?.speedMps, 0.514444444444)
  t.is(acts('set a timer for two weeks')?.durationS, 1_209_600)
  for (const unknown of ['leagues', 'cubits', 'smoots', 'parsecs', 'picometres', 'kilos', 'lengths', 'square metres',
    'cubic metres', 'metres cubed', 'kilo metres', 'deci', 'clicks', 'paces', 'light years', 'litres', 'metros',
    'minutes', 'degrees']) {
    for (const sentence of [`drive forward six ${unknown}`, `advance six ${unknown}`]) {
      t.is(acts(sentence), undefined, sentence)
      const { type, slots } = await understander.propose(sentence)
      t.true(type === null || !('distanceM' in slots), `${sentence} -> ${JSON.stringify(slots)}`)
    }
    t.is(answer('length', `six ${unknown}`), undefined, unknown)
  }
})

test('a change of a value is not the value', async (t) => {
  for (const text of ['lower the lights by five percent', 'turn up the lights by a quarter', 'lights by ten percent',
    'lights five percent brighter', 'brighten the lights another ten percent', 'increase the brightness by half',
    'reduce the speed by one knot', 'drive one metre per second faster', 'speed up by half a metre per second',
    'slow down half a metre per second', 'make the speed ten centimetres per second more',
    'add ten minutes to the timer', 'set the timer ten minutes longer', 'ten minutes more on the tea timer',
    'extend the timer by ten minutes']) {
    t.is(acts(text), undefined, text)
    const { slots } = await understander.propose(text)
    for (const slot of ['brightness', 'speedMps', 'durationS']) t.false(slot in slots,
      `${text} -> ${JSON.stringify(slots)}`)
  }
  t.deepEqual(acts('reverse by thirty centimetres'), { distanceM: -0.3 })
})

test('a word that is a side or politeness is asked about', (t) => {
  for (const text of ['rotate forty degrees right now', 'spin right now', 'right, forty degrees',
    'rotate forty degrees, right', 'turn the forty degrees left', 'drive the four metres',
    'start a second timer']) t.is(understander.match(text).by, 'proposal', text)
  for (const text of ['rotate forty degrees to the right now', 'turn right forty degrees right now',
    'turn right, forty degrees', 'turn around right away', 'arm the rover please',
    'make a right turn now']) t.is(understander.match(text).by, 'template', text)
})

test('every unit that is said is in the vocabulary of the ears', (t) => {
  const words = new Set(understander.speechGrammar().words)
  const american = (word: string) => word.replace(/metre(s?)$/, 'meter$1')
  for (const kind of ['length', 'angle', 'speed', 'duration', 'fraction'] as const) {
    for (const unit of saidUnits(kind)) for (const word of unit.split(' ')) t.true(words.has(american(word)), `${kind}: ${word}`)
  }
  for (const word of ['oh', 'point', 'half', 'quarter', 'quarters', 'minus', 'hundred',
    'thousand']) t.true(words.has(word), word)
})

test('places of tokens are those of the text, whatever signs it has', (t) => {
  const text = 'Log: −2½ °C – “five”'
  for (const { word, start, end } of tokenize(text)) t.true(text.slice(start, end).length > 0, word)
})
