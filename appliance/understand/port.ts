/** What one sentence means. */
export interface Understanding {
  text: string
  /** 'template': may act. 'proposal': only a question to the operator. null: nothing matched. */
  by: 'template' | 'proposal' | null
  type: string | null
  slots: Record<string, unknown>
  /** Required slots the sentence left out; the dialogue asks for them. */
  missing: string[]
  /** What a missing number is to be multiplied with once it is known: -1 after "drive back". */
  factors?: Record<string, number>
  /** 0 to 1. Templates: 1 for an exact match, less for tolerated recogniser errors. */
  confidence: number
  /** For proposals: the request in words, e.g. "turn left by 90 degrees". */
  question?: string
  ms: number
}

/** How far a transcript has come: decides how long a silence ends an utterance. */
export type Completeness = 'nothing' | 'prefix' | 'extendable' | 'complete'

/** Why what was heard may be something else than was said. */
export interface Doubt {
  /**
   * 'words': another reading of the sound has other words than the text explains. 'sound': speech that no word covers.
   * 'number': a number that may be another.
   */
  reason: 'words' | 'sound' | 'number'
  /** What the other, open-vocabulary reading heard. */
  heard?: string
}

/** What a sentence asks for, to tell two readings of one sound apart. */
export interface Meaning {
  type: string
  /** The same for sentences that ask for the same. */
  key: string
  /** It moves something, lets something move, must be confirmed, or has a number: other readings count. */
  isConsequential: boolean
}
