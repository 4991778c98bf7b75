import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { openEngine } from '../engines/index.ts'
import { textOf } from '../engine.ts'
import { concatenate, readMono, silence, synthesise } from '../sounds.ts'
import { becomes, speech } from '../testing.ts'
import { decode } from '../wake.ts'
import { encodeWav, WavReader } from '../wav.ts'
import { ask, startClient } from './testing.ts'

const RAW = readFileSync('/usr/share/pocketsphinx/test/data/goforward.raw')
/** A person: "go forward ten meters". */
const GO_FORWARD = new Int16Array(RAW.buffer.slice(RAW.byteOffset, RAW.byteOffset + (RAW.length & ~1)))

async function box(t: ExecutionContext, wyoming: Record<string, unknown> = {}) {
  const made = await speech(t, { wyoming: { enabled: true, port: 0, ...wyoming } })
  await made.host.start()
  const { data } = await made.event('wyoming.listening')
  const save = async (name: string, samples: Int16Array, sampleRateHz = 16_000, channels = 1) => {
    const file = join(made.stateDir, name)
    await writeFile(file, encodeWav(samples, { sampleRateHz, channels }))
    return file
  }
  return { ...made, port: data!['port'] as number, save }
}

/** Each sample thrice, on both channels: 48 kHz stereo. */
const dear = (samples: Int16Array) => Int16Array.from({ length: samples.length * 6 }, (_, i) => samples[Math.floor(i / 6)]!)
/** What the project's own recogniser hears in a file. */
async function heardIn(t: ExecutionContext, file: string): Promise<string> {
  const { engine } = await openEngine('auto', {})
  t.teardown(() => engine.close())
  return textOf((await decode(await engine.open({ kind: 'open' }), await readMono(await WavReader.open(file)))).words)
}

test.serial('the published client finds ears, wake word and voice, and its ping comes back', async (t) => {
  const { port } = await box(t)
  const { info } = await ask(t, port, 'info') as { info: Record<string, { name: string; models?: { name: string; phrase?: string; languages: string[] }[]; voices?: { name: string }[] }[]> }
  t.like(info, { asr: [{ name: 'mtor', models: [{ languages: ['en'] }] }], wake: [{ models: [{ name: 'computer', phrase: 'computer' }] }], tts: [{ voices: [{ name: 'flite-rms' }] }], handle: [], intent: [] })
  t.false('satellite' in info)
  t.deepEqual(await ask(t, port, 'ping', 'are you there?'), { pong: 'are you there?' })
})

test.serial('a person is transcribed, at any rate, one sentence after another', async (t) => {
  const { port, save } = await box(t)
  const client = await startClient(t, port, 'transcribe', await save('human.wav', GO_FORWARD), await save('stereo.wav', dear(GO_FORWARD), 48_000, 2), await save('silent.wav', silence(1)))
  t.deepEqual([await client.next(), await client.next(), await client.next()], [{ transcript: 'go forward ten meters' }, { transcript: 'go forward ten meters' }, { transcript: '' }])
})

test.serial('the wake word is detected, and other speech is not', async (t) => {
  const { port, save } = await box(t)
  const woken = await save('wake.wav', concatenate([silence(0.5), await synthesise('computer. what is the time', 'flite:rms'), silence(0.5)]))
  const { detection, timestamp } = await ask(t, port, 'wake', woken)
  t.is(detection, 'computer')
  t.true((timestamp as number) > 500 && (timestamp as number) < 3_000, `at ${String(timestamp)} ms`)
  t.is((await ask(t, port, 'wake', woken, 'computer')).detection, 'computer')
  t.deepEqual(await ask(t, port, 'wake', await save('other.wav', GO_FORWARD)), { detection: null })
  t.deepEqual(await ask(t, port, 'wake', woken, 'alexa'), { error: 'NOT_FOUND' })
})

test.serial('what the box says for a client is understood by its own recogniser', async (t) => {
  const { port, stateDir } = await box(t)
  const file = join(stateDir, 'said.wav')
  t.deepEqual(await ask(t, port, 'say', 'Turn left and stop. What is the weather like in London?', file), { said: file, rate: 16_000, ended: true })
  t.is(await heardIn(t, file), 'turn left and stop what is the weather like in london')
  t.deepEqual(await ask(t, port, 'say', 'a'.repeat(2_001), file), { error: 'TOO_LARGE' })
  t.like(await ask(t, port, 'say', '…', file), { ended: true })
})

test.serial('more sounds at once than there are ears: BUSY, and the ears come back when a client is gone', async (t) => {
  const { port, save } = await box(t, { maxStreams: 1 })
  const human = await save('human.wav', GO_FORWARD)
  const holder = await startClient(t, port, 'hold')
  await holder.next()
  t.deepEqual(await ask(t, port, 'transcribe', human), { error: 'BUSY' })
  holder.kill()
  // The kernel tells of a killed client when it likes.
  let last: Record<string, unknown> = {}
  for (let tries = 0; tries < 20 && last['transcript'] === undefined; tries++) last = await ask(t, port, 'transcribe', human)
  t.deepEqual(last, { transcript: 'go forward ten meters' })
})

test.serial('what is no Wyoming is answered with an error and cut off; further connections than allowed are too', async (t) => {
  const { port, events } = await box(t, { maxConnections: 2 })
  const answerTo = (bytes: string) => new Promise<string>((resolve) => {
    let got = ''
    const socket = connect(port, '127.0.0.1', () => { if (bytes) socket.write(bytes) })
    t.teardown(() => { socket.destroy() })
    socket.on('data', (data) => { got += data.toString() }).on('error', () => {}).on('close', () => resolve(got))
  })
  t.regex(await answerTo('GET / HTTP/1.1\r\n\r\n'), /"type":"error".*MALFORMED/s)
  t.regex(await answerTo('{"type":"audio-chunk","payload_length":99999999}\n'), /TOO_LARGE/)
  t.regex(await answerTo('{"type":"audio-start","data":{"rate":16000,"width":2,"channels":1}}\n'), /MALFORMED/)
  t.regex(await answerTo('{"type":"transcript","data":{"text":"drive forward"}}\n'), /UNAUTHORISED/)
  t.regex(await answerTo('{"type":"run-satellite"}\n'), /NOT_FITTED/)
  const open = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  t.teardown(() => { for (const socket of open) socket.destroy() })
  await Promise.all(open.map((socket) => new Promise<void>((resolve) => { socket.write('{"type":"ping"}\n'); socket.once('data', () => resolve()) })))
  t.regex(await answerTo(''), /BUSY/)
  t.true(events.some(({ name, code }) => name === 'wyoming.refused' && code === 'MALFORMED'))
})

test.serial('the box hears a command at its microphone while clients keep its models busy', async (t) => {
  const { host, port, save, message } = await box(t)
  const long = await save('long.wav', concatenate(Array.from({ length: 30 }, () => GO_FORWARD)))
  const busy = [await startClient(t, port, 'transcribe', long), await startClient(t, port, 'transcribe', long)]
  await host.listen(await save('command.wav', concatenate([await synthesise('computer, drive forward two metres', 'flite:rms'), silence(1)])))
  t.regex((await message('utterance')).text, /drive forward two met/)
  for (const client of busy) t.regex(String((await client.next())['transcript']), /^(go forward ten meters ?){25,}/)
})

test.serial('after kill −9 of the speech process the port is open again', async (t) => {
  const { host, port, event, events, save } = await box(t)
  const before = events.length
  const held = await startClient(t, port, 'hold')
  await held.next()
  process.kill(host.status().pid!, 'SIGKILL')
  const { data } = await event('wyoming.listening', before)
  t.deepEqual(await ask(t, data!['port'] as number, 'transcribe', await save('human.wav', GO_FORWARD)), { transcript: 'go forward ten meters' })
})

test.serial('beyond loopback the port is announced as a warning, before it is open', async (t) => {
  const { events } = await box(t, { host: '0.0.0.0' })
  const at = (name: string) => events.findIndex((event) => event.name === name)
  t.is(events[at('wyoming.open')]?.severity, 'warning')
  t.true(at('wyoming.open') < at('wyoming.listening'))
})

test.serial('satellite: what the box does not understand goes to the server, and its answer is said', async (t) => {
  const { host, port, stateDir, event, messages, save } = await box(t, { satellite: 'rest' })
  const out = join(stateDir, 'heard.wav')
  const server = await startClient(t, port, 'serve', out, await save('reply.wav', await synthesise('it is sunny', 'flite:slt')))
  t.deepEqual(await server.next(), { running: true })
  await event('wyoming.satellite')
  t.like((await ask(t, port, 'info')).info, { satellite: { name: 'test', active_wake_words: ['computer'] } })
  await host.listen(await save('question.wav', concatenate([await synthesise('computer, the weather is good and it is sunny in london', 'flite:rms'), silence(1.5)])))
  t.deepEqual([await server.next(), await server.next(), await server.next()], [{ detection: 'computer' }, { start: true, end: true, wake: 'computer' }, { heard: out }])
  t.deepEqual(await server.next(), { played: true })
  const heard = await heardIn(t, out)
  t.regex(heard, /sunny in london$/)
  t.notRegex(heard, /computer/, 'the wake word stays here')
  const said = (await event('wyoming.reply')).message
  t.is(said, 'It is sunny.')
  t.is((await event('wyoming.transcript')).message, 'what is the weather')
  const spoken = readFileSync(join(stateDir, 'said/spoken.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { file: string; text: string })
  t.deepEqual(spoken.map(({ text }) => text), ['It is sunny.'])
  t.is(await heardIn(t, join(stateDir, 'said', spoken[0]!.file)), 'it is sunny')
  t.false(messages.some(({ kind }) => kind === 'utterance'), 'the box did not refuse what the server took')
})

test.serial('satellite: a sentence of the box stays here, and so does stop', async (t) => {
  const { host, port, stateDir, event, messages, events, save } = await box(t, { satellite: 'rest' })
  const server = await startClient(t, port, 'serve', join(stateDir, 'heard.wav'), 'none')
  await server.next()
  await event('wyoming.satellite')
  await host.listen(await save('command.wav', concatenate([await synthesise('computer, drive forward two metres', 'flite:rms'), silence(1.5), await synthesise('stop', 'flite:rms'), silence(1)])))
  t.true(messages.some((message) => message.kind === 'utterance' && message.how === 'command'))
  t.true(messages.some(({ kind }) => kind === 'stop-word'))
  t.false(events.some(({ name }) => name === 'wyoming.asked'))
  t.false(existsSync(join(stateDir, 'heard.wav')))
})

test.serial('satellite of everything: the server hears the box’s own sentences as well, and the box says no answer to them', async (t) => {
  const { host, port, stateDir, event, messages, save } = await box(t, { satellite: 'all' })
  const out = join(stateDir, 'heard.wav')
  const server = await startClient(t, port, 'serve', out, await save('reply.wav', await synthesise('it is sunny', 'flite:slt')))
  await server.next()
  await event('wyoming.satellite')
  await host.listen(await save('command.wav', concatenate([await synthesise('computer, drive forward two metres', 'flite:rms'), silence(1.5)])))
  for (let i = 0; i < 3; i++) await server.next()
  t.deepEqual(await server.next(), { played: true })
  t.regex(await heardIn(t, out), /^drive forward/)
  t.true(messages.some((message) => message.kind === 'utterance' && message.how === 'command'))
  t.false(existsSync(join(stateDir, 'said/spoken.jsonl')))
})

test.serial('satellite: an error of the server is told, and the box says that it did not understand', async (t) => {
  const { host, port, stateDir, event, save } = await box(t, { satellite: 'rest' })
  const server = await startClient(t, port, 'serve', join(stateDir, 'heard.wav'), 'error')
  await server.next()
  await event('wyoming.satellite')
  await host.listen(await save('question.wav', concatenate([await synthesise('computer, the weather is good and it is sunny in london', 'flite:rms'), silence(1.5)])))
  t.like(await event('wyoming.error'), { message: 'intent-failed no intent', say: 'Sorry, I did not understand.' })
  await becomes(() => existsSync(join(stateDir, 'heard.wav')))
})
