import { MtorError } from '../contracts/errors.ts'
import type { Skill } from './port.ts'
import { list } from './words.ts'

/** One kind of request and how it may be said. */
export interface HelpEntry { type: string; title: string; examples: readonly string[] }

/** What a person who asks without a topic hears first. */
const FIRST = ['drive.move', 'drive.turn', 'light.set', 'power.status', 'timer.set', 'log.record']
const MAX_SPOKEN = 6

/** Says examples of what can be said; a topic narrows them. */
export function makeHelpSkill({ examples }: { examples(): readonly HelpEntry[] }): Skill {
  return {
    name: 'help',
    types: ['help'],
    async run(context) {
      const entries = examples().filter((entry) => entry.examples.length > 0)
      const { topic } = context.slots as { topic?: string }
      const found = topic === undefined ? FIRST.flatMap((type) => entries.filter((e) => e.type === type)) : about(entries, topic)
      const chosen = found.length > 0 ? found : entries
      if (chosen.length === 0 || (topic !== undefined && found.length === 0)) {
        const topics = [...new Set(entries.map((entry) => entry.type.split('.')[0]!))]
        throw new MtorError('NOT_FOUND', `no help on ${JSON.stringify(topic)}; topics: ${topics.join(', ')}`, { say: `I have no help on that. Topics are ${list(topics)}.`, data: { topics } })
      }
      // One example each while there are many kinds, all examples where the topic left only one kind.
      const sayings = (chosen.length === 1 ? chosen[0]!.examples : chosen.map((entry) => entry.examples[0]!)).slice(0, MAX_SPOKEN)
      return { say: `You can say: ${list(sayings, 'or')}.`, data: { examples: chosen } }
    },
  }
}

/** Entries whose type, title or examples have the topic; "lights" and "driving" find light and drive. */
function about(entries: readonly HelpEntry[], topic: string): HelpEntry[] {
  const word = topic.trim().toLowerCase()
  const has = (entry: HelpEntry, stem: string) => [entry.type, entry.title, ...entry.examples].some((text) => text.toLowerCase().includes(stem))
  for (const stem of [word, word.replace(/(ing|s)$/, '')]) {
    const found = stem.length === 0 ? [] : entries.filter((entry) => has(entry, stem))
    if (found.length > 0) return found
  }
  return []
}
