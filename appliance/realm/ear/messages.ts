import Type, { type Static } from 'typebox'
import { NodeName } from '../../contracts/envelope.ts'
import { validator } from '../../contracts/validate.ts'

const Id = Type.String({ minLength: 1, maxLength: 128 })
/** Durations only: the clocks of two nodes have nothing in common. */
const Age = Type.Number({ minimum: 0, description: 'Milliseconds since, when it was sent' })

const common = {
  id: Type.String({ ...Id, description: 'Of this message' }),
  node: Type.String({ ...NodeName, description: 'Who says it, wherever it comes through' }),
  reach: Type.Array(NodeName, { maxItems: 256, description: 'Who was sent it: a node that knows others passes it on to them' }),
}

/** I have heard the wake word, this well. */
const Claim = Type.Object({ op: Type.Literal('claim'), ...common, claim: Id, merit: Type.Number(), wordAgeMs: Age, claimAgeMs: Age })
/** It is decided: I answer it. */
const Won = Type.Object({ op: Type.Literal('won'), ...common, claim: Id, merit: Type.Number(), wordAgeMs: Age })
/** To a claim: somebody answers already. */
const Taken = Type.Object({ op: Type.Literal('taken'), ...common, claim: Id, to: NodeName })

export const EarMessage = Type.Union([Claim, Won, Taken])
export type EarMessage = Static<typeof EarMessage>
export type Claim = Static<typeof Claim>
export type Won = Static<typeof Won>
export type Taken = Static<typeof Taken>
export const earMessage = validator(EarMessage)

export interface Contender { node: string; merit: number }

/** Each 0.02 of confidence is worth 1 dB: the engines' confidences are near 1, so that the level decides unless one is in doubt. */
const DB_OF_CONFIDENCE = 50

/** How well a wake word was heard, dB; only to be compared. */
export const meritOf = ({ confidence, levelDb }: { confidence: number; levelDb: number }): number => levelDb + DB_OF_CONFIDENCE * confidence

/** Whether `a` is to answer rather than `b`. A total order of nodes, and the same wherever it is asked. */
export const isBetter = (a: Contender, b: Contender): boolean => a.merit === b.merit ? a.node < b.node : a.merit > b.merit
