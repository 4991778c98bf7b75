import test from 'ava'
import { MtorError } from '../contracts/errors.ts'
import { deviceRoutes } from '../realm/ownership/routes.ts'
import { devicesText } from './device.ts'

const request = (params: Record<string, string> = {}, body: unknown = undefined) => ({ params, body, query: new URLSearchParams(), signal: new AbortController().signal })

test('the list shows owner, epoch and which lines are dead', (t) => {
  const text = devicesText([
    { device: 'rover', kind: 'rover', owner: 'a', epoch: 7, wired: ['a', 'b'], lines: ['a'], here: 'stands by' },
    { device: 'arm', kind: 'rover', owner: undefined, epoch: undefined, wired: ['b'], lines: [], here: 'not wired' },
  ])
  t.regex(text, /rover +rover +a +7 +a, b \(dead\) +stands by/)
  t.regex(text, /arm +rover +nobody +b \(dead\) +not wired/)
  t.is(devicesText([]), 'No device is configured.')
})

test('a node in no realm lists its own devices, and can give none away', async (t) => {
  const routes = deviceRoutes({ node: 'solo', ownership: undefined, own: () => [{ id: 'rover', kind: 'rover', connected: true, epoch: 3 }] })
  t.deepEqual(await routes['GET /devices']!(request()), [{ device: 'rover', kind: 'rover', owner: 'solo', epoch: 3, wired: ['solo'], lines: ['solo'], here: 'commands' }])
  await t.throwsAsync(routes['POST /devices/:device/move']!(request({ device: 'rover' }, { to: 'b' })) as Promise<unknown>, { instanceOf: MtorError, code: 'NOT_A_MEMBER' })
  await t.throwsAsync(routes['POST /devices/:device/move']!(request({ device: 'rover' }, { to: 'b', policy: 'perhaps' })) as Promise<unknown>, { instanceOf: MtorError, code: 'USAGE' })
})
