import type { InnerFault } from '../messages.ts'
import type { Models } from './models.ts'

/** As CUDA says it, at the next run and all after it: a process never gets a lost device back. */
export const LOST_PROVIDER = 'Non-zero status code returned while running MemcpyToHost node. Name:\'Memcpy\' Status Message: CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=injected ; expr=cudaStreamSynchronize(static_cast<cudaStream_t>(stream));'

/** What the campaign does to a worker from inside; only with MTOR_INFERENCE_FAULTS=1 in its environment. */
export class InnerFaults {
  readonly #models: Models
  readonly #kept: Buffer[] = []
  providerLost = false

  constructor(models: Models) { this.#models = models }

  /** A picture or sound whose path holds MTOR_INFERENCE_POISON ends every worker that takes it, as one does that breaks a decoder. */
  meet(input: unknown): void {
    const poison = process.env['MTOR_INFERENCE_FAULTS'] === '1' ? process.env['MTOR_INFERENCE_POISON'] : undefined
    if (poison && JSON.stringify(input).includes(poison)) process.abort()
  }

  /** `busy` does not return, `abort` ends the process. */
  async inject(fault: InnerFault): Promise<void> {
    switch (fault.name) {
      case 'busy': for (;;);
      case 'abort': return process.abort()
      // Filled, so that the pages are really taken.
      case 'leak': this.#kept.push(Buffer.alloc(fault.bytes, 1)); return
      case 'provider-lost': this.providerLost = true; return
      case 'flip': {
        const { flipWeights } = await import('./flip.ts')
        await this.#models.tamper((bytes) => Promise.resolve(flipWeights(bytes, fault.seed, fault.bits)))
      }
    }
  }
}
