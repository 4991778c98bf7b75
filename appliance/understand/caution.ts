import { intentDefinition } from '../contracts/intents.ts'

/** True for what moves something, or lets something move: such types are the more careful with doubtful sentences. */
export const isConsequential = (type: string): boolean => intentDefinition(type)?.policy.actuates === true || type === 'arm.set' || type === 'mode.set'

const QUESTION = /\?[\s"'”’)]*$/
/** "Could you …?" asks for a deed; "drive forward two metres?" wonders about one. */
const REQUEST = /\b(?:can|could|would|will) you\b|\bplease\b/i

/** True where a consequential sentence was put as a question: it is asked back about, not done. A stop is always done. */
export const isWondering = (text: string, type: string, consequential = isConsequential(type)): boolean => type !== 'stop' && consequential && QUESTION.test(text) && !REQUEST.test(text)
