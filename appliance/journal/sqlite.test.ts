import test from 'ava'
import { journalContract } from './contract.ts'
import { SqliteHarness } from './harness.ts'

journalContract(test, 'sqlite', () => SqliteHarness.make())
