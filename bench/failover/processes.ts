import { readdirSync, readFileSync } from 'node:fs'

/** Children of all threads of a process. @see proc(5), /proc/pid/task/tid/children */
function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number))
}

/** The etcd that a daemon has started; undefined where it has none. */
export const etcdOf = (pid: number): number | undefined => childrenOf(pid).find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0').some((word) => word.startsWith('--initial-cluster=')))

/** Resident memory, MB. @see proc(5), VmRSS */
export const rssMB = (pid: number): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024 / 1e6

/** What a process and its etcd have sent to the disk, bytes. On a file system in memory that is 0. @see proc(5), write_bytes */
export function writtenBytes(pid: number): number {
  const etcd = etcdOf(pid)
  return [pid, ...etcd === undefined ? [] : [etcd]].reduce((sum, one) => sum + Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${one}/io`, 'utf8'))?.[1]), 0)
}
