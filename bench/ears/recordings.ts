import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { readMono, synthesise, type TestVoice } from '../../appliance/speech/sounds.ts'
import { WavReader } from '../../appliance/speech/wav.ts'

/** A recording and what is said in it. */
export interface Recording { name: string; text: string; /** 16 kHz. */ samples(): Promise<Int16Array> }
export interface RecordingSet { name: string; human: boolean; recordings: Recording[] }

/** Debian's pocketsphinx-testdata. */
const SPHINX = '/usr/share/pocketsphinx/test/data'
/** Debian's asterisk-core-sounds-en-wav and asterisk-core-sounds-en. */
const PROMPTS = '/usr/share/asterisk/sounds/en_US_f_Allison'
const PROMPT_TEXTS = '/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz'
const MIN_PROMPT_WORDS = 4

/** What somebody might have a box write down. */
export const NOTES = [
  'the left front wheel makes a strange noise when the rover turns on gravel',
  'remember to charge the second battery before we leave for the quarry tomorrow morning',
  'at the north gate we found two broken sensors and a bird nest',
  'tell the workshop that the gripper loses pressure after about twenty minutes',
  'soil sample number seven is darker than the others and smells of sulphur',
  'the antenna mast was bent by the storm but the radio link still works',
]
const VOICES: TestVoice[] = ['flite:rms', 'flite:slt', 'espeak-ng:en-us']

const wav = (file: string) => async () => readMono(await WavReader.open(file))
const raw = (file: string) => async () => { const bytes = await readFile(file); return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) }

/** Lines "<s> text </s> (name)". */
function transcribed(folder: string, list: string): Recording[] {
  return readFileSync(join(folder, list), 'utf8').split('\n').flatMap((line) => {
    const [, text, name] = /^<s>\s*(.*?)\s*<\/s>\s*\((.+)\)/.exec(line) ?? []
    return text !== undefined && name !== undefined && existsSync(join(folder, `${name}.wav`)) ? [{ name, text, samples: wav(join(folder, `${name}.wav`)) }] : []
  })
}

function prompts(): Recording[] {
  if (!existsSync(PROMPT_TEXTS) || !existsSync(PROMPTS)) return []
  return gunzipSync(readFileSync(PROMPT_TEXTS)).toString('utf8').split('\n').flatMap((line) => {
    const [, name, text] = /^([\w-]+):\s*(.+?)\s*$/.exec(line) ?? []
    const file = join(PROMPTS, `${name}.wav`)
    // In brackets is what is no speech.
    return name !== undefined && text !== undefined && !/[[\]<>(]/.test(text) && text.split(/\s+/).length >= MIN_PROMPT_WORDS && existsSync(file) ? [{ name, text, samples: wav(file) }] : []
  })
}

/** Voices of people from Debian's packages, and of synthesisers; a set whose package is not installed is empty. */
export function recordingSets(take: <T>(of: T[], most: number) => T[], most: number): RecordingSet[] {
  const there = existsSync(SPHINX)
  return [
    { name: 'read aloud', human: true, recordings: there ? transcribed(join(SPHINX, 'librivox'), 'transcription') : [] },
    { name: 'short phrases', human: true, recordings: there ? [{ name: 'goforward', text: 'go forward ten meters', samples: raw(join(SPHINX, 'goforward.raw')) }, ...transcribed(join(SPHINX, 'cards'), 'cards.transcription')] : [] },
    { name: 'telephone prompts, 8 kHz', human: true, recordings: take(prompts(), most) },
    { name: 'synthetic notes', human: false, recordings: take(NOTES.flatMap((text) => VOICES.map((voice) => ({ name: `${voice} ${text}`, text, samples: () => synthesise(text, voice) }))), most) },
  ]
}
