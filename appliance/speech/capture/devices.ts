import { output } from '../../inference/child.ts'

/** A sound card with a PCM of the wanted direction. */
export interface Card { card: number; device: number; name: string }

/**
 * What `arecord -l` or `aplay -l` lists, in its order. Empty where there is no card, or no such program.
 * @see alsa-utils, aplay.c, device_list()
 */
export async function listCards(program: 'arecord' | 'aplay'): Promise<Card[]> { return parseCards(await output(program, ['-l']) ?? '') }

export function parseCards(listing: string): Card[] {
  return [...listing.matchAll(/^card (\d+): [^[]*\[([^\]]*)\], device (\d+):/gm)].map(([, card, name, device]) => ({ card: Number(card), device: Number(device), name: name! }))
}

/** The ALSA name of a card. `plughw` converts sample formats and channel counts; capture turns its rate conversion off. */
export const deviceOf = (card: Card) => `plughw:${card.card},${card.device}`
