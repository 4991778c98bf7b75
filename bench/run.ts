import { exit, main } from './harness.ts'

exit(await main(import.meta.dirname, 'bench'))
