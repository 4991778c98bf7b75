import test from 'ava'
import fc from 'fast-check'
import { topicMatches, topicsOf } from './topics.ts'

test('topics carry the protocol version and the realm', (t) => {
  const topics = topicsOf('moon')
  t.is(topics.submit, 'mtor/1/moon/intent/submit')
  t.is(topics.receipt('7'), 'mtor/1/moon/intent/7/receipt')
  t.is(topics.event('error', 'bus'), 'mtor/1/moon/event/error/bus')
  t.is(topics.stop, 'mtor/1/moon/stop')
})

const cases: [string, string, boolean][] = [
  ['a/+/c', 'a/b/c', true], ['a/+/c', 'a/b/d', false], ['a/+', 'a', false], ['a/+', 'a/', true], ['+', 'a/b', false],
  ['a/#', 'a', true], ['a/#', 'a/b/c', true], ['#', 'a/b', true], ['a/b', 'a/b', true], ['a/b', 'a/b/c', false], ['a/b/c', 'a/b', false],
  ['#', '$SYS/uptime', false], ['+/uptime', '$SYS/uptime', false], ['$SYS/#', '$SYS/uptime', true],
]
for (const [filter, topic, fits] of cases) {
  test(`filter ${filter} ${fits ? 'fits' : 'does not fit'} topic ${topic} (MQTT 3.1.1 §4.7)`, (t) => { t.is(topicMatches(filter, topic), fits) })
}

test('a topic fits itself, and itself with any one level replaced by +', (t) => {
  const level = fc.stringMatching(/^[a-z0-9]{1,5}$/)
  fc.assert(fc.property(fc.array(level, { minLength: 1, maxLength: 6 }), fc.nat(), (levels, n) => {
    const topic = levels.join('/')
    const filter = levels.with(n % levels.length, '+').join('/')
    return topicMatches(topic, topic) && topicMatches(filter, topic) && topicMatches('#', topic)
  }))
  t.false(topicMatches('+/+', 'a'))
})
