import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { makeConfig } from '../config/load.ts'
import { systemClock, type Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { SpeechHost } from './host.ts'
import type { FromSpeech } from './messages.ts'
import type { KnownUtterance } from './proof.ts'

type Kind<K extends FromSpeech['kind']> = Extract<FromSpeech, { kind: K }>

/** For tests: a host with its real process, all its events and messages, and ways to wait for them. */
export async function speech(t: ExecutionContext, options: { clock?: Clock; speech?: Record<string, unknown>; wyoming?: Record<string, unknown>; known?: KnownUtterance } = {}) {
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-speech-'))
  const config = makeConfig({ node: 'test', stateDir, speech: { device: 'none', speak: { device: 'file:said' }, ...options.speech }, dialects: { wyoming: options.wyoming ?? {} } })
  const clock = options.clock ?? systemClock
  const hub = new Hub(clock, 'test')
  const events: SystemEvent[] = []
  const messages: FromSpeech[] = []
  const waits: { look(): boolean }[] = []
  const news = () => { for (const wait of [...waits]) if (wait.look()) waits.splice(waits.indexOf(wait), 1) }
  hub.onSystem((event) => { events.push(event); news() })
  const host = new SpeechHost({ config: config.speech, understand: config.understand, sequences: Object.keys(config.sequences), stateDir, runDir: config.runDir, clock, hub, known: options.known, wyoming: { ...config.dialects.wyoming, node: 'test', version: '0.0.0' }, onMessage: (message) => { messages.push(message); news() } })
  t.teardown(async () => { await host.stop(); await rm(stateDir, { recursive: true, force: true }) })
  const until = <T>(find: () => T | undefined) => new Promise<T>((resolve) => {
    waits.push({ look: () => { const found = find(); if (found !== undefined) resolve(found); return found !== undefined } })
    news()
  })
  return {
    host, stateDir, events, messages,
    event: (name: string, after = 0) => until(() => events.slice(after).find((event) => event.name === name)),
    message: <K extends FromSpeech['kind']>(kind: K, match: (message: Kind<K>) => boolean = () => true) => until(() => messages.find((message): message is Kind<K> => message.kind === kind && match(message as Kind<K>))),
  }
}

/** Waits for a fact that no event tells. */
export async function becomes(fact: () => boolean) {
  for (const untilMs = performance.now() + 60_000; !fact();) {
    if (performance.now() > untilMs) throw new MtorError('DEADLINE', `not within a minute: ${fact}`)
    await new Promise((resolve) => { setTimeout(resolve, 10) })
  }
}
