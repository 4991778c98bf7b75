import test from 'ava'
import { MtorError } from '../contracts/errors.ts'
import { knownUtterance } from './first-light.ts'

test('first light moves a simulated rover that may move, and never a real one', (t) => {
  t.is(knownUtterance({ port: 'simulated' }, undefined).type, 'drive.move')
  t.is(knownUtterance({ port: '/dev/ttyUSB0' }, undefined).type, 'time.tell')
  t.is(knownUtterance({ port: 'simulated' }, new MtorError('NOT_ARMED', 'not armed')).type, 'time.tell')
  t.is(knownUtterance(undefined, undefined).type, 'time.tell')
})
