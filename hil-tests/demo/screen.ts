import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { keyOf, picture, type Scene } from './picture.ts'
import { BACK_MS, WITNESS, type RealmDemo } from './realm-demo.ts'
import { FRESH_MS } from './watch.ts'

const DRAW_MS = 100
const [ENTER, LEAVE] = ['\u001b[?1049h\u001b[?25l', '\u001b[?25h\u001b[?1049l']

export function sceneOf(demo: RealmDemo, startedMs: number): Scene {
  const { watch, harmed, loss } = demo
  const nowMs = clock.monoMs()
  const { device, leader } = watch
  return {
    runS: (nowMs - startedMs) / 1000, nowMs, loss, intents: watch.intents, facts: watch.facts, rover: watch.rover, owner: device?.owner, epoch: device?.epoch,
    nodes: demo.names.map((name) => {
      const harm = harmed.get(name)
      // Right after the start of a node nobody has heard it yet.
      const state = harm?.kind ?? (watch.online(name) ? 'online' : nowMs - startedMs < FRESH_MS * 5 ? 'starting' : 'silent')
      return {
        name, role: name === WITNESS ? 'witness' : 'full', state, ...(harm?.kind === 'killed' ? { backInS: (harm.backAtMs - nowMs) / 1000 } : {}),
        leads: harm?.kind !== 'killed' && leader === name, line: name === WITNESS ? undefined : device?.lines.includes(name) === true, commands: device?.owner === name,
      }
    }),
  }
}

/** Shows the demo and does what keys say, until `q`, Ctrl-C or the signal. */
export async function showDemo(demo: RealmDemo, signal: AbortSignal): Promise<void> {
  const { stdin, stdout } = process
  const colours = process.env['NO_COLOR'] === undefined
  const startedMs = clock.monoMs()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const onKey = (data: Buffer) => {
    const key = keyOf(data.toString())
    if (key === 'quit') end()
    else if (key === 'stop') void demo.emergencyStop()
    else if (key === 'kill') { if (demo.kill() === undefined) demo.watch.tell(`nobody to kill: a killed node is back after ${BACK_MS / 1000} s`) }
    else if (key === 'pause') demo.pause()
    else if (key === 'move') void demo.move()
    else if (key === 'drive') void demo.drive()
  }
  const draw = () => {
    const lines = picture(sceneOf(demo, startedMs), Math.max(20, (stdout.columns || 100) - 1), colours).slice(0, Math.max(1, (stdout.rows || 40) - 1))
    stdout.write(`\u001b[H${lines.map((text) => `${text}\u001b[K`).join('\r\n')}\u001b[J`)
  }
  signal.addEventListener('abort', () => { end() })
  stdin.setRawMode(true)
  stdin.resume()
  stdin.on('data', onKey)
  stdout.write(ENTER)
  const timer = setInterval(draw, DRAW_MS)
  try { if (!signal.aborted) await ended } finally {
    clearInterval(timer)
    stdin.off('data', onKey)
    stdin.setRawMode(false)
    stdin.pause()
    stdout.write(LEAVE)
  }
}
