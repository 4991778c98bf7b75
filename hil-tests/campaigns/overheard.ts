import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { Measure } from '../../bench/harness.ts'
import { readFacts } from '../checkers/logs.ts'
import { Bench } from '../resources/bench.ts'

const run = promisify(execFile)
/** Debian's asterisk-core-sounds-en-*: people reading announcements. */
const SPEECH = '/usr/share/asterisk/sounds/en*/**/*.{wav,gsm}'

/** Speech that is not for the box, through the real capture path in real time: it must not wake and not act. */
const overheard: Measure = {
  name: 'overheard',
  title: 'recorded speech that is not for the box, in real time: no wake, no intent',
  flags: [{ flag: 'minutes', help: 'how long to listen (default 30)' }, { flag: 'speech', help: 'folder of recordings (default: asterisk-core-sounds-en)' }],
  async run(context) {
    const seconds = context.quick ? 20 : Number(context.flags.minutes ?? 30) * 60
    const files = globSync(context.flags.speech ? join(context.flags.speech, '**/*.wav') : SPEECH).sort()
    if (files.length === 0) throw new MtorError('NOT_FOUND', 'no recordings to listen to', { hint: 'apt-get install asterisk-core-sounds-en-wav' })
    const dir = mkdtempSync(join(tmpdir(), 'mtor-overheard-'))
    let bench: Bench | undefined
    try {
      const file = await oneFile(files, seconds, context.random, dir, context.progress)
      bench = await Bench.open()
      context.progress(`listening for ${Math.round(seconds)} s`)
      const startMs = performance.now()
      const ticker = setInterval(() => context.progress(`${Math.round((performance.now() - startMs) / 1000)} of ${Math.round(seconds)} s`), 60_000)
      try { for await (const _ of bench.appliance.control.lines('POST', '/listen', { file }, context.signal)) { /* Until it is through. */ } } finally { clearInterval(ticker) }
      const facts = readFacts<{ kind: string; name?: string; state?: string; type?: string; message?: string; data?: { slots?: unknown } }>(bench.appliance.factLog)
      const count = (matches: (f: (typeof facts)[number]) => boolean) => facts.filter(matches).length
      const wakes = count((f) => f.name === 'wake'), intents = facts.filter((f) => f.state === 'accepted')
      for (const intent of intents) context.progress(`accepted: ${intent.type} ${JSON.stringify(intent.data?.slots)}`)
      const stops = intents.filter((f) => f.type === 'stop').length
      return [
        { metric: 'audio listened to', value: seconds / 60, unit: 'min' },
        { metric: 'false wakes', value: wakes, unit: '', goal: '= 0', holds: wakes === 0 },
        { metric: 'intents other than stop', value: intents.length - stops, unit: '', goal: '= 0', holds: intents.length === stops },
        { metric: 'stops spotted in other speech', value: stops, unit: 'harmless: nothing moves', goal: '= 0', holds: stops === 0 },
      ]
    } finally {
      await bench?.close()
      rmSync(dir, { recursive: true, force: true })
    }
  },
}
export default overheard

/** One WAV of the wanted length, of recordings in random order with short pauses. */
async function oneFile(files: string[], seconds: number, random: () => number, dir: string, progress: (text: string) => void): Promise<string> {
  const file = join(dir, 'overheard.wav')
  const order = [...files].sort(() => random() - 0.5)
  const raw = join(dir, 'all.raw')
  writeFileSync(raw, '')
  let have = 0
  for (let i = 0; have < seconds * 32_000; i++) {
    const { stdout } = await run('sox', [order[i % order.length]!, '-r', '16000', '-c', '1', '-b', '16', '-e', 'signed', '-t', 'raw', '-', 'pad', '0', '0.4'], { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 })
    writeFileSync(raw, stdout, { flag: 'a' })
    have += stdout.length
    if (i % 200 === 0) progress(`preparing recordings: ${Math.round(have / 320 / seconds)} %`)
  }
  await run('sox', ['-t', 'raw', '-r', '16000', '-c', '1', '-b', '16', '-e', 'signed', raw, file, 'trim', '0', String(seconds)])
  return file
}
