import test from 'ava'
import { journalContract } from '../contract.ts'
import { TestEtcd } from './harness.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make() })
test.after.always(async () => { await etcd.dispose() })

journalContract(test, 'etcd', () => etcd.journal())
