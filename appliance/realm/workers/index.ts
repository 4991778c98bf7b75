/** Inference of the whole realm, behind the port of one node's. */
export { RealmInference, type RealmInferenceOptions } from './realm-inference.ts'
