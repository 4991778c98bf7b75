import test from 'ava'
import { topicsOf } from '../contracts/topics.ts'
import { ROLES, type Role } from '../contracts/intents.ts'
import { Permissions } from './permissions.ts'

const topics = topicsOf('home')
const permissions = new Permissions('home')
const as = (role: Role, name = 'rex') => ({ role, name, clientId: `${name}-id` })
const publishers = (topic: string, name?: string) => ROLES.filter((role) => permissions.publish(as(role, name), topic).handling)
const subscribers = (filter: string, name?: string) => ROLES.filter((role) => permissions.subscribe(as(role, name), filter) === undefined)
const EVERYONE = [...ROLES]
const ACTING = ['operator', 'flow', 'device', 'worker']
const id = '0190aaaa-0000-7000-8000-000000000000'

for (const [topic, who] of [
  [topics.submit, ACTING],
  [topics.stop, ACTING],
  [`${topics.root}/app/garden/pump`, ACTING],
  [topics.receipt(id), []],
  [topics.intentEvent(id), []],
  [topics.clientReceipt('rex-id'), []],
  [topics.event('error', 'bus'), []],
  [topics.nodeState('rex'), ['worker']],
  [topics.nodeState('other'), []],
  [topics.telemetry('rex', 'node'), ['worker']],
  [topics.deviceState('rex'), ['device']],
  [topics.deviceState('other'), []],
  [topics.deviceCommand('other'), ['operator', 'flow']],
  [topics.workerOffer('rex'), ['worker']],
  [topics.workerHealth('other'), []],
  ['$SYS/broker/uptime', []],
] as const) test(`publishing on ${topic} is for: ${who.join(', ') || 'the appliance alone'}`, (t) => {
  t.deepEqual(publishers(topic), [...who])
  for (const role of ROLES) if (!publishers(topic).includes(role)) t.is(permissions.publish(as(role), topic).code, 'UNAUTHORISED')
})

for (const topic of ['x', '/', '', 'mtor/1/other/stop', 'mtor/2/home/stop', `${topics.root}/stop/now`, `${topics.root}/Stop`, `${topics.root}/`, topics.root, `${topics.root}/node/+/state`,
  `${topics.root}/#`, `${topics.root}/__proto__`, `${topics.root}/intent/a/b/event`, '$share/x']) {
  test(`there is no topic ${topic || '(empty)'}`, (t) => {
    for (const role of ROLES) t.is(permissions.publish(as(role), topic).code, 'UNKNOWN_TOPIC')
  })
}

for (const [filter, who] of [
  [topics.receipt('+'), EVERYONE],
  [`${topics.root}/intent/#`, ['operator', 'flow', 'observer']],
  [topics.stop, EVERYONE],
  [topics.clientReceipt('rex-id'), EVERYONE],
  [topics.clientReceipt('other'), ['operator', 'flow', 'observer']],
  [topics.deviceCommand('rex'), ['operator', 'flow', 'device', 'observer']],
  [topics.deviceCommand('+'), ['operator', 'flow', 'observer']],
  [`${topics.root}/+/rex/#`, ['operator', 'flow', 'observer']],
  [`${topics.root}/app/#`, EVERYONE],
  [`${topics.root}/#`, ['operator', 'flow', 'observer']],
  ['#', ['operator', 'flow', 'observer']],
  ['+/+/+/stop', EVERYONE],
  ['$SYS/#', ['operator', 'flow', 'observer']],
  ['nowhere/#', []],
  ['$share/group/x', []],
] as const) test(`subscribing to ${filter} is for: ${who.join(', ') || 'nobody'}`, (t) => { t.deepEqual(subscribers(filter), [...who]) })

test('a filter that fits nothing of the table is unknown, one that fits too much is unauthorised', (t) => {
  t.is(permissions.subscribe(as('operator'), 'nowhere/#'), 'UNKNOWN_TOPIC')
  t.is(permissions.subscribe(as('device'), '#'), 'UNAUTHORISED')
})
