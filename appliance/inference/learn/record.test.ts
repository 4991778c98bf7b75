import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../contracts/clock.ts'
import { concatenate, silence, synthesise } from '../../speech/sounds.ts'
import { recordExamples, somethingSaid } from './record.ts'
import { WordFinder } from './recordings.ts'

/** An ALSA device that gives these samples, and the folder it lies in. @see alsa-lib, doc "PCM file plugin" */
async function device(t: ExecutionContext, samples: Int16Array): Promise<{ device: string; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-record-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'samples'), Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength))
  await writeFile(join(folder, 'asound.conf'), `pcm.mtor_words { type file slave.pcm null file /dev/null infile ${folder}/samples format raw }\n`)
  process.env['ALSA_CONFIG_PATH'] = `/usr/share/alsa/alsa.conf:${folder}/asound.conf`
  t.teardown(() => { delete process.env['ALSA_CONFIG_PATH'] })
  return { device: 'mtor_words', folder }
}

test.serial('examples are recorded through ALSA after each prompt, and hold what was said', async (t) => {
  const word = await synthesise('marigold', 'flite:slt')
  // So close that each example holds the word once from end to end, whenever it begins.
  const one = concatenate([silence(0.3), word, silence(0.3)])
  const { device: name, folder } = await device(t, concatenate(Array.from({ length: 40 }, () => one)))
  const prompts: string[] = []
  const files = await recordExamples({ device: name, count: 2, folder: join(folder, 'examples'), clock: systemClock, onPrompt: (example, again) => { prompts.push(`${example}${again ? ' again' : ''}`) } })
  t.is(files.length, 2)
  t.deepEqual(prompts.filter((prompt) => !prompt.endsWith('again')), ['1', '2'])
  t.deepEqual((await readdir(join(folder, 'examples'))).length, 2)
  const finder = await WordFinder.open()
  const found = await finder.find({ path: files[0]!, person: 'somebody' })
  t.true(typeof found === 'object' && found.part !== undefined, String(found))
  await finder.close()
})

test.serial('a microphone into which nobody speaks is told after three tries', async (t) => {
  const { device: name, folder } = await device(t, silence(60))
  const prompts: boolean[] = []
  await t.throwsAsync(recordExamples({ device: name, count: 2, folder: join(folder, 'examples'), clock: systemClock, onPrompt: (_, again) => { prompts.push(again) } }), { code: 'AUDIO_DEVICE', message: /nothing was said/ })
  t.deepEqual(prompts, [false, true, true])
})

test.serial('no microphone is told, and recording can be cancelled', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-record-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await t.throwsAsync(recordExamples({ device: 'mtor_no_such_device', count: 1, folder, clock: systemClock, onPrompt: () => {} }), { code: 'AUDIO_DEVICE' })
  await t.throwsAsync(recordExamples({ device: 'none', count: 1, folder, clock: systemClock, onPrompt: () => {} }), { code: 'AUDIO_DEVICE' })
  const cancelled = await t.throwsAsync(recordExamples({ device: 'mtor_no_such_device', count: 1, folder, clock: systemClock, onPrompt: () => {}, signal: AbortSignal.abort() }), { code: 'CANCELLED' })
  t.truthy(cancelled)
})

test('a recording in which nobody speaks is noticed', async (t) => {
  t.false(somethingSaid(silence(2)))
  t.false(somethingSaid(Int16Array.from({ length: 32_000 }, (_, i) => 600 * Math.sin(i / 5))))
  t.true(somethingSaid(concatenate([silence(1), await synthesise('marigold', 'flite:slt'), silence(0.4)])))
})
