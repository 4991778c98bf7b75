import test from 'ava'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Pty } from './pty.ts'

test('a line that nobody reads loses bytes, as a UART does, and holds up nobody', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'rover-pty-'))
  const pty = new Pty(join(dir, 'tty'), () => {})
  t.teardown(() => { pty.unplug(); rmSync(dir, { recursive: true }) })
  pty.plug()
  for (let i = 0; i < 200; i++) pty.write(Buffer.alloc(1_000, 1))
  t.true(pty.overrunBytes > 0)
})
