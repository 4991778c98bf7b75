import test from 'ava'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mulberry32 } from '../../appliance/contracts/random.ts'
import { drawScene } from '../../appliance/vision/testing.ts'
import { readFacts } from '../checkers/logs.ts'
import { FlowBench, readExample, topics } from '../resources/flows.ts'

// Sound in, a flow of the appliance's own Node-RED runs, wheels or lights or a camera or a file, a sentence out: for each
// example as it is shipped.
const pictures = mkdtempSync(join(tmpdir(), 'mtor-pictures-'))
let flows: FlowBench
test.before(async () => {
  mkdirSync(pictures, { recursive: true })
  await drawScene(join(pictures, 'scene.jpg'), true)
  flows = await FlowBench.open({ speedFactor: 4, settings: { vision: { camera: `directory:${pictures}` } } })
})
test.after.always(async () => {
  await flows?.close()
  rmSync(pictures, { recursive: true, force: true })
})

/** Types a sentence instead of saying it; what becomes of it. */
async function type(text: string): Promise<Record<string, unknown>[]> {
  const turns: Record<string, unknown>[] = []
  for await (const turn of flows.appliance.control.lines('POST', '/say', { text })) turns.push(turn)
  return turns
}

/** Which command ended how, as the controller has it: "MOVE 1000 done". */
const ends = (from: number) => flows.facts.slice(from).flatMap(({ fact, command, outcome, distanceMm, angleCdeg }) => fact === 'done' ? [`${command} ${outcome} ${JSON.stringify({ distanceMm, angleCdeg })}`] : [])
const sides = (sideMm: number) => [1, 2, 3, 4].flatMap(() => [`MOVE ${sideMm}`, 'TURN 9000'])

test.serial('FLOW-100 the menu Import > Examples of the editor has all of them', async (t) => {
  const { url } = await flows.status()
  const ours = await (await fetch(new URL('library/examples/flows/@mtor/node-red-appliance/', url))).json() as { fn: string }[]
  t.deepEqual(ours.map(({ fn }) => fn).sort(), ['bridge-zigbee2mqtt', 'confirm-hazardous', 'low-battery', 'patrol-by-voice', 'sensor-over-limit', 'spoken-notes', 'who-is-there'])
  const patrol = await (await fetch(new URL('library/examples/flows/@mtor/node-red-appliance/patrol-by-voice', url))).json() as unknown
  t.deepEqual(patrol, readExample('patrol-by-voice'))
})

test.serial('FLOW-101 patrol by voice: "patrol a square" drives four sides and four turns, tells how far it is, and says so', async (t) => {
  await flows.use('patrol-by-voice')
  const from = flows.facts.length
  const heard = await flows.say('computer. patrol a square with sides of two metres')
  t.truthy(heard.find(({ type, state }) => type === 'patrol.square' && state === 'succeeded'), JSON.stringify(heard))
  t.deepEqual(flows.executed(from), sides(2000))
  t.deepEqual(heard.flatMap(({ state, data }) => state === 'progress' ? [(data as { message?: string }).message] : []).filter((text) => text !== undefined), ['side 1 of 4', 'side 2 of 4', 'side 3 of 4', 'side 4 of 4'], ends(from).join())
  t.is(flows.said.at(-1), 'I have patrolled a square of 2 metres.')
})

test.serial('FLOW-102 "stop" while it patrols: the wheels halt, no further step is driven, and it stays so', async (t) => {
  // Slowly, so that the word comes in the middle of a side.
  await type('set the speed to 0.2 metres per second')
  const from = flows.facts.length, before = flows.said.length
  const patrol = flows.say('computer. patrol a square with sides of five metres')
  await flows.until('it drives', () => flows.facts.slice(from).find(({ fact }) => fact === 'motion.start'))
  await flows.say('stop')
  const heard = await patrol
  t.like(heard.find(({ type, state }) => type === 'patrol.square' && state === 'aborted'), { code: 'STOPPED' })
  const after = flows.facts.slice(from)
  const stop = after.findIndex(({ fact, command }) => fact === 'received' && command === 'STOP')
  t.true(stop >= 0)
  t.truthy(after.find(({ fact, cause }) => fact === 'motion.stop' && cause === 'stop'))
  // As long as the next steps would have taken to come.
  await new Promise((done) => setTimeout(done, 1500))
  t.deepEqual(flows.executed(from + stop), [])
  t.true(flows.said.slice(before).includes('Stopped.'))
  await type('set the speed to 0.5 metres per second')
})

test.serial('FLOW-103 stopped at any moment of it, also between two steps, nothing is driven after the stop', async (t) => {
  const random = mulberry32(4)
  for (let round = 0; round < 12; round++) {
    const from = flows.facts.length
    const patrol = type('patrol a square with sides of 0.3 metres')
    await flows.until('it drives', () => flows.facts.slice(from).find(({ fact }) => fact === 'motion.start'))
    await new Promise((done) => setTimeout(done, random() * 1500))
    await flows.client.publishAsync(topics.stop, 'test')
    t.truthy((await patrol).find(({ event }) => (event as { code?: string } | undefined)?.code === 'STOPPED'))
    await new Promise((done) => setTimeout(done, 300))
    const after = flows.facts.slice(from)
    t.deepEqual(after.slice(after.findIndex(({ command }) => command === 'STOP')).filter(({ fact }) => fact === 'execute'), [], `round ${round}`)
  }
})

test.serial('FLOW-104 "cancel" while it patrols: the step under way is cut off, and no further one is driven', async (t) => {
  await type('set the speed to 0.2 metres per second')
  const from = flows.facts.length
  const patrol = flows.say('computer. patrol a square with sides of five metres')
  await flows.until('it drives', () => flows.facts.slice(from).find(({ fact }) => fact === 'motion.start'))
  await flows.say('computer. cancel')
  t.like((await patrol).find(({ type, state }) => type === 'patrol.square' && state === 'aborted'), { code: 'CANCELLED' })
  const halted = await flows.until('the wheels stand still', () => flows.facts.slice(from).findLastIndex(({ fact }) => fact === 'motion.standstill') + 1 || undefined)
  await new Promise((done) => setTimeout(done, 1500))
  t.is(flows.facts.slice(from).findLast(({ fact }) => fact === 'done')?.outcome, 'stopped')
  t.deepEqual(flows.executed(from + halted), [])
  await type('set the speed to 0.5 metres per second')
})

test.serial('FLOW-105 blocked wheels while it patrols: the patrol fails with what the step failed with', async (t) => {
  await flows.bench.befall({ do: 'block', blocked: true })
  const from = flows.facts.length
  const heard = await flows.say('computer. patrol a square')
  await flows.bench.befall({ do: 'block', blocked: false })
  t.like(heard.find(({ type, state }) => type === 'patrol.square' && state === 'failed'), { code: 'STALLED' }, JSON.stringify(heard))
  t.deepEqual(flows.executed(from), ['MOVE 1000'])
  t.is(flows.said.at(-1), 'The wheels are stalled.')
})

test.serial('FLOW-106 who is there: a picture is taken, looked at, and the answer says who and what is in view', async (t) => {
  await flows.use('who-is-there')
  const before = flows.said.length
  const heard = await flows.say('computer. who is at the door')
  const { data } = heard.find(({ type, state }) => type === 'visitor.look' && state === 'succeeded') as { data: { persons: number; picture: string; seen: string[] } }
  t.is(data.persons, 0)
  t.deepEqual(data.seen.sort(), ['clock', 'stop sign'])
  t.true(statSync(data.picture).size > 1_000)
  t.regex(flows.said.slice(before).join(' '), /^Nobody is there\. I see .*clock on the right/)
})

test.serial('FLOW-107 confirm what is hazardous: it asks, and only after a firm yes the airlock (the light) opens', async (t) => {
  await flows.use('confirm-hazardous')
  for (const { answer, state, code, said, executed } of [
    { answer: 'no', state: 'failed', code: 'NOT_CONFIRMED', said: 'Not confirmed, so the airlock stays closed.', executed: [] },
    { answer: 'confirm', state: 'succeeded', code: undefined, said: 'The airlock is open.', executed: ['SET_LIGHT 255'] },
  ]) {
    const from = flows.facts.length, before = flows.said.length
    const opened = flows.say('computer. open the airlock')
    await flows.hears(/Shall I open it\?/, before)
    t.deepEqual(flows.executed(from), [])
    await flows.say(answer)
    const heard = await opened
    t.is((heard.find((event) => event.type === 'airlock.open' && event.state === state) as { code?: string } | undefined)?.code, code, JSON.stringify(heard))
    t.deepEqual(flows.executed(from), executed)
    t.is(flows.said.at(-1), said)
  }
})

test.serial('FLOW-108 spoken notes: what was said is the last line of the file, with a time before it', async (t) => {
  await flows.use('spoken-notes')
  const heard = await flows.say('computer. notebook the water pump is leaking')
  t.truthy(heard.find(({ type, state }) => type === 'notebook.write' && state === 'succeeded'), JSON.stringify(heard))
  const lines = readFileSync(join(flows.appliance.stateDir, 'flows/node-red/files/notes.txt'), 'utf8').trimEnd().split('\n')
  t.is(lines.length, 1)
  t.regex(lines[0]!, /^\d{4}-\d\d-\d\dT\S+Z\tthe water pump is leaking$/)
  t.is(flows.said.at(-1), 'Noted.')
})

test.serial('FLOW-109 bridge: a button of zigbee2mqtt switches the lights on and off, and it is said', async (t) => {
  await flows.use('bridge-zigbee2mqtt')
  for (const { action, executed, said } of [{ action: 'single', executed: 'SET_LIGHT 255', said: /lights are on/ }, { action: 'double', executed: 'SET_LIGHT 0', said: /lights are off/ }]) {
    const from = flows.facts.length, before = flows.said.length
    await flows.client.publishAsync(`${topics.root}/app/zigbee2mqtt/kitchen_button`, JSON.stringify({ action, battery: 97, linkquality: 120 }), { qos: 1 })
    await flows.hears(said, before)
    t.deepEqual(flows.executed(from), [executed])
  }
  // What a button tells beside presses is no press.
  const from = flows.facts.length
  await flows.client.publishAsync(`${topics.root}/app/zigbee2mqtt/kitchen_button`, JSON.stringify({ action: '', battery: 96 }), { qos: 1 })
  await flows.client.publishAsync(`${topics.root}/app/zigbee2mqtt/kitchen_button`, JSON.stringify({ action: 'single' }), { qos: 1 })
  await flows.until('the press behind it', () => flows.executed(from).length > 0 || undefined)
  t.deepEqual(flows.executed(from), ['SET_LIGHT 255'])
})

test.serial('FLOW-110 low battery: told once, lights off, and the rover drives back to where it began', async (t) => {
  await flows.say('computer. turn right')
  await flows.say('computer. drive forward three metres')
  await flows.say('computer. turn left')
  await flows.say('computer. drive forward two metres')
  await flows.use('low-battery')
  const from = flows.facts.length, before = flows.said.length
  await flows.bench.befall({ do: 'battery', batteryFraction: 0.2 })
  t.is(await flows.hears(/^I am home\.$/, before, 90_000), 'My battery is at 20 percent. I turn the lights off and drive home. I am home.')
  const executed = flows.executed(from)
  t.is(executed[0], 'SET_LIGHT 0')
  t.deepEqual(executed.map((each) => each.split(' ')[0]), ['SET_LIGHT', 'TURN', 'MOVE'])
  const { devices: { rover } } = await flows.appliance.answering() as { devices: { rover: { xM: number; yM: number } } }
  t.true(Math.hypot(rover.xM, rover.yM) < 0.1, JSON.stringify(rover))
  const home = flows.said.length
  await flows.bench.befall({ do: 'battery', batteryFraction: 0.9 })
  t.is(await flows.hears(/battery/, home, 90_000), 'My battery is back at 90 percent.')
})

test.serial('FLOW-111 sensor over its limit three times: mode safe, in which nothing moves, told; cooled down that is told, and it stays safe', async (t) => {
  await flows.use('sensor-over-limit')
  const before = flows.said.length
  await flows.bench.befall({ do: 'temperature', temperatureC: 75 })
  t.regex(await flows.hears(/mode/, before), /^The rover is too hot: 7\d degrees\. I have set the mode to safe\.$/)
  t.like(await flows.appliance.answering(), { mode: 'safe' })
  const from = flows.facts.length
  await flows.say('computer. drive forward one metre')
  t.deepEqual(flows.executed(from), [])
  const hot = flows.said.length
  await flows.bench.befall({ do: 'temperature', temperatureC: 30 })
  t.regex(await flows.hears(/stays/, hot), /^The rover has cooled down to \d\d degrees\. The mode stays safe\.$/)
  t.like(await flows.appliance.answering(), { mode: 'safe' })
})

test.serial('FLOW-112 through all of that no node of a flow failed unheard, and Node-RED did not have to be started again', async (t) => {
  const told = readFacts<{ component?: string; severity?: string; name?: string; message?: string }>(flows.appliance.factLog).filter(({ component }) => component === 'flows')
  t.is(told.filter(({ name, severity }) => name === 'deployed' && severity === 'info').length, 7)
  const bad = told.filter(({ severity }) => severity === 'warning' || severity === 'error' || severity === 'critical')
  t.deepEqual(bad.map(({ name, message }) => `${name}: ${message}`), [])
  t.like(await flows.status(), { state: 'running', restarts: 0 })
})
