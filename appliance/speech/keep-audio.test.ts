import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { AudioKeeper } from './keep-audio.ts'
import { WavReader } from './wav.ts'

const timeline = (speechStartMs: number, speechEndMs: number) => ({ speechStartMs, speechEndMs, endpointMs: speechEndMs + 240, transcriptMs: speechEndMs + 250 })

test('an utterance is kept with its margins, readable by its owner alone; the folder stays within its bound', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-keep-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'mine.wav'), 'not written by the keeper')
  const keeper = new AudioKeeper(folder, 150_000)
  for (let i = 1; i <= 2_000; i++) keeper.push(new Int16Array(512).fill(i), i * 32)
  const file = (await keeper.save(timeline(50_000, 51_000), 0))!
  const wav = await WavReader.open(file)
  t.teardown(() => wav.close())
  t.true(Math.abs(wav.format.durationS - 1.6) <= 0.064)
  t.true(Math.abs((await wav.all())[0]! * 32 - 49_700) <= 64)
  t.is((await stat(file)).mode & 0o777, 0o600)
  for (let day = 1; day < 5; day++) await keeper.save(timeline(50_000, 51_000), day * 86_400_000)
  t.deepEqual((await readdir(folder)).sort(), ['mine.wav', 'utterance-1970-01-04T000000.000Z.wav', 'utterance-1970-01-05T000000.000Z.wav'])
  t.is(await keeper.save(timeline(1_000, 2_000), 0), undefined)
})
