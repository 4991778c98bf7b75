import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import type { RealmDemo } from './realm-demo.ts'
import { WITNESS } from './realm-demo.ts'
import type { IntentView } from './watch.ts'

const PATIENCE_MS = 45_000
const STOP_GOAL_MS = 200

/** The fixed sequence of `--script`; resolves with what did not go as it should. */
export async function runScript(demo: RealmDemo, print: (line: string) => void, signal: AbortSignal): Promise<string[]> {
  const startedMs = clock.monoMs()
  const wrong: string[] = []
  const say = (text: string) => { print(`${((clock.monoMs() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}`) }
  const check = (holds: boolean, text: string) => { say(`${holds ? '✓' : '✗'} ${text}`); if (!holds) wrong.push(text) }
  const until = async (what: string, holds: () => boolean): Promise<boolean> => {
    for (const untilMs = clock.monoMs() + PATIENCE_MS; clock.monoMs() < untilMs; await new Promise((done) => setTimeout(done, 20))) {
      signal.throwIfAborted()
      if (holds()) return true
    }
    check(false, `${what}: not within ${PATIENCE_MS / 1000} s`)
    return false
  }
  const whole = () => until('all three nodes are online and both lines work', () => demo.harmed.size === 0 && demo.names.every((name) => demo.watch.online(name)) && demo.watch.device?.lines.length === 2 && demo.watch.leader !== undefined)
  const carriedOut = async (distanceM: number): Promise<IntentView | undefined> => {
    const id = await demo.drive(distanceM)
    if (id === undefined) return undefined
    await until('the end of the intent is known', () => demo.watch.intent(id)?.endMs !== undefined)
    return demo.watch.intent(id)
  }
  const text = (one: IntentView | undefined) => one ? `${one.type} ${String(one.slots['distanceM'])} m, taken in at ${one.from}: ${one.state} by ${one.by ?? 'nobody'}, epoch ${one.epoch ?? '?'}` : 'the intent was not accepted'

  if (!await whole()) return wrong
  const first = demo.owner!
  say(`three nodes are one realm: ${demo.names.join(', ')}; ${demo.watch.leader} leads; ${first} commands the rover, epoch ${demo.watch.device?.epoch}`)

  const driven = await carriedOut(0.3)
  check(driven?.state === 'succeeded' && driven.by === first, text(driven))

  const moved = await demo.move()
  check(moved !== undefined && moved.from === first && moved.to !== first, moved ? `planned hand-over from ${moved.from} to ${moved.to}, epoch ${moved.epoch}, in ${moved.handoverMs} ms` : 'planned hand-over')
  await until('the hand-over is seen', () => demo.owner === moved?.to)

  for (const how of ['killed', 'stopped'] as const) {
    await whole()
    const owner = demo.owner!
    const sinceMs = clock.monoMs()
    if (how === 'killed') demo.kill()
    else demo.pause()
    const after = await carriedOut(how === 'killed' ? -0.3 : 0.3)
    check(after?.state === 'succeeded' && after.by !== owner && after.by !== WITNESS, `${owner} was ${how}; ${text(after)}, ${((after?.endMs ?? sinceMs) - sinceMs).toFixed(0)} ms after the loss`)
    check(demo.loss?.by !== undefined, `${demo.loss?.by ?? 'no node'} had the rover ${demo.loss?.tookMs?.toFixed(0) ?? '?'} ms after the loss`)
    if (how === 'stopped') demo.pause()
    await whole()
    check(demo.owner === after?.by, `${owner} is back, and ${demo.owner ?? 'nobody'} goes on commanding the rover`)
    const executed = demo.controllerLog(sinceMs).filter(({ fact, command }) => fact === 'execute' && command === 'MOVE')
    check(executed.length === 1 && executed[0]!['epoch'] === after?.epoch, `the controller has executed ${executed.length} motion since, of epoch ${String(executed[0]?.['epoch'])}`)
  }

  const long = demo.drive(2)
  await until('the rover moves', () => demo.watch.rover?.moving === true)
  const stop = await demo.emergencyStop()
  const id = await long
  const heard = demo.controllerLog(stop?.askedMs ?? clock.monoMs()).find(({ fact, command }) => fact === 'received' && command === 'STOP')
  const tookMs = heard ? heard.at - stop!.askedMs : Infinity
  check(tookMs <= STOP_GOAL_MS, `emergency stop asked at ${stop?.at ?? 'no node'}: the controller had it ${tookMs.toFixed(0)} ms later`)
  await until('the motion has ended', () => id === undefined || demo.watch.intent(id)?.endMs !== undefined)
  const stopped = id === undefined ? undefined : demo.watch.intent(id)
  check(stopped?.state === 'aborted', `the motion it stopped: ${text(stopped)}`)
  return wrong
}
