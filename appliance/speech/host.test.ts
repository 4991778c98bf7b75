import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { processState } from '../inference/keeper.ts'
import { synthesise } from './speak/index.ts'
import { becomes, speech } from './testing.ts'
import { encodeWav } from './wav.ts'

const childrenOf = (pid: number) => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((name) => {
  try { return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]!.split(' ')[1] === String(pid) } catch { return false }
}).map(Number)
const nameOf = (pid: number) => { try { return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() } catch { return undefined } }
const alive = (pid: number) => { try { return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) } catch { return false } }
const said = async (stateDir: string) => (await readFile(join(stateDir, 'said', 'spoken.jsonl'), 'utf8')).trim().split('\n').map((line) => (JSON.parse(line) as { text: string }).text)

test.serial('the whole process hears a spoken command in a file, and says what it is told', async (t) => {
  const { host, stateDir, message, messages } = await speech(t)
  await host.start()
  t.is(host.status().state, 'starting')
  const { engine, loadMs } = await host.ready()
  t.log(`${engine} was ready after ${loadMs} ms`)
  t.is(host.status().state, 'idle')
  const file = join(stateDir, 'command.wav')
  await synthesise('Computer, drive forward two metres.', file)
  const { audioS } = await host.listen(file)
  t.true(audioS > 1.5)
  const utterance = await message('utterance')
  t.regex(utterance.text, /drive forward two met/)
  t.is(utterance.how, 'command')
  t.true(messages.some(({ kind }) => kind === 'wake'))
  const { speechEndMs, endpointMs, transcriptMs } = utterance.timeline
  t.true(speechEndMs <= endpointMs && endpointMs <= transcriptMs)
  await host.speak('Driving "forward" by -o two metres; $(date).')
  t.deepEqual(await said(stateDir), ['Driving "forward" by -o two metres; $(date).'])
  const { rssBytes } = await message('health', (health) => health.audioS > 0)
  t.log(`speech process takes ${Math.round(rssBytes / 1e6)} MB`)
  t.deepEqual(readdirSync(stateDir).filter((name) => name === 'audio'), [], 'audio is kept nowhere unless that is turned on')
})

test.serial('with audio kept, the utterance lies in a WAV file', async (t) => {
  const { host, stateDir, message } = await speech(t, { speech: { keepAudio: { enabled: true, directory: 'audio' } } })
  await host.start()
  const file = join(stateDir, 'command.wav')
  await synthesise('Computer, stop.', file)
  await host.listen(file)
  await message('utterance')
  await becomes(() => existsSync(join(stateDir, 'audio')) && readdirSync(join(stateDir, 'audio')).length === 1)
  t.regex(readdirSync(join(stateDir, 'audio'))[0]!, /^utterance-.*\.wav$/)
})

test.serial('kill −9 while it listens: the core sees a coded error, the recorder is gone, the process is back', async (t) => {
  const { host, stateDir, event } = await speech(t)
  await host.start()
  await host.ready()
  const file = join(stateDir, 'long.wav')
  await writeFile(file, encodeWav(new Int16Array(16_000 * 60), { sampleRateHz: 16_000 }))
  const first = host.status().pid!
  const listening = host.listen(file)
  await becomes(() => childrenOf(first).some((pid) => nameOf(pid) === 'arecord'))
  const recorder = childrenOf(first)
  process.kill(first, 'SIGKILL')
  t.is((await t.throwsAsync(listening, { instanceOf: MtorError })).code, 'SPEECH_DOWN')
  await event('process.lost')
  await becomes(() => !recorder.some(alive))
  await t.notThrowsAsync(host.ready())
  t.not(host.status().pid, first)
  t.is(host.status().restarts, 1)
  await host.speak('I am back.')
  t.deepEqual(await said(stateDir), ['I am back.'])
})

test.serial('a hung process is killed and started again; what is said while it is down is dropped with an event', async (t) => {
  const clock = new ManualClock()
  const { host, event, events } = await speech(t, { clock })
  await host.start()
  await host.ready()
  const first = host.status().pid!
  process.kill(first, 'SIGSTOP')
  await becomes(() => processState(first)?.stopped === true)
  // No further than that: the restart, too, is on this clock.
  let ticks = 0
  for (; !events.some(({ name }) => name === 'process.hung'); ticks++) await clock.advance(1_000)
  t.true(ticks <= 3, `the kernel says that it is stopped: that need not be waited for (${ticks} ticks)`)
  await event('process.lost')
  t.is((await t.throwsAsync(host.speak('Nobody hears this.'), { instanceOf: MtorError })).code, 'SPEECH_DOWN')
  t.is(events.find(({ name }) => name === 'speech.dropped')?.message, 'Nobody hears this.')
  await clock.advance(0)
  t.not(host.status().pid, first)
  await host.ready()
})

test.serial('listening can be cancelled, a broken file is refused, and files queue', async (t) => {
  const { host, stateDir } = await speech(t)
  await host.start()
  const long = join(stateDir, 'long.wav')
  const broken = join(stateDir, 'broken.wav')
  await writeFile(long, encodeWav(new Int16Array(16_000 * 60), { sampleRateHz: 16_000 }))
  await writeFile(broken, 'RIFF')
  const abort = new AbortController()
  const first = host.listen(long, abort.signal)
  const second = host.listen(broken)
  await host.ready()
  abort.abort()
  t.is((await t.throwsAsync(first, { instanceOf: MtorError })).code, 'CANCELLED')
  t.is((await t.throwsAsync(second, { instanceOf: MtorError })).code, 'AUDIO_INVALID')
  t.is(host.status().state, 'idle')
})

test.serial('a microphone that is not there is announced, and the box is up without it', async (t) => {
  const { host, event } = await speech(t, { speech: { device: 'hw:7' } })
  await host.start()
  await host.ready()
  const lost = await event('capture.lost')
  t.is(lost.code, 'AUDIO_DEVICE')
  t.is(host.status().state, 'idle')
  const pid = host.status().pid!
  await host.stop()
  await host.stop()
  t.false(alive(pid))
  t.is(host.status().state, 'off')
  t.is((await t.throwsAsync(host.speak('Off.'), { instanceOf: MtorError })).code, 'SPEECH_DOWN')
})

test.serial('when the core is killed, the speech process goes with it', async (t) => {
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-speech-'))
  t.teardown(() => rm(stateDir, { recursive: true, force: true }))
  const url = (file: string) => JSON.stringify(new URL(file, import.meta.url).href)
  const core = spawn(process.execPath, ['--input-type=module', '-e', `
    const { makeConfig } = await import(${url('../config/load.ts')}), { Hub } = await import(${url('../contracts/hub.ts')})
    const { systemClock: clock } = await import(${url('../contracts/clock.ts')}), { SpeechHost } = await import(${url('./host.ts')})
    const config = makeConfig({ node: 'test', stateDir: ${JSON.stringify(stateDir)}, speech: { device: 'none', speak: { device: 'none' } } })
    const host = new SpeechHost({ config: config.speech, understand: config.understand, sequences: ['square'], stateDir: config.stateDir, runDir: config.runDir, clock, hub: new Hub(clock, 'test'), onMessage: () => {} })
    await host.start()
    await host.ready()
    console.log(host.status().pid)`], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = Number(await new Promise<string>((resolve) => core.stdout.once('data', (data: Buffer) => resolve(String(data)))))
  t.true(alive(pid))
  core.kill('SIGKILL')
  await becomes(() => !alive(pid))
  t.false(alive(pid))
})
