import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/**
 * For tests: an RTSP camera on loopback. ffmpeg encodes a picture as RTP; what it sends goes on to whoever plays, interleaved
 * in the RTSP connection.
 * @see RFC 2326, §10 (methods) and §10.12 (interleaved binary data); RFC 2435 (JPEG in RTP)
 */
export class RtspServer {
  readonly #picture: string
  readonly #server: Server
  readonly #udp = createSocket('udp4')
  readonly #players = new Set<Socket>()
  #encoder: ChildProcess | undefined
  /** What was asked for, in order. */
  readonly methods: string[] = []

  constructor(picture: string) {
    this.#picture = picture
    this.#server = createServer((socket) => this.#serve(socket))
    this.#udp.on('message', (packet) => {
      const head = Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff])
      for (const player of this.#players) player.write(Buffer.concat([head, packet]))
    })
  }

  /** The address to play. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => { this.#udp.bind(0, '127.0.0.1', resolve) })
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve) })
    this.#encoder = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-re', '-loop', '1', '-framerate', '10', '-i', this.#picture, '-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-huffman', 'default', '-q:v', '4', '-f', 'rtp', `rtp://127.0.0.1:${this.#udp.address().port}`], { stdio: 'ignore' })
    return `rtsp://127.0.0.1:${(this.#server.address() as AddressInfo).port}/camera`
  }

  stop(): void {
    this.#encoder?.kill('SIGKILL')
    for (const player of this.#players) player.destroy()
    this.#server.close()
    this.#udp.close()
  }

  #serve(socket: Socket): void {
    let text = ''
    socket.on('error', () => {})
    socket.once('close', () => { this.#players.delete(socket) })
    socket.on('data', (data) => {
      text += data.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        this.#answer(socket, text.slice(0, end))
        text = text.slice(end + 4)
      }
    })
  }

  #answer(socket: Socket, request: string): void {
    const method = /^[A-Z_]+/.exec(request)?.[0] ?? ''
    this.methods.push(method)
    // One video stream of JPEG, payload type 26 with its clock of 90 kHz (RFC 3551, §6).
    const description = 'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:video\r\n'
    const extra = method === 'OPTIONS' ? 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n'
      : method === 'SETUP' ? 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n'
        : method === 'DESCRIBE' ? `Content-Type: application/sdp\r\nContent-Length: ${description.length}\r\n` : ''
    socket.write(`RTSP/1.0 200 OK\r\nCSeq: ${/CSeq: *(\d+)/i.exec(request)?.[1] ?? 0}\r\nSession: 1\r\n${extra}\r\n${method === 'DESCRIBE' ? description : ''}`)
    if (method === 'PLAY') this.#players.add(socket)
  }
}
