/** For process.test.ts: starts a member, says its process id, and waits to be killed. Argument: EtcdProcessOptions as JSON. */
import { systemClock } from '../../contracts/clock.ts'
import { EtcdProcess, type EtcdProcessOptions } from './process.ts'

const etcd = new EtcdProcess({ ...JSON.parse(process.argv[2]!) as EtcdProcessOptions, clock: systemClock })
await etcd.start()
await etcd.ready(10_000)
process.stdout.write(`${etcd.pid}\n`)
