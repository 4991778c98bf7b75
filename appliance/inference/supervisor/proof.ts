import { difference } from '../equality.ts'
import type { Manifest } from '../manifest.ts'
import type { Proof } from '../messages.ts'
import type { TaskName } from '../port.ts'

/** What a loaded model answered when all its known answers came out right; later proofs are held against it. */
export interface Reference { digests: (string | undefined)[] }

/** Right after loading every known answer must come out as the manifest says. Gives what is wrong, or the reference. */
export function judgeLoad(manifest: Manifest, proofs: readonly Proof[]): { wrong: string } | { reference: Reference } {
  const digests: (string | undefined)[] = []
  for (const [index, known] of manifest.knownAnswers.entries()) {
    const proof = proofs.find((p) => p.index === index)
    if (!proof) return { wrong: `known answer ${index} was not run` }
    const wrong = difference(manifest.task as TaskName, known.output, proof.output, known.input)
    if (wrong !== undefined) return { wrong: `known answer ${index}: ${wrong}` }
    digests[index] = proof.digest
  }
  return { reference: { digests } }
}

/**
 * A later proof: where the provider is deterministic every bit of the raw outputs must be as it was at the load, which
 * finds a flipped weight long before it moves a box; else the output must be near that of the manifest.
 * Gives what is wrong; undefined where it is right.
 */
export function judgeProof(manifest: Manifest, reference: Reference, proof: Proof | undefined): string | undefined {
  if (!proof) return 'no proof came with the answer'
  const known = manifest.knownAnswers[proof.index]
  if (!known) return `there is no known answer ${proof.index}`
  const digest = reference.digests[proof.index]
  // The same bits again: then what is made of them is what the load was judged by.
  if (digest !== undefined && proof.digest === digest) return undefined
  const wrong = proof.output === undefined ? undefined : difference(manifest.task as TaskName, known.output, proof.output, known.input)
  if (wrong === undefined && digest === undefined) return proof.output === undefined ? `known answer ${proof.index}: nothing came to judge it by` : undefined
  return `known answer ${proof.index}: ${wrong ?? 'its raw outputs are not those of the load'}`
}
