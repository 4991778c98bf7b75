import test from 'ava'
import { becomes, bench } from './testing.ts'

test('a vote is run on as many workers as asked for; the extra ones come for it', async (t) => {
  const b = await bench(t)
  const answer = await b.supervisor.run('read', 'talker', { image: 'say red' }, { deadlineMs: 20_000, vote: 3 })
  t.is(answer.output.text, 'red')
  t.deepEqual(answer.vote, { asked: 3, agreed: 3, dissenters: [] })
  t.is(b.supervisor.status().workers.length, 3)
})

test('the majority is answered, who said otherwise is named and restarted', async (t) => {
  const b = await bench(t, { models: { talker: { vote: 3 } } })
  const answer = await b.supervisor.run('read', 'talker', { image: 'once red say green' }, { deadlineMs: 20_000 })
  t.is(answer.output.text, 'red')
  t.is(answer.vote!.agreed, 2)
  t.is(answer.vote!.dissenters.length, 1)
  const dissent = await b.event('vote.dissent')
  t.is(dissent.data!['worker'], answer.vote!.dissenters[0])
  t.like(b.supervisor.faults()[0], { worker: answer.vote!.dissenters[0], kind: 'wrong-answer', detail: 'outvoted by 2 of 3' })
  await becomes('its restart', () => b.supervisor.status().workers.find(({ worker }) => worker === answer.vote!.dissenters[0])!.restarts === 1)
})

test('where everybody says something else there is no answer', async (t) => {
  const b = await bench(t)
  const error = await t.throwsAsync(b.supervisor.run('read', 'talker', { image: 'pid' }, { deadlineMs: 20_000, vote: 3 }), { code: 'NO_MAJORITY' }) as Error & { data: unknown }
  t.deepEqual(error.data, { model: 'talker', asked: 3, agreed: 1, lost: 0 })
  await b.event('vote.undecided')
})

test('a worker that is lost during the vote has no vote: two of three still decide, one of two does not', async (t) => {
  const b = await bench(t)
  const answer = await b.supervisor.run('read', 'talker', { image: 'once red abort' }, { deadlineMs: 20_000, vote: 3 })
  t.deepEqual(answer.vote, { asked: 3, agreed: 2, dissenters: [] })
  await t.throwsAsync(b.supervisor.run('read', 'talker', { image: 'once blue abort' }, { deadlineMs: 20_000, vote: 2 }), { code: 'NO_MAJORITY' })
})

test('what the task says of the input is told, whoever says it', async (t) => {
  const b = await bench(t)
  await t.throwsAsync(b.supervisor.run('read', 'talker', { image: 'refuse' }, { deadlineMs: 20_000, vote: 2 }), { code: 'IMAGE_INVALID' })
})
