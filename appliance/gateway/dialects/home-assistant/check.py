# Judges MQTT discovery messages by Home Assistant's own rules, and renders their templates with its template language.
# In: one JSON object {prefix, messages: [{topic, payload}], renders: [{template, value}]}. Out: {problems, rendered}.
import importlib
import json
import sys

import jinja2
import voluptuous
from homeassistant.components.mqtt import discovery
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS


def problems_of(prefix, topic, payload):
    if not topic.startswith(f"{prefix}/"):
        return [f"is not below {prefix}"]
    match = discovery.TOPIC_MATCHER.fullmatch(topic[len(prefix) + 1 :])
    if match is None:
        return ["is no discovery topic"]
    component = match.group("component")
    if component not in discovery.SUPPORTED_COMPONENTS:
        return [f"{component} is no component"]
    module = importlib.import_module(f"homeassistant.components.mqtt.{component}")
    try:
        discovery.MQTT_ORIGIN_INFO_SCHEMA(payload["origin"])
        known = module.DISCOVERY_SCHEMA(payload)
    except voluptuous.Invalid as error:
        return [str(error)]
    problems = [f"{key} is not known" for key in payload if key not in known]
    if component == "sensor":
        kind = known.get("device_class")
        if kind and kind in DEVICE_CLASS_UNITS and known.get("unit_of_measurement") not in DEVICE_CLASS_UNITS[kind]:
            problems.append(f"{known.get('unit_of_measurement')} is no unit of {kind}")
        if kind and known.get("state_class") and known["state_class"] not in DEVICE_CLASS_STATE_CLASSES.get(kind, ()):
            problems.append(f"{known['state_class']} does not fit {kind}")
    return problems


def rendered(template, value):
    try:
        value_json = json.loads(value)
    except ValueError:
        value_json = None
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(value=value, value_json=value_json)


asked = json.load(sys.stdin)
json.dump(
    {
        "problems": [f"{m['topic']}: {p}" for m in asked["messages"] for p in problems_of(asked["prefix"], m["topic"], m["payload"])],
        "rendered": [rendered(r["template"], r["value"]) for r in asked["renders"]],
    },
    sys.stdout,
)
