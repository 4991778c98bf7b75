import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a campaign leaves behind when it is killed before it can clean up. */
export interface Leftovers {
  /** Its folder: who has a path below it on the command line is one of its processes. */
  dir: string
  /** Whether nobody has asked to keep the folder. */
  isTemporary: boolean
  namespaces: readonly string[]
  links: readonly string[]
}
interface Note extends Leftovers { pid: number; started: string }

const PREFIX = 'mtor-campaign-'
const ENDED_MS = 5_000

/** Notes what there will be, before it is there. Returns what is to be called when it is gone. */
export function noteLeftovers(leftovers: Leftovers): () => void {
  const { pid } = process
  const file = join(tmpdir(), `${PREFIX}${pid}.json`)
  writeFileSync(file, JSON.stringify({ ...leftovers, pid, started: startOf(pid)! } satisfies Note))
  return () => { rmSync(file, { force: true }) }
}

/** Removes what campaigns have left whose process is dead; a line for each. */
export async function clearLeftovers(): Promise<string[]> {
  const cleared: string[] = []
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(PREFIX) && each.endsWith('.json'))) {
    const file = join(tmpdir(), name)
    let note: Note
    try { note = JSON.parse(readFileSync(file, 'utf8')) as Note } catch { continue }
    if (startOf(note.pid) === note.started) continue
    const processes = await endProcesses(note)
    for (const mount of mountsBelow(note.dir)) quietly('umount', '-l', mount)
    for (const namespace of note.namespaces) quietly('ip', 'netns', 'del', namespace)
    for (const link of note.links) quietly('ip', 'link', 'del', link)
    if (note.isTemporary) rmSync(note.dir, { recursive: true, force: true })
    rmSync(file, { force: true })
    cleared.push(`cleared what a campaign has left that was killed (process ${note.pid}): ${processes} processes, ${note.namespaces.length} network namespaces`)
  }
  return cleared
}

async function endProcesses(note: Note): Promise<number> {
  const left = new Set(processesOf(note))
  const { size } = left
  const untilMs = performance.now() + ENDED_MS
  while (left.size > 0 && performance.now() < untilMs) {
    for (const pid of left) try { process.kill(pid, 'SIGKILL') } catch { left.delete(pid) }
    if (left.size > 0) await new Promise((done) => setTimeout(done, 20))
    // What they have started meanwhile, and not those that wait for their parent.
    const now = new Set(processesOf(note))
    for (const pid of left) if (!now.has(pid)) left.delete(pid)
    for (const pid of now) left.add(pid)
  }
  return size
}

function processesOf({ dir, namespaces }: Note): number[] {
  const inside = namespaces.flatMap((namespace) => quietly('ip', 'netns', 'pids', namespace).split('\n').filter(Boolean).map(Number))
  const below = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number).filter((pid) => {
    try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').some((word) => word.includes(`${dir}/`)) } catch { return false }
  })
  return [...new Set([...inside, ...below])].filter((pid) => pid !== process.pid)
}

const mountsBelow = (dir: string): string[] => readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`${dir}/`))

/** When a process was started, in ticks since the boot; undefined where there is none. With the pid it names a process, as a pid alone does not. @see proc(5), /proc/PID/stat, (22) */
function startOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ')
    // Dead, and only its parent does not know yet.
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch { return undefined }
}

function quietly(program: string, ...args: string[]): string {
  try { return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }) } catch { return '' }
}
