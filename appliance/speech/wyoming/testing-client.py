"""The published Wyoming client, for the tests: does one thing with the box and prints what came back, a line of JSON each."""

import asyncio
import json
import sys
import wave

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop, wav_to_chunks
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.handle import Handled, NotHandled
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.pipeline import PipelineStage, RunPipeline
from wyoming.satellite import RunSatellite, StreamingStarted, StreamingStopped
from wyoming.snd import Played
from wyoming.tts import Synthesize, SynthesizeVoice
from wyoming.vad import VoiceStarted, VoiceStopped
from wyoming.wake import Detect, Detection, NotDetected


def tell(**fact):
    print(json.dumps(fact), flush=True)


def chunks_of(path, samples=1024):
    with wave.open(path, "rb") as wav:
        yield from wav_to_chunks(wav, samples, start_event=True, stop_event=True)


async def answer(client, *kinds):
    """The next event of one of these kinds; None when the box has hung up."""
    while (event := await client.read_event()) is not None:
        if Ping.is_type(event.type):
            await client.write_event(Pong(Ping.from_event(event).text).event())
        for kind in kinds:
            if kind.is_type(event.type):
                return kind.from_event(event)
    return None


async def info(client):
    await client.write_event(Describe().event())
    tell(info=(await answer(client, Info)).event().data)


async def ping(client, text):
    await client.write_event(Ping(text).event())
    tell(pong=(await answer(client, Pong)).text)


async def transcribe(client, *paths):
    for path in paths:
        await client.write_event(Transcribe(language="en").event())
        for chunk in chunks_of(path):
            await client.write_event(chunk.event())
        got = await answer(client, Transcript, Error)
        tell(**({"transcript": got.text} if isinstance(got, Transcript) else {"error": got and got.code}))


async def wake(client, path, *names):
    await client.write_event(Detect(names=list(names) or None).event())
    for chunk in chunks_of(path):
        await client.write_event(chunk.event())
    got = await answer(client, Detection, NotDetected, Error)
    if isinstance(got, Detection):
        tell(detection=got.name, timestamp=got.timestamp)
    else:
        tell(**({"error": got.code} if isinstance(got, Error) else {"detection": None}))


async def say(client, text, path):
    await client.write_event(Synthesize(text=text, voice=SynthesizeVoice(language="en")).event())
    start = await answer(client, AudioStart, Error)
    if isinstance(start, Error):
        return tell(error=start.code)
    with wave.open(path, "wb") as wav:
        wav.setparams((start.channels, start.width, start.rate, 0, "NONE", "NONE"))
        while isinstance(got := await answer(client, AudioChunk, AudioStop, Error), AudioChunk):
            assert (got.rate, got.width, got.channels) == (start.rate, start.width, start.channels)
            wav.writeframes(got.audio)
    tell(said=path, rate=start.rate, ended=isinstance(got, AudioStop))


async def handle(client, text):
    await client.write_event(Transcript(text=text, context={"conversation": "7"}).event())
    got = await answer(client, Handled, NotHandled, Error)
    tell(**({"error": got.code} if isinstance(got, Error) else {"handled": isinstance(got, Handled), "text": got.text, "context": got.context}))


async def serve(client, out, reply):
    """The server of a satellite, as Home Assistant is one: takes one sentence into the file `out`, and answers with the file `reply`."""
    await client.write_event(RunSatellite().event())
    tell(running=True)
    got = await answer(client, Detection)
    tell(detection=got.name)
    run = await answer(client, RunPipeline)
    tell(start=run.start_stage == PipelineStage.ASR, end=run.end_stage == PipelineStage.TTS, wake=run.wake_word_name)
    await answer(client, StreamingStarted)
    start = await answer(client, AudioStart)
    with wave.open(out, "wb") as wav:
        wav.setparams((start.channels, start.width, start.rate, 0, "NONE", "NONE"))
        while isinstance(got := await answer(client, AudioChunk, AudioStop), AudioChunk):
            wav.writeframes(got.audio)
    await answer(client, StreamingStopped)
    tell(heard=out)
    for event in (VoiceStarted(timestamp=0), VoiceStopped(timestamp=1_000), Transcript(text="what is the weather")):
        await client.write_event(event.event())
    if reply == "error":
        await client.write_event(Error(text="no intent", code="intent-failed").event())
        return tell(error=True)
    if reply != "none":
        await client.write_event(Synthesize(text="It is sunny.").event())
        for chunk in chunks_of(reply):
            await client.write_event(chunk.event())
        tell(played=await answer(client, Played) is not None)


async def hold(client, *_):
    """Takes ears and keeps them until it is killed."""
    await client.write_event(Transcribe().event())
    await client.write_event(AudioStart(rate=16_000, width=2, channels=1).event())
    await client.write_event(Ping("held").event())
    await answer(client, Pong)
    tell(held=True)
    await client.read_event()


async def main(port, what, *args):
    async with AsyncClient.from_uri(f"tcp://127.0.0.1:{port}", connect_timeout=10, read_timeout=60) as client:
        await globals()[what](client, *args)


asyncio.run(main(*sys.argv[1:]))
