declare module 'multicast-dns' {
  import type { EventEmitter } from 'node:events'

  export interface DnsQuestion { name: string; type: string }
  export interface DnsRecord { name: string; type: string; ttl?: number; data: unknown }
  export interface DnsPacket { questions: DnsQuestion[]; answers: DnsRecord[]; additionals: DnsRecord[] }
  export interface MulticastDns extends EventEmitter<{ query: [DnsPacket, { address: string }]; response: [DnsPacket, { address: string }]; error: [Error]; warning: [Error]; ready: [] }> {
    query(questions: DnsQuestion[], done?: (error?: Error | null) => void): void
    respond(answers: { answers: DnsRecord[]; additionals?: DnsRecord[] }, done?: (error?: Error | null) => void): void
    destroy(done?: () => void): void
  }
  export default function multicastDns(options?: { port?: number; interface?: string; bind?: string }): MulticastDns
}
