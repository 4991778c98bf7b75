import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { folderOf, VOSK_MODEL } from '../../speech/models.ts'
import { editDistance } from '../equality.ts'

/** What is said around a box all day, and is not the word. */
export const COMMON = `yes no okay stop go start wait again please thanks hello goodbye morning evening today tomorrow yesterday now later never always maybe
one two three four five six seven eight nine ten hundred left right forward back up down here there open close turn move drive light lamp door window
table chair kitchen garden water coffee bread money people woman child mother father brother sister friend doctor teacher morning number question answer
red green blue yellow black white little large small quick slow heavy early late happy sorry really nothing something everything somebody because
about after before between under over with without battery engine motor camera picture music station message report weather river mountain island
radio signal monitor matter letter better butter water sister center enter after other mother number under wonder thunder power tower hour flower`.split(/\s+/)

/** Talk in which nobody means the box. The first half is for training and validation, the second for the test. */
export const SENTENCES = `I left the keys on the table next to the blue cup.|The train was late again, so we walked home along the river.|Could you pass me the salt and the pepper, please?|She said the meeting would be moved to Thursday afternoon.
We should paint the fence before it begins to rain.|My brother has two dogs and a very old cat.|There is nothing on the radio but the news and the weather.|He opened the window because the kitchen was full of smoke.
Nobody knows how the letter ended up under the carpet.|They counted thirteen boats on the lake this morning.|The doctor told him to rest and to drink plenty of water.|If you take the second road on the left you will see the tower.
It was a quiet evening, and the children were already asleep.|I am not sure whether the shop is open on Sundays.|The old engine made a terrible noise and then stopped.|We need four screws, a hammer, and somebody with patience.
Please put the books back on the shelf when you have finished.|The farmer sold his last three cows at the market.|What time does your plane arrive in the morning?|There were more people at the station than I had expected.
You can see the mountains from here when the air is clear.|He wrote a long report about the number of birds on the island.|The soup needs a little more garlic and a little less pepper.|Her sister plays the piano and sings in a choir.
The battery was empty, so the lamp went out after an hour.|I would rather wait here than stand in the cold.|Did you remember to lock the door and turn off the heater?|The teacher asked a question that nobody could answer.
We found a wooden box with letters from a hundred years ago.|It takes about twenty minutes to reach the village on foot.|The captain ordered everybody to stay below the deck.|They have been repairing the bridge since the beginning of March.
A single cloud was hanging over the harbour.|My grandfather used to grow tomatoes behind the house.|The signal is weak because of the storm.|Everything we need is in the cupboard under the stairs.
He looked at the picture for a long time and said nothing.|The museum closes at six, but the garden is open until ten.|I bought bread, butter, cheese, and a bottle of milk.|Tomorrow we will drive to the coast and look for shells.
The committee could not agree on a name for the new street.|Somebody has eaten all the biscuits again.|The wind turned, and the smoke went over to the other side.|She keeps her money in a tin on top of the wardrobe.
Are you certain that this is the right platform?|The painter mixed a little yellow into the green.|We heard thunder far away, but it never rained.|He is better at chess than anybody else in the class.
The water in the river is higher than it was last winter.|Her answer was short, friendly, and not at all helpful.|Put the ladder against the wall and hold it for me.|The clock in the tower has been wrong since the summer.
Nothing is as heavy as a wet tent in the morning.|The company makes motors for lifts and small cranes.|They sat around the fire and told each other stories.|I forgot my umbrella on the bus for the third time this year.
The cook was angry because the fish was not fresh.|It is difficult to find a good carpenter these days.|You should have seen the colour of the sea at sunset.|The neighbours are having a party, so we will not sleep much.`.split(/[|\n]/).map((s) => s.trim())

const LETTERS = /^[a-z]{2,14}$/
/** So many of the closest by letters are compared by sound. */
const BY_LETTERS = 1_200
const TIMEOUT_MS = 30_000
const distanceOf = (a: string, b: string) => editDistance(a, b, Math.max(a.length, b.length))

/** English words: the recogniser's own vocabulary where it is installed, else the common ones. */
export async function vocabulary(): Promise<string[]> {
  try {
    const text = await readFile(join(folderOf(VOSK_MODEL), 'graph/words.txt'), 'utf8')
    const words = text.split('\n').map((line) => line.slice(0, line.indexOf(' '))).filter((word) => LETTERS.test(word))
    return [...new Set([...COMMON, ...words])]
  } catch (error) {
    if (error instanceof MtorError && error.code === 'ENGINE_MISSING') return [...new Set(COMMON)]
    throw error
  }
}

/** How espeak-ng pronounces each, one letter a sound, without stress; undefined where it is not installed. */
export function phonemes(words: readonly string[]): Promise<string[] | undefined> {
  return new Promise((resolve) => {
    const child = execFile('espeak-ng', ['-q', '-x', '-v', 'en-us', '--stdin'], { timeout: TIMEOUT_MS, maxBuffer: 8e6 }, (error, stdout) => {
      const lines = stdout.split('\n').map((line) => line.replaceAll(/[\s',_:;|%=#-]/g, '')).filter((line) => line !== '')
      resolve(error || lines.length !== words.length ? undefined : lines)
    })
    child.stdin!.on('error', () => {})
    // A word alone in its paragraph is a clause of its own.
    child.stdin!.end(words.map((word) => `${word}\n\n`).join(''))
  })
}

/**
 * The words that sound most like `name`, closest first: what the head must learn to leave alone. What contains the whole
 * word ("computers") is not among them: nobody could tell. Of several words, each is replaced in turn, and left out.
 */
export async function similarWords(name: string, count: number): Promise<string[]> {
  const parts = name.split(' ')
  const words = await vocabulary()
  const found: string[] = []
  for (const [at, part] of parts.entries()) {
    const near = await similarTo(part, words, Math.ceil(count / parts.length))
    found.push(...near.map((word) => parts.map((p, i) => i === at ? word : p).join(' ')))
    if (parts.length > 1) found.push(parts.filter((_, i) => i !== at).join(' '))
  }
  return [...new Set(found)].slice(0, count)
}

async function similarTo(word: string, words: readonly string[], count: number): Promise<string[]> {
  const others = words.filter((other) => other !== word && other.length > 2 && !other.includes(word))
  const byLetters = others.map((other) => ({ other, distance: distanceOf(word, other) })).sort((a, b) => a.distance - b.distance || a.other.localeCompare(b.other)).slice(0, BY_LETTERS).map(({ other }) => other)
  const sounds = await phonemes([word, ...byLetters])
  if (!sounds) return byLetters.slice(0, count)
  const own = sounds[0]!
  return byLetters.map((other, i) => ({ other, sound: sounds[i + 1]! })).filter(({ sound }) => !sound.includes(own))
    .map(({ other, sound }) => ({ other, distance: distanceOf(own, sound) })).sort((a, b) => a.distance - b.distance || a.other.localeCompare(b.other)).slice(0, count).map(({ other }) => other)
}
