# A Hermes client: the message classes of rhasspy-hermes make what is sent and read what comes.
# In, one JSON object a line: {send: class, with: fields} or {end: true}.
# Out, one JSON object a line: {ready: true}, then {type, topic, message} for each message that some class takes, or {unreadable}.
import inspect
import json
import sys
import threading

import paho.mqtt.client as mqtt
from rhasspyhermes import asr, dialogue, nlu, tts, wake
from rhasspyhermes.base import Message
from rhasspyhermes.client import HermesClient

CLASSES = {
    name: kind
    for module in (asr, dialogue, nlu, tts, wake)
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Message) and kind is not Message and not kind.is_binary_payload() and kind.topic().startswith("hermes/")
}
OUT = threading.Lock()


def say(value):
    with OUT:
        print(json.dumps(value), flush=True)


def on_message(client, userdata, message):
    try:
        taken = [
            {"type": type(parsed).__name__, "topic": message.topic, "message": json.loads(parsed.payload())}
            for parsed, _, _ in HermesClient.parse_mqtt_message(message.topic, message.payload, CLASSES.values())
        ]
    except Exception as error:
        taken, message.payload = [], str(error).encode()
    for one in taken:
        say(one)
    if not taken:
        say({"unreadable": message.topic, "payload": message.payload.decode()})


def made(name, fields):
    if name == "DialogueStartSession":
        init = fields.pop("init")
        kind = dialogue.DialogueNotification if init.pop("type", "action") == "notification" else dialogue.DialogueAction
        return dialogue.DialogueStartSession(init=kind(**init), **fields)
    return CLASSES[name](**fields)


host, port = sys.argv[1], int(sys.argv[2])
client = mqtt.Client("hermes-client")
client.on_message = on_message
client.on_subscribe = lambda *_: say({"ready": True})
client.on_connect = lambda *_: client.subscribe("hermes/#", 1)
client.connect(host, port)
client.loop_start()
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("end"):
        break
    message = made(asked["send"], asked.get("with", {}))
    client.publish(message.topic(), message.payload(), qos=1)
client.disconnect()
client.loop_stop()
