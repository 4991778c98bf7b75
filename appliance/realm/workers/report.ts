import { loadavg, totalmem } from 'node:os'
import type { Hub } from '../../contracts/hub.ts'
import { PROTOCOL_VERSION } from '../../contracts/protocol.ts'
import type { WorkerHealth, WorkerOffer } from '../../contracts/telemetry.ts'
import { identityOf } from './identity.ts'
import type { Local } from './local.ts'
import { nodeScore, type Strain } from './score.ts'

const FAULT_SHOWN_MS = 60_000

/** What the board has to bear besides, read where it is asked for. */
export interface Board { load1: number; availableBytes: number; memory: number }
export const boardOf = (cores: number): Board => {
  const availableBytes = process.availableMemory()
  return { load1: loadavg()[0]! / cores, availableBytes, memory: availableBytes / totalmem() }
}

/** What this node offers. A model that cannot be used at all is not offered. */
export function offerOf(hub: Hub, local: Local): WorkerOffer {
  return {
    v: PROTOCOL_VERSION, at: hub.now(), node: hub.node,
    models: local.models().filter(({ status }) => status.state !== 'untrusted').map(({ manifest, task, status }) => ({
      model: manifest.name, version: manifest.version, task, identity: identityOf(manifest), proven: status.state === 'ready', memoryMB: manifest.memoryMB,
      ...(status.provider === undefined ? {} : { provider: status.provider }),
    })),
  }
}

export function healthOf(hub: Hub, local: Local, board: Board, avoids: WorkerHealth['avoids']): WorkerHealth {
  const models = local.models()
  const { workers } = local.status()
  const inUse = models.filter(({ status }) => status.state !== 'cold')
  const strain: Strain = board
  const { score, why } = nodeScore(inUse.length > 0 ? inUse : models, strain)
  return {
    v: PROTOCOL_VERSION, at: hub.now(), node: hub.node, score, ...(why === undefined ? {} : { why }),
    load1: Math.round(board.load1 * 100) / 100, workers: workers.length, availableBytes: board.availableBytes,
    rssBytes: workers.reduce((sum, { rssBytes = 0 }) => sum + rssBytes, 0),
    models: models.map(({ manifest, score: own, queue, status: { p50Ms, p95Ms, lastFault }, faultAgeMs }) => ({
      model: manifest.name, score: own, queue, ...(p50Ms === undefined ? {} : { p50Ms }), ...(p95Ms === undefined ? {} : { p95Ms }),
      ...(lastFault && faultAgeMs !== undefined && faultAgeMs < FAULT_SHOWN_MS ? { fault: `${lastFault.code}: ${lastFault.message}`.slice(0, 200) } : {}),
    })),
    avoids,
  }
}

/** What another node says of one that it has lost. */
export const lostHealth = (hub: Hub, node: string, why: string): WorkerHealth => ({ v: PROTOCOL_VERSION, at: hub.now(), node, by: hub.node, score: 0, why: why.slice(0, 200), models: [], avoids: [] })

/** Whether two reports say the same but for small movements of figures; the same reports go out only every few seconds. */
export function isNews(before: { offer: WorkerOffer; health: WorkerHealth } | undefined, offer: WorkerOffer, health: WorkerHealth): boolean {
  if (!before) return true
  const coarse = (o: WorkerOffer, h: WorkerHealth) => JSON.stringify([o.models, h.score === 0, h.models.map(({ model, score, queue, fault }) => [model, score === 0, Math.min(queue, 4), fault]), h.avoids])
  return coarse(before.offer, before.health) !== coarse(offer, health)
    || [[before.health.score, health.score], ...health.models.map(({ model, score }) => [before.health.models.find((m) => m.model === model)?.score ?? 0, score] as const)].some(([a, b]) => Math.abs(a! - b!) >= 10)
}
