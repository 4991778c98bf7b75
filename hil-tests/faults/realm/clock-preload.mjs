// Loaded into a daemon before anything else (NODE_OPTIONS --import): its wall clock is ahead of the machine's by what a
// file says, in ms. The monotonic clock goes on as it was, as on a board whose clock is set.
import { readFileSync } from 'node:fs'

const file = process.env.MTOR_CAMPAIGN_CLOCK
if (file) {
  const Real = globalThis.Date
  const realNow = Real.now
  let offsetMs = 0
  const look = () => { try { offsetMs = Number(readFileSync(file, 'utf8')) || 0 } catch { offsetMs = 0 } }
  look()
  setInterval(look, 100).unref()
  globalThis.Date = class Date extends Real {
    constructor(...args) { if (args.length === 0) super(realNow() + offsetMs); else super(...args) }
    static now() { return realNow() + offsetMs }
    static [Symbol.hasInstance](value) { return value instanceof Real }
  }
}
