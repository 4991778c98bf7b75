import { between, pick, signal, type Injected, type RealmFault, type RealmVictims } from './port.ts'

type Process = 'core' | 'etcd' | 'speech'
const MIN_STILL_MS = 300, MAX_STILL_MS = 4_000

/** A node and its process of that kind; of speech only where a node has it. */
async function victimOf(process: Process, { realm, random }: RealmVictims): Promise<{ node: string; pid: number } | undefined> {
  const node = process === 'speech' ? realm.full[0]! : pick(realm.names, random)
  const pid = process === 'core' ? realm.node(node).pid : process === 'etcd' ? realm.etcdPid(node) : await speechPid(realm, node)
  return pid === undefined ? undefined : { node, pid }
}

async function speechPid(realm: RealmVictims['realm'], node: string): Promise<number | undefined> {
  const status = await realm.node(node).control.call('GET', '/status').catch(() => undefined) as { speech?: { pid?: number } } | undefined
  return status?.speech?.pid
}

const kill = (process: Process, weight: number): RealmFault => ({
  kind: `kill-${process}`, weight,
  async inject(victims): Promise<Injected | undefined> {
    const victim = await victimOf(process, victims)
    if (!victim) return undefined
    if (process === 'core') victims.realm.node(victim.node).killCore()
    else if (!signal(victim.pid, 'SIGKILL')) return undefined
    return { nodes: process === 'speech' ? [] : [victim.node], lastsMs: 0, what: victim }
  },
})

/** SIGSTOP, and SIGCONT after a while: the process lives, its sockets are open, and nothing comes of it. */
const freeze = (process: Process, weight: number): RealmFault => ({
  kind: `freeze-${process}`, weight,
  async inject(victims): Promise<Injected | undefined> {
    const victim = await victimOf(process, victims)
    if (!victim || !signal(victim.pid, 'SIGSTOP')) return undefined
    return { nodes: process === 'speech' ? [] : [victim.node], lastsMs: between(MIN_STILL_MS, MAX_STILL_MS, victims.random), what: victim, mend: async () => { signal(victim.pid, 'SIGCONT') } }
  },
})

/** Power fails for all boards at once; they are started again by themselves. */
const killAll: RealmFault = {
  kind: 'kill-all', weight: 1,
  async inject({ realm }) {
    for (const name of realm.names) realm.node(name).killCore()
    return { nodes: realm.names, lastsMs: 0 }
  },
}

/** The cable from one node to the controller is pulled for a while. */
const pullLine: RealmFault = {
  kind: 'pull-line', weight: 2,
  async inject({ realm, random }) {
    const node = pick(realm.full, random), lastsMs = between(300, 4_000, random)
    await realm.controller.control({ do: 'unplug', cable: realm.full.indexOf(node), replugAfterMs: lastsMs })
    return { nodes: [], lastsMs, what: { node } }
  },
}

export const PROCESS_FAULTS: readonly RealmFault[] = [kill('core', 4), kill('etcd', 3), kill('speech', 1), freeze('core', 3), freeze('etcd', 3), freeze('speech', 1), killAll, pullLine]
