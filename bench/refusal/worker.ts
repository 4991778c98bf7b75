import { toMtorError } from '../../appliance/contracts/errors.ts'
import { Box, type Outcome } from './box.ts'
import { say, type Voice } from './voices.ts'

/** One sentence for a box: said by a voice, or typed where there is none. */
export interface Task {
  text: string
  voice?: Voice
  openers?: readonly string[]
  /** The wake word was said just before, by itself. */
  isAwake?: boolean
  /** A question of the box is answered with "yes", to see what it has understood. */
  yes?: boolean
}

export type FromWorker = { ready: { engine: string } } | { outcome: Outcome } | { error: string }

/** A process with a box of its own: Vosk keeps one core busy, and a board has more. */
const send = (message: FromWorker) => {
  process.send?.(message)
}

try {
  const box = await Box.open({ ears: process.argv[2] === 'ears', prepare: process.argv[3] === 'prepare' })
  process.on('message', (task: Task) => {
    const { text, voice, ...options } = task
    const done = voice ? say(text, voice).then((sound) => box.hear(sound, options)) : box.type(text, options)
    done.then(
      (outcome) => send({ outcome }),
      (error: unknown) => send({ error: toMtorError(error).message }),
    )
  })
  process.on('disconnect', () => {
    box.close()
    process.exit()
  })
  send({ ready: { engine: box.engine } })
} catch (error) {
  send({ error: toMtorError(error).message })
}
