import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { deploy, flowsStatus, killNodeRed, newestDeployFile, timed, type FlowsFault, type FlowsVictim } from './port.ts'

const withBad = async (victim: FlowsVictim, everyS: number, code: string) => {
  const status = await deploy(victim, [...victim.good, ...timed(everyS, code)])
  return status === 0 ? undefined : { status }
}

/** Damages bytes in the middle of a file, as a bad block does. */
function damage(file: string, random: () => number): void {
  const bytes = readFileSync(file)
  for (let i = 0; i < 8; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
  writeFileSync(file, bytes)
}

/** Faults that flows bring on themselves, and that are done to them. */
export const FLOWS_FAULTS: readonly FlowsFault[] = [
  // The limit of a function ends it each time; between the rounds hardly anything else gets a turn.
  { kind: 'endless-loop', weight: 3, then: 'back', inject: (victim) => withBad(victim, 0.1, 'while (true) {}') },
  // Beyond the reach of that limit: what it starts by itself.
  { kind: 'endless-callback', weight: 2, then: 'back', inject: (victim) => withBad(victim, 3600, 'setTimeout(() => { while (true) {} }, 0)\nreturn null') },
  { kind: 'memory-hog', weight: 3, then: 'back', inject: (victim) => withBad(victim, 3600, "const kept = context.get('kept') ?? []\ncontext.set('kept', kept)\nconst more = () => { for (let i = 0; i < 200; i++) kept.push(new Array(1000).fill(Math.random())); setTimeout(more, 1) }\nmore()\nreturn null") },
  { kind: 'memory-hog-buffers', weight: 2, then: 'back', inject: (victim) => withBad(victim, 3600, 'const kept = []\nconst more = () => { kept.push(Buffer.alloc(4e6, kept.length)); setTimeout(more, 5) }\nmore()\nreturn null') },
  { kind: 'throwing-node', weight: 2, then: 'stay', inject: (victim) => withBad(victim, 0.2, "throw new Error('on purpose')") },
  { kind: 'throwing-callback', weight: 3, then: 'back', inject: (victim) => withBad(victim, 3600, "setTimeout(() => { throw new Error('on purpose') }, 50)\nreturn null") },
  { kind: 'unhandled-rejection', weight: 2, then: 'back', inject: (victim) => withBad(victim, 3600, "Promise.reject(new Error('on purpose'))\nreturn null") },
  {
    kind: 'kill', weight: 2, then: 'back',
    async inject(victim) { const pid = await killNodeRed(victim); return pid === undefined ? undefined : { pid } },
  },
  {
    kind: 'kill-during-deploy', weight: 4, then: 'back',
    async inject(victim) {
      const pid = (await flowsStatus(victim))?.pid
      if (pid === undefined) return undefined
      const afterMs = Math.floor(victim.random() * 60)
      const deploying = deploy(victim, [...victim.good, { id: 'extra0tab', type: 'tab', label: `Deploy ${Math.floor(victim.random() * 1e6)}`, disabled: false }])
      await pause(afterMs)
      try { process.kill(pid, 'SIGKILL') } catch { return undefined }
      return { pid, afterMs, status: await deploying }
    },
  },
  {
    kind: 'core-killed-during-deploy', weight: 2, then: 'back', core: true,
    async inject(victim) {
      const afterMs = Math.floor(victim.random() * 60)
      const deploying = deploy(victim, [...victim.good, { id: 'extra0tab', type: 'tab', label: `Deploy ${Math.floor(victim.random() * 1e6)}`, disabled: false }])
      await pause(afterMs)
      victim.appliance.killCore()
      return { afterMs, status: await deploying }
    },
  },
  {
    kind: 'flow-file-damaged', weight: 2, then: 'back', core: true,
    async inject(victim) {
      const file = newestDeployFile(victim)
      if (file === undefined) return undefined
      const cut = victim.random() < 0.5
      if (cut) truncateSync(file, Math.floor(statSync(file).size / 2))
      else damage(file, victim.random)
      victim.appliance.killCore()
      return { cut }
    },
  },
  {
    kind: 'credential-key-damaged', weight: 2, then: 'back', core: true,
    async inject(victim) {
      damage(join(victim.appliance.stateDir, 'flows', 'credential.key'), victim.random)
      victim.appliance.killCore()
      return {}
    },
  },
]
