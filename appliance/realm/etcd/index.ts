export { EtcdProcess, etcdVersion, hasData, setAside, type EtcdProcessOptions } from './process.ts'
export type { ClusterMember, EtcdSettings, EtcdTlsFiles } from './flags.ts'
export type { EtcdHealth } from './health.ts'
export { addMember, members, moveMember, removeMember, type EtcdMember } from './membership.ts'
