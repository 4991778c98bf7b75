/** PEM files for both: other members and clients must bring a certificate of the same authority. The certificate must serve servers and clients alike, because etcd's JSON gateway is a client of its own server. */
export interface EtcdTlsFiles {
  ca: string; cert: string; key: string
  /** Certificates that are refused all the same (DER). Read at every handshake: without the file nobody gets in. */
  revoked?: string
}

export interface ClusterMember { name: string; url: string }

export interface EtcdSettings {
  name: string
  /** Where this member listens for clients; the first is used by this node itself. */
  clientUrls: readonly string[]
  /** Where other nodes reach it; left out: `clientUrls`. */
  advertiseClientUrls?: readonly string[]
  /** Where other members reach it. */
  peerUrl: string
  /** Where it listens for them; left out: `peerUrl`. */
  listenPeerUrl?: string
  /** All members, this one too. Only read when there is no data yet. */
  initialCluster: readonly ClusterMember[]
  /** 'existing': it was added to a cluster that runs. Only read when there is no data yet. */
  state: 'new' | 'existing'
  /** Keeps clusters apart whose members have the same addresses. */
  token?: string
  tls?: EtcdTlsFiles
  /** How often the leader is heard, ms. Default 50. */
  heartbeatMs?: number
  /** Without a leader for this long another is elected, ms. Default 300. */
  electionMs?: number
  /** etcd takes no more writes beyond this. Default 512 MiB. */
  quotaBytes?: number
}

/** The command line of one member. Every flag is one that 3.4, 3.5 and 3.6 know. @see https://etcd.io/docs/v3.5/op-guide/configuration/ */
export function etcdFlags(settings: EtcdSettings, dataDir: string): string[] {
  const { name, clientUrls, advertiseClientUrls = clientUrls, peerUrl, listenPeerUrl = peerUrl, initialCluster, state, token = 'mtor', tls, heartbeatMs = 50, electionMs = 300, quotaBytes = 512 * 1024 * 1024 } = settings
  const flags: Record<string, string | number | boolean> = {
    'name': name, 'data-dir': dataDir,
    'listen-client-urls': clientUrls.join(','), 'advertise-client-urls': advertiseClientUrls.join(','),
    'listen-peer-urls': listenPeerUrl, 'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': initialCluster.map((member) => `${member.name}=${member.url}`).join(','), 'initial-cluster-state': state, 'initial-cluster-token': token,
    'heartbeat-interval': heartbeatMs, 'election-timeout': electionMs,
    // A member that comes back after a cut does not unseat a leader that works.
    'pre-vote': true,
    'quota-backend-bytes': quotaBytes,
    // The journal forgets earlier; this is for when no journal runs.
    'auto-compaction-mode': 'periodic', 'auto-compaction-retention': '1h',
    // 100,000 entries in memory, as 3.4 has it, are too many for a board.
    'snapshot-count': 10_000,
    'logger': 'zap', 'log-level': 'warn',
    ...(tls ? {
      'cert-file': tls.cert, 'key-file': tls.key, 'trusted-ca-file': tls.ca, 'client-cert-auth': true,
      'peer-cert-file': tls.cert, 'peer-key-file': tls.key, 'peer-trusted-ca-file': tls.ca, 'peer-client-cert-auth': true,
      ...(tls.revoked === undefined ? {} : { 'client-crl-file': tls.revoked, 'peer-crl-file': tls.revoked }),
    } : {}),
  }
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
}

/** The environment without variables that would contradict the flags: etcd ends where one does. 3.4 runs on arm64 only when told to. */
export function etcdEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const rest = Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('ETCD_')))
  return { ...rest, LC_ALL: 'C', ...(process.arch === 'arm64' || process.arch === 'arm' ? { ETCD_UNSUPPORTED_ARCH: process.arch } : {}) }
}
