import { execFileSync, spawn } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { MtorError } from '../../contracts/errors.ts'
import { csiArguments } from './csi.ts'
import { stillArguments } from './ffmpeg.ts'
import { makeCamera, type StillTarget } from './index.ts'
import { jpegSize, pictureKind } from './picture.ts'
import { fileError, redacted } from './program.ts'
import { RtspServer } from './rtsp-server.ts'
import { V4l2Camera, v4l2CtlArguments, v4l2Input, videoDevices } from './v4l2.ts'

/** A picture that ffmpeg makes itself, as a JPEG, PNG or WebP by its name. */
const draw = (file: string, size = '640x360') => { execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-f', 'lavfi', '-i', `testsrc=size=${size}`, '-frames:v', '1', '-update', '1', '-y', file]) }
const OPTIONS = { widthPx: 640, heightPx: 360, timeoutMs: 15_000 }
const HANG_MS = 1_000

async function room(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'mtor capture-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const out = join(folder, 'out')
  await mkdir(out)
  let count = 0
  const target = (): StillTarget => { count++; return { file: join(out, `${count}.jpg`), thumbnail: join(out, `${count}.thumb.jpg`) } }
  return { folder, out, target }
}
const camera = (name: string, options: Partial<typeof OPTIONS> = {}) => makeCamera(name, { ...OPTIONS, ...options }, tmpdir())!
const codeOf = async (t: ExecutionContext, action: Promise<unknown>) => { const error = await t.throwsAsync(action); t.true(error instanceof MtorError, String(error)); return error as MtorError }

test('a folder gives its pictures in turn, notices new ones and starts again', async (t) => {
  const { folder, target } = await room(t)
  draw(join(folder, 'b.jpg'))
  draw(join(folder, 'c.png'), '100x50')
  await writeFile(join(folder, 'notes.txt'), 'no picture')
  const source = camera(`directory:${folder}`)
  const first = target()
  t.deepEqual(await source.still(first), { widthPx: 640, heightPx: 360, thumbnail: true, from: join(folder, 'b.jpg') })
  t.deepEqual(await readFile(first.file), await readFile(join(folder, 'b.jpg')), 'a JPEG stays as it is')
  t.deepEqual(jpegSize(await readFile(first.thumbnail)), { widthPx: 320, heightPx: 180 })
  const second = target()
  t.deepEqual(await source.still(second), { widthPx: 100, heightPx: 50, thumbnail: true, from: join(folder, 'c.png') })
  t.is(pictureKind(await readFile(second.file)), 'jpeg')
  t.deepEqual(jpegSize(await readFile(second.thumbnail)), { widthPx: 100, heightPx: 50 }, 'a small picture is not enlarged')
  await copyFile(join(folder, 'b.jpg'), join(folder, 'd.jpeg'))
  t.is((await source.still(target())).from, join(folder, 'd.jpeg'))
  t.is((await source.still(target())).from, join(folder, 'b.jpg'))
})

test('a broken picture in a folder is refused and does not keep the next ones away', async (t) => {
  const { folder, target } = await room(t)
  draw(join(folder, 'z.jpg'))
  const whole = await readFile(join(folder, 'z.jpg'))
  await writeFile(join(folder, 'a.jpg'), whole.subarray(0, whole.length / 2))
  await writeFile(join(folder, 'b.jpg'), '#EXTM3U\n/etc/passwd\n')
  await writeFile(join(folder, 'c.jpg'), '')
  const source = camera(`directory:${folder}`)
  for (let broken = 0; broken < 3; broken++) t.is((await codeOf(t, source.still(target()))).code, 'CAMERA')
  t.is((await source.still(target())).from, join(folder, 'z.jpg'))
})

test('an empty folder and one that is not there are told', async (t) => {
  const { out, target } = await room(t)
  t.regex((await codeOf(t, camera(`directory:${out}`).still(target()))).message, /expected a JPEG, PNG or WebP/)
  t.regex((await codeOf(t, camera('directory:/nowhere/at/all').still(target()))).message, /ENOENT/)
})

/** An HTTP camera on loopback; `serve` answers each request. */
async function httpCamera(t: ExecutionContext, serve: (answer: ServerResponse, headers: Record<string, unknown>) => void): Promise<string> {
  const server = createServer((request, answer) => serve(answer, request.headers))
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return `127.0.0.1:${(server.address() as AddressInfo).port}/shot`
}

test('a still comes by HTTP, with the password of the address, which no message carries', async (t) => {
  const { folder, out, target } = await room(t)
  draw(join(folder, 'a.jpg'))
  const jpeg = await readFile(join(folder, 'a.jpg'))
  const address = await httpCamera(t, (answer, { authorization }) => {
    if (authorization !== `Basic ${Buffer.from('me:pass@word').toString('base64')}`) { answer.writeHead(401).end(); return }
    answer.writeHead(200, { 'content-type': 'image/jpeg' }).end(jpeg)
  })
  const source = camera(`http://me:pass%40word@${address}`)
  const place = target()
  t.like(await source.still(place), { widthPx: 640, heightPx: 360, from: `http://***@${address}` })
  t.deepEqual(await readFile(place.file), jpeg)
  t.is(source.describe(), `http://***@${address}`)
  const refused = await codeOf(t, camera(`http://me:wrong@${address}`).still(target()))
  t.is(refused.code, 'CAMERA')
  t.regex(refused.message, /401/)
  t.notRegex(refused.message, /wrong/)
  t.deepEqual((await readdir(out)).sort(), ['1.jpg', '1.thumb.jpg'], 'nothing half-made is left')
})

for (const [what, serve, pattern] of [
  ['that is none', (answer) => answer.writeHead(200, { 'content-type': 'image/jpeg' }).end('<html>'), /expected a JPEG, PNG or WebP/],
  ['that is a web page', (answer) => answer.writeHead(200, { 'content-type': 'text/html' }).end('<html>'), /text\/html/],
  ['cut off', (answer) => { answer.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': '5000' }).write(Buffer.from([0xff, 0xd8, 0xff]), () => answer.destroy()) }, /terminated|closed|aborted/],
  ['that never begins', () => {}, /no picture in time/],
  ['that stays away half-way', (answer) => { answer.writeHead(200, { 'content-type': 'image/jpeg' }).write(Buffer.from([0xff, 0xd8, 0xff])) }, /no picture in time/],
  ['without an end', (answer) => {
    answer.writeHead(200, { 'content-type': 'image/jpeg' })
    const more = () => { while (!answer.destroyed && answer.write(Buffer.alloc(1024 * 1024, 0xff))); if (!answer.destroyed) answer.once('drain', more) }
    more()
  }, /does not end/],
] satisfies [string, (answer: ServerResponse) => unknown, RegExp][]) {
  test(`a picture by HTTP ${what} is an error of the camera, in time`, async (t) => {
    const { out, target } = await room(t)
    const address = await httpCamera(t, (answer) => { serve(answer) })
    const error = await codeOf(t, camera(`http://${address}`, { timeoutMs: what.startsWith('that never') || what.startsWith('that stays') ? HANG_MS : OPTIONS.timeoutMs }).still(target()))
    t.is(error.code, 'CAMERA')
    t.regex(error.message, pattern)
    t.deepEqual(await readdir(out), [])
  })
}

test('nobody there by HTTP, or by RTSP, is an error of the camera', async (t) => {
  const { target } = await room(t)
  t.regex((await codeOf(t, camera('http://127.0.0.1:9/x').still(target()))).message, /fetch failed|ECONNREFUSED|bad port/)
  const rtsp = await codeOf(t, camera('rtsp://me:secret@127.0.0.1:9/stream').still(target()))
  t.is(rtsp.code, 'CAMERA')
  t.regex(rtsp.message, /refused/i)
  t.notRegex(rtsp.message, /secret/)
})

test('a motion JPEG stream by HTTP gives a still of now', async (t) => {
  const { folder, target } = await room(t)
  draw(join(folder, 'a.jpg'), '320x240')
  const server = createServer((_request, answer) => {
    // What a camera sends: ffmpeg's own motion JPEG over HTTP.
    answer.writeHead(200, { 'content-type': 'multipart/x-mixed-replace;boundary=ffmpeg' })
    const stream = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-re', '-loop', '1', '-framerate', '10', '-i', join(folder, 'a.jpg'), '-c:v', 'mjpeg', '-f', 'mpjpeg', 'pipe:1'], { stdio: ['ignore', 'pipe', 'ignore'] })
    stream.stdout.pipe(answer)
    answer.once('close', () => { stream.kill('SIGKILL') })
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const place = target()
  t.like(await camera(`http://127.0.0.1:${(server.address() as AddressInfo).port}/stream`).still(place), { widthPx: 320, heightPx: 240, thumbnail: true })
  t.deepEqual(jpegSize(await readFile(place.thumbnail)), { widthPx: 320, heightPx: 240 })
})

test('an RTSP stream gives a still of now', async (t) => {
  const { folder, target } = await room(t)
  draw(join(folder, 'a.jpg'), '320x240')
  const server = new RtspServer(join(folder, 'a.jpg'))
  t.teardown(() => { server.stop() })
  const address = await server.start()
  const place = target()
  t.like(await camera(address).still(place), { widthPx: 320, heightPx: 240, thumbnail: true, from: address })
  t.deepEqual(server.methods.slice(0, 4), ['OPTIONS', 'DESCRIBE', 'SETUP', 'PLAY'])
  t.deepEqual(jpegSize(await readFile(place.file)), { widthPx: 320, heightPx: 240 })
})

test('a stream that hangs is ended at its deadline, and its program with it', async (t) => {
  const { target } = await room(t)
  const address = await httpCamera(t, (answer) => { answer.writeHead(200, { 'content-type': 'multipart/x-mixed-replace;boundary=x' }).write('--x\r\n') })
  t.regex((await codeOf(t, camera(`http://${address}`, { timeoutMs: 2_000 }).still(target()))).message, /no picture in time/)
  const running = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
  t.false(running.split('\n').some((line) => line.includes('ffmpeg') && line.includes(address)))
})

test('a still that is given up is CANCELLED at once', async (t) => {
  const { target } = await room(t)
  const address = await httpCamera(t, () => {})
  const abort = new AbortController()
  const still = camera(`http://${address}`).still(target(), abort.signal)
  abort.abort()
  t.is((await codeOf(t, still)).code, 'CANCELLED')
})

test('the first picture comes from an input of frames, after those in which the exposure settles', async (t) => {
  const { target } = await room(t)
  const place = target()
  // The same command line as for a camera; only the input is ffmpeg's own test picture, as no camera is here.
  execFileSync('ffmpeg', stillArguments(['-f', 'lavfi', '-i', 'testsrc=size=1280x720:rate=10'], place, 5))
  t.deepEqual(jpegSize(await readFile(place.file)), { widthPx: 1280, heightPx: 720 })
  t.deepEqual(jpegSize(await readFile(place.thumbnail)), { widthPx: 320, heightPx: 180 })
})

test('what the helper programs are told of a camera', (t) => {
  t.deepEqual(v4l2Input('/dev/video2', { widthPx: 1280, heightPx: 720 }), ['-f', 'v4l2', '-video_size', '1280x720', '-i', '/dev/video2'])
  t.deepEqual(v4l2CtlArguments('/dev/video0', { widthPx: 640, heightPx: 480 }, '/x.jpg').slice(0, 3), ['-d', '/dev/video0', '--set-fmt-video=width=640,height=480,pixelformat=MJPG'])
  t.is(csiArguments(1, { widthPx: 1920, heightPx: 1080 }, '/x y.jpg').at(-1), 'location=/x y.jpg')
})

test('cameras are chosen among the video devices of sysfs: no metadata nodes, no codecs, in order of their numbers', async (t) => {
  const { folder } = await room(t)
  for (const [name, title, index] of [['video10', 'Second Camera', '0'], ['video2', 'UVC Camera', '0'], ['video3', 'UVC Camera', '1'], ['video4', 'bcm2835-codec-decode', '0'], ['v4l-subdev0', 'sensor', '0']]) {
    await mkdir(join(folder, name!))
    await writeFile(join(folder, name!, 'name'), `${title}\n`)
    await writeFile(join(folder, name!, 'index'), `${index}\n`)
  }
  t.deepEqual(await videoDevices(folder, '/dev'), ['/dev/video2', '/dev/video10'])
  t.deepEqual(await videoDevices(join(folder, 'none')), [])
})

test('without any camera it is not fitted; one that fails is named with what was tried', async (t) => {
  const { folder, target } = await room(t)
  const none = new V4l2Camera(undefined, OPTIONS, async () => [])
  t.false(await none.present())
  t.is((await codeOf(t, none.still(target()))).code, 'NOT_FITTED')
  const device = join(folder, 'video0')
  await writeFile(device, '')
  await chmod(device, 0o600)
  const broken = new V4l2Camera(undefined, OPTIONS, async () => [device, '/dev/null/video1'])
  const error = await codeOf(t, broken.still(target()))
  t.is(error.code, 'CAMERA')
  t.is((error.data!.tried as string[]).length, 2)
  t.true(error.message.includes(device))
})

test('a name that is no camera is refused with the list of what is', (t) => {
  for (const name of ['v4l2:video0', 'csi:x', 'usb:0', 'directory:', 'rtsp:', 'Auto ']) t.is(t.throws(() => makeCamera(name, OPTIONS, '/'), { instanceOf: MtorError }).code, 'CONFIG_INVALID', name)
  t.notRegex(t.throws(() => makeCamera('ftp://me:secret@x/', OPTIONS, '/')).message, /secret/)
  t.is(makeCamera('none', OPTIONS, '/'), undefined)
  t.is(makeCamera('directory:pictures', OPTIONS, '/srv')!.describe(), 'directory:/srv/pictures')
  t.is(redacted('a rtsp://u:p@host/x and http://host/y'), 'a rtsp://***@host/x and http://host/y')
})

test('a full disk is told as that', async (t) => {
  const full = await t.throwsAsync(writeFile('/dev/full', 'x'))
  t.is(fileError(full, 'CAMERA', 'picture').code, 'DISK_FULL')
  t.is(fileError(new Error('other'), 'CAMERA', 'picture').code, 'CAMERA')
  const { folder } = await room(t)
  draw(join(folder, 'a.jpg'))
  const error = await codeOf(t, camera(`directory:${folder}`).still({ file: join(folder, 'out', 'x.jpg'), thumbnail: '/dev/full' }))
  t.is(error.code, 'DISK_FULL')
})
