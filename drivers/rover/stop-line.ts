import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { encodeFrame, STOP_REASON } from './protocol.ts'

/** Sent this often and spaced by this much, so that one burst of noise does not swallow all of them. */
export const STOP_REPEATS = 3
export const STOP_SPACING_MS = 20

/** The bytes of one STOP on the wire. It needs no epoch: a controller always obeys it. */
export const stopFrame = (reason: keyof typeof STOP_REASON): Buffer => encodeFrame({ type: 'STOP', epoch: 0, sequence: 0, reason: STOP_REASON[reason] })

/**
 * Stop of last resort, for when the daemon is dead or hung: opens the line itself and writes the stop frame three times.
 * The first write happens before this function returns. It takes no lock, and the driver takes none either, so it works while
 * a daemon holds the port open (frames of both begin with a delimiter, so one that lands inside another costs at most both,
 * and the repeats follow). A foreign program that set TIOCEXCL on the line makes the open fail with EBUSY, except for root.
 * Line settings are left as the driver made them; they outlive it. The frame holds no newline, so a cooked line passes it too.
 * Rejects with PORT_INVALID where the path is no terminal or cannot be written.
 */
export async function writeStopFrame(portPath: string): Promise<void> {
  const frame = stopFrame('lastResort')
  let fd: number | undefined
  try {
    fd = openSync(portPath, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK)
    if (!fstatSync(fd).isCharacterDevice()) throw new MtorError('PORT_INVALID', `${portPath}: expected a serial port, got another kind of file`)
    let written = 0
    let failure: unknown
    for (let attempt = 0; attempt < STOP_REPEATS; attempt++) {
      if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, STOP_SPACING_MS))
      try { if (writeSync(fd, frame) === frame.length) written++ } catch (error) { failure = error }
    }
    if (written === 0) throw failure
  } catch (error) {
    if (error instanceof MtorError) throw error
    throw new MtorError('PORT_INVALID', `stop frame to ${portPath}: ${error instanceof Error ? error.message : 'the line takes no bytes'}`, { cause: error })
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
