import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { Circuit, FAULTS_TO_OPEN } from './circuit.ts'
import { parseComputeApps } from './gpu-memory.ts'
import { Pace } from './pace.ts'
import { judgeLoad, judgeProof } from './proof.ts'
import { Queue } from './queue.ts'
import { talker } from './testing.ts'
import { tally } from './vote.ts'
import { isHarmful, parseXid } from './xid.ts'

const times = (n: number, act: () => void) => { for (let i = 0; i < n; i++) act() }

test('a limit is tightened only when enough is known, never below what scheduling needs and never above the manifest', (t) => {
  const pace = new Pace()
  times(19, () => pace.add(100))
  t.is(pace.limitMs(4_000), 4_000)
  t.is(pace.suspicionMs(), undefined)
  pace.add(100)
  t.is(pace.limitMs(4_000), 600)
  t.is(pace.limitMs(500), 500)
  t.is(pace.suspicionMs(), 150)
  const quick = new Pace()
  times(20, () => quick.add(2))
  t.is(quick.limitMs(4_000), 250)
  t.is(quick.suspicionMs(), 60)
})

test('a long input is judged by runs of inputs as long, or by the manifest alone', (t) => {
  const pace = new Pace()
  times(50, () => pace.add(100, 1_000))
  t.is(pace.limitMs(30_000, 1_300), 600)
  t.is(pace.limitMs(30_000, 30_000), 30_000)
  times(20, () => pace.add(3_000, 30_000))
  t.is(pace.limitMs(30_000, 30_000), 15_100)
})

test('quantiles are of the latest runs, and what was learned can be forgotten', (t) => {
  const pace = new Pace()
  t.is(pace.quantile(0.5), undefined)
  for (let ms = 1; ms <= 100; ms++) pace.add(ms)
  t.is(pace.quantile(0.5), 50)
  t.is(pace.quantile(0.95), 95)
  times(200, () => pace.add(7))
  t.is(pace.quantile(0.95), 7)
  t.is(pace.runs, 300)
  pace.forget()
  t.is(pace.limitMs(4_000), 4_000)
})

test('a circuit opens after faults in a row within its window, and its pause doubles with every proof that fails', async (t) => {
  const clock = new ManualClock()
  const circuit = new Circuit(clock)
  times(FAULTS_TO_OPEN - 1, () => t.false(circuit.fault()))
  circuit.right()
  times(FAULTS_TO_OPEN - 1, () => t.false(circuit.fault()))
  await clock.advance(61_000)
  times(FAULTS_TO_OPEN - 1, () => t.false(circuit.fault()))
  t.false(circuit.proven())
  t.true(circuit.fault())
  t.is(circuit.retryAfterMs, 1_000)
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    t.is(circuit.retryAfterMs, pauseMs)
    t.false(circuit.isProbeDue)
    await clock.advance(pauseMs)
    t.true(circuit.isProbeDue)
    circuit.probe()
    t.is(circuit.state, 'half-open')
    t.false(circuit.isProbeDue)
    circuit.fault()
  }
  circuit.probe()
  t.true(circuit.proven())
  t.is(circuit.state, 'closed')
  t.is(circuit.retryAfterMs, 0)
})

test('a queue keeps order within a priority, and what is put back keeps its place', (t) => {
  const queue = new Queue<{ name: string; priority: number; order: number }>(4)
  const [a, b, c, d] = [['a', 5, 1], ['b', 0, 2], ['c', 5, 3], ['d', 9, 4]].map(([name, priority, order]) => ({ name, priority, order }) as { name: string; priority: number; order: number })
  for (const item of [d!, c!, a!]) queue.add(item)
  t.false(queue.isFull)
  queue.add(b!)
  t.true(queue.isFull)
  t.deepEqual(queue.list().map(({ name }) => name), ['b', 'a', 'c', 'd'])
  t.true(queue.remove(a!))
  t.false(queue.remove(a!))
  queue.add(a!)
  t.deepEqual(queue.list().map(({ name }) => name), ['b', 'a', 'c', 'd'])
  queue.removeWhere(({ priority }) => priority === 5)
  t.is(queue.size, 2)
})

test('a load is right only when every known answer came out right; its digests are what later proofs are held against', (t) => {
  const { manifest } = talker('/tmp', { knownAnswers: [{ input: { image: 'a' }, output: { text: 'one' } }, { input: { image: 'b' }, output: { text: 'two' } }] })
  const one = { index: 0, output: { text: 'one' }, digest: 'd1' }; const two = { index: 1, output: { text: 'two' } }
  t.deepEqual(judgeLoad(manifest, [one]), { wrong: 'known answer 1 was not run' })
  t.deepEqual(judgeLoad(manifest, [one, { ...two, output: { text: 'three' } }]), { wrong: 'known answer 1: "two" was expected, got "three"' })
  const reference = { digests: ['d1', undefined] }
  t.deepEqual(judgeLoad(manifest, [one, two]), { reference })
  t.is(judgeProof(manifest, reference, one), undefined)
  t.is(judgeProof(manifest, reference, two), undefined)
  t.regex(judgeProof(manifest, reference, { ...one, digest: 'd2' })!, /not those of the load/)
  t.regex(judgeProof(manifest, reference, { index: 0, output: { text: 'one' } })!, /not those of the load/)
  t.regex(judgeProof(manifest, reference, { ...two, output: { text: 'ten' } })!, /"two" was expected/)
  t.is(judgeProof(manifest, reference, undefined), 'no proof came with the answer')
  t.is(judgeProof(manifest, reference, { index: 7, output: {} }), 'there is no known answer 7')
})

test('the majority is of all that were asked, not of those that voted', (t) => {
  const vote = (worker: string, text: string) => ({ worker, output: { text } })
  t.deepEqual(tally('read', [vote('a', 'stop'), vote('b', 'stop'), vote('c', 'step ahead')], 3), { winner: vote('a', 'stop'), agreed: 2, dissenters: ['c'] })
  t.deepEqual(tally('read', [vote('a', 'stop')], 2), { agreed: 1, dissenters: [] })
  t.deepEqual(tally('read', [vote('a', 'stop'), vote('b', 'go on')], 2), { agreed: 1, dissenters: [] })
  t.deepEqual(tally('read', [vote('a', 'stop'), vote('b', 'stop')], 3), { winner: vote('a', 'stop'), agreed: 2, dissenters: [] })
  t.deepEqual(tally('read', [], 3), { agreed: 0, dissenters: [] })
})

test('lines of NVIDIA\'s driver in the kernel log are read in all their forms', (t) => {
  // From /dev/kmsg of an H200 with driver 580.
  t.like(parseXid('2,1030,332956408,-;NVRM: Xid (PCI:0000:00:06): 31, pid=2537, name=MainThread, channel 0x0000000d, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC1 GPCCLIENT_T1_8 faulted @ 0x83b5_a284d000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ'), { code: 31, pci: '0000:00:06', pid: 2537, monoMs: 332956.408 })
  t.deepEqual(parseXid('4,1871,93286218763,-;NVRM: Xid (PCI:0000:03:00): 79, pid=1234, name=node, GPU has fallen off the bus.'), { code: 79, pci: '0000:03:00', pid: 1234, text: 'pid=1234, name=node, GPU has fallen off the bus.', monoMs: 93286218.763 })
  t.like(parseXid('[93286.218763] NVRM: Xid (PCI:0000:0a:00): 31, pid=\'2202\', name=python, Ch 00000010, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f1c_0a000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ'), { code: 31, pci: '0000:0a:00', pid: 2202 })
  t.like(parseXid('Aug 21 11:18:44 node1 kernel: NVRM: Xid (0000:03:00): 14, Channel 00000001'), { code: 14, pci: '0000:03:00', text: 'Channel 00000001' })
  t.like(parseXid('NVRM: Xid (PCI:0000:01:00): 119, Timeout after 6s of waiting for RPC response from GPU0 GSP!'), { code: 119 })
  t.like(parseXid('NVRM: Xid (PCI:0000:b3:00): 45'), { code: 45, text: '' })
  t.is(parseXid('NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15'), undefined)
  t.is(parseXid('usb 1-1: new high-speed USB device'), undefined)
})

test('clean-up after a killed process and memory that was retired in good time are no loss of the GPU', (t) => {
  const xid = (code: number) => ({ code, pci: '0000:03:00', text: '' })
  t.deepEqual([13, 31, 45, 48, 63, 74, 79, 92, 94, 95, 119].filter((code) => isHarmful(xid(code))), [13, 31, 48, 74, 79, 94, 95, 119])
})

test('GPU memory by process is read from what nvidia-smi prints', (t) => {
  const MiB = 1024 * 1024
  t.deepEqual([...parseComputeApps('1234, 345\n1234, 5\n77, [N/A]\n99, 1 MiB\nNo running processes found\n')], [[1234, 350 * MiB], [99, MiB]])
})
