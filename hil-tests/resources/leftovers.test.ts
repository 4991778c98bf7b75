import test from 'ava'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clearLeftovers } from './leftovers.ts'
import { NamespaceNet } from './realm-net.ts'

const here = (file: string) => JSON.stringify(new URL(file, import.meta.url).href)
/** A campaign that has come up: a net where there may be one, and a program of each node with a path below its folder. */
const CAMPAIGN = `
  import { spawn } from 'node:child_process'
  const { noteLeftovers } = await import(${here('leftovers.ts')})
  const { makeNet, namesOf } = await import(${here('realm-net.ts')})
  const [dir] = process.argv.slice(1)
  const names = namesOf(['a', 'b'])
  noteLeftovers({ dir, isTemporary: true, ...names })
  const net = await makeNet(['a', 'b'])
  const programs = ['a', 'b'].map((node) => {
    const [command, ...args] = [...net.enter(node), process.execPath, '-e', 'setInterval(() => {}, 1e6)', dir + '/' + node + '/mtor.yaml']
    return spawn(command, args, { stdio: 'ignore' }).pid
  })
  console.log(JSON.stringify({ programs, names }))
  setInterval(() => {}, 1e6)
`
const lives = (pid: number) => { try { process.kill(pid, 0); return true } catch { return false } }
const until = async (what: () => boolean) => { for (let i = 0; !what() && i < 1_000; i++) await sleep(10) }

test.serial('what a campaign that was killed has left is cleared by the next one, and what one has that runs is left alone', async (t) => {
  const hasNet = NamespaceNet.works()
  const dir = mkdtempSync(join(tmpdir(), 'mtor-leftovers-'))
  const campaign = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', CAMPAIGN, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(async () => { campaign.kill('SIGKILL'); await clearLeftovers(); rmSync(dir, { recursive: true, force: true }) })
  const [line] = await once(campaign.stdout.setEncoding('utf8'), 'data') as [string]
  const { programs, names } = JSON.parse(line) as { programs: number[]; names: { namespaces: string[]; links: string[] } }
  mkdirSync(join(dir, 'a'))
  const spaces = () => hasNet ? execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n').map((each) => each.split(' ')[0]!).filter((each) => names.namespaces.includes(each)) : []
  const links = () => hasNet ? names.links.filter((link) => existsSync(`/sys/class/net/${link}`)) : []
  await clearLeftovers()
  t.true(programs.every(lives))
  t.is(spaces().length, hasNet ? 2 : 0)
  campaign.kill('SIGKILL')
  await once(campaign, 'exit')
  t.true(programs.every(lives), 'they outlive it')
  const cleared = await clearLeftovers()
  t.true(cleared.some((text) => text.includes(`(process ${campaign.pid}): 2 processes`)), cleared.join('\n'))
  await until(() => !programs.some(lives))
  t.false(programs.some(lives))
  t.deepEqual([spaces(), links()], [[], []])
  t.false(existsSync(dir))
  t.deepEqual(await clearLeftovers(), [])
})
