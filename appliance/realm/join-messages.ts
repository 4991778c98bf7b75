import type { TLSSocket } from 'node:tls'
import Type, { type Static } from 'typebox'
import { NodeName } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'
import { HOST_PATTERN, NODE_ROLES, SignedList } from './list.ts'
import { encodeFrame, FrameReader, type Frame } from './peers/frames.ts'

/** The one question of a newcomer. The port is always its own to say; its address, when it leaves it out, is the one it comes from. */
export const JoinRequest = Type.Object({
  t: Type.Literal('join'),
  protocol: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  id: Type.String({ pattern: '^[0-9a-f]{16}$', description: 'Which token' }),
  proof: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'That the newcomer knows it' }),
  node: NodeName,
  host: Type.Optional(Type.String({ pattern: HOST_PATTERN.source })),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  csr: Type.String({ maxLength: 4096 }),
})
export type JoinRequest = Static<typeof JoinRequest>
export const joinRequestValidator = validator(JoinRequest)

/** The answer: who this node is now, and everything it needs but the key, which it has never let go of. */
export const JoinAnswer = Type.Object({
  t: Type.Literal('joined'),
  realm: NodeName,
  node: NodeName,
  role: Type.Enum(NODE_ROLES),
  cert: Type.String({ maxLength: 16_384 }),
  list: SignedList,
})
export type JoinAnswer = Static<typeof JoinAnswer>
export const joinAnswerValidator = validator(JoinAnswer)

export const sendFrame = (socket: TLSSocket, header: Frame['header']): void => { socket.write(encodeFrame(header)) }

/** The next frame of a connection that carries one each way. @throws MtorError NODE_UNREACHABLE when it ends before, MALFORMED, TOO_LARGE */
export function readFrame(socket: TLSSocket, maxBytes: number): Promise<Frame['header']> {
  const reader = new FrameReader(maxBytes)
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      try { for (const { header } of reader.read(chunk)) { resolve(header); return } } catch (error) { reject(error as MtorError); socket.destroy() }
    })
    const ended = () => reject(new MtorError('NODE_UNREACHABLE', 'the connection ended before the answer'))
    socket.on('end', ended)
    socket.on('close', ended)
    socket.on('error', ended)
  })
}
