import test from 'ava'
import { troubleIn } from './log.ts'

test('only who is told that it was removed has been: not who is called by an id that its address had before', (t) => {
  t.is(troubleIn('{"level":"warn","caller":"rafthttp/http.go:465","msg":"ignored streaming request; ID mismatch","local-member-id":"25d92463817268c9","remote-peer-id-header":"ef3b49f0637b7d2a"}'), undefined)
  t.is(troubleIn('{"level":"warn","caller":"rafthttp/peer_status.go:68","msg":"peer became inactive (message send to peer failed)","error":"failed to dial (peer 2b8645700d3baa84 failed to find local node 25d92463817268c9)"}'), undefined)
  t.is(troubleIn('{"level":"warn","caller":"etcdserver/server.go:1127","msg":"server error","error":"the member has been permanently removed from the cluster"}'), 'removed')
  t.is(troubleIn('{"level":"fatal","msg":"discovery failed","error":"error validating peerURLs {ClusterID:f Members:[&{ID:1 RaftAttributes:{PeerURLs:[https://127.0.0.1:1] IsLearner:false} Attributes:{Name:a ClientURLs:[]}}] RemovedMemberIDs:[]}: member count is unequal"}'), 'removed')
})

test('a log that cannot be read because the disk is full is not damaged', (t) => {
  t.is(troubleIn('{"level":"fatal","msg":"failed to read WAL, cannot be repaired","error":"no space left on device"}'), 'disk-full')
  t.is(troubleIn('{"level":"fatal","msg":"failed to read WAL, cannot be repaired","error":"walpb: crc mismatch"}'), 'corrupt')
})
