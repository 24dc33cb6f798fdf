"""Tools: their schemas, the questions that need them, the calls, the results and the answers made from results."""

from __future__ import annotations

import json
import random
from typing import Any

import talk
from phrase import dress, phrases, pick
from words import CAPITALS

Message = dict[str, Any]
Item = dict[str, Any]

CITIES = sorted(c for c in CAPITALS.values()) + phrases("""
    Hamburg / Munich / Milan / Porto / Lyon / Boston / Chicago / Mumbai / Osaka / Sydney / Geneva / Bergen / Gent /
    Austin / Denver
""")
TOOL_KINDS: dict[str, dict[str, list[str]]] = {
    "weather": {
        "names": ["get_weather", "get_weather", "get_weather", "get_current_weather", "weather", "lookup_weather"],
        "says": phrases("""
            Get the weather of a city / Get the current weather / Weather in a city / Returns the weather at a place /
            Get the current weather in a given location
        """),
        "train": phrases("""
            (what is|what's|how is) the weather (like |)in {x} / weather in {x} / tell me the weather in {x} / is it
            (raining|sunny|cold|warm) in {x} / how (warm|cold) is it in {x} / (get|look up|check) the weather
            (in|for|of) {x} / what is the temperature in {x} / how is the weather in {x} (today|now) / (can|could) you
            tell me the weather in {x} / the weather in {x} / will it rain in {x} / what is the weather like in {x}
            (today|right now) / (find|find out|show me) the weather (in|of) {x} / (please|) give me the weather (in|for)
            {x}
        """),
        "held": phrases("""
            do you know the weather in {x} / I would like to know the weather in {x} / please find the weather for {x} /
            what kind of weather is it in {x}
        """),
    },
    "time": {
        "names": ["get_time", "get_time", "get_time", "get_current_time", "time", "clock"],
        "says": phrases("""
            Get the time in a city / Get the current time / Local time of a city / Returns the time at a place
        """),
        "train": phrases("""
            what time is it in {x} / (what is|what's) the time in {x} / time in {x} / tell me the time in {x} / how late
            is it in {x} / (get|look up|check) the time in {x} / (can|could) you tell me the time in {x} / the time in
            {x} / what time is it now in {x} / local time in {x} / (find|find out|show me) the time (in|of) {x} /
            (please|) give me the time (in|for) {x}
        """),
        "held": phrases("""
            do you know the time in {x} / I would like to know the time in {x} / please find the time for {x}
        """),
    },
    "population": {
        "names": ["get_population", "population", "count_people"],
        "says": ["Get the population of a city", "Number of people in a city"],
        "train": phrases("""
            how many people live in {x} / what is the population of {x} / population of {x} / tell me the population of
            {x} / how (big|large) is {x} / (get|look up|check) the population of {x}
        """),
        "held": ["do you know the population of {x}", "I would like to know the population of {x}"],
    },
}
NO_TOOL = {
    "weather": "I cannot see the weather.",
    "time": "I have no clock and no calendar.",
    "population": talk.REFUSAL,
}
PLACE_ARGS = ["city", "city", "city", "location", "location", "place"]
CONDITIONS = phrases("""
    sunny / rain / snow / cloudy / windy / clear / fog / storm / light rain / partly cloudy
""")


def make_tool(rng: random.Random, kind: str) -> Item:
    spec, arg = TOOL_KINDS[kind], rng.choice(PLACE_ARGS)
    properties: Item = {arg: {"type": "string"}}
    if rng.random() < 0.4:
        properties[arg]["description"] = rng.choice(
            ["The city", "Name of the city", "The city, e.g. Paris", "City name", "The place"]
        )
    if rng.random() < 0.15:
        properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    parameters: Item = {"type": "object", "properties": properties}
    if rng.random() < 0.8:
        parameters["required"] = [arg]
    function: Item = {"name": rng.choice(spec["names"]), "parameters": parameters}
    if rng.random() < 0.8:
        function = {
            "name": function["name"],
            "description": rng.choice(spec["says"]) + rng.choice(["", "."]),
            "parameters": parameters,
        }
    return {"type": "function", "function": function}


def tool_result(rng: random.Random, kind: str) -> tuple[str, str]:
    """What the tool returns, as text, and how the model passes it on: the values in their order."""
    t, hour, minute = rng.randint(-20, 40), rng.randint(0, 23), rng.randint(0, 59)
    if kind == "weather":
        record: Item = {
            rng.choice(["temperature", "temp", "degrees"]): t,
            rng.choice(["condition", "weather", "sky"]): rng.choice(CONDITIONS),
        }
        if rng.random() < 0.4:
            record = dict(reversed(record.items()))
        if rng.random() < 0.2:
            record.popitem()
    elif kind == "time":
        record = {rng.choice(["time", "local_time", "now"]): f"{hour:02}:{minute:02}"}
    else:
        record = {rng.choice(["population", "people", "count"]): rng.randint(1, 30) * 10 ** rng.randint(4, 6)}
    values = ", ".join(str(v) for v in record.values())
    return (json.dumps(record), values) if rng.random() < 0.65 else (values, values)


def tool_turn(rng: random.Random, held: bool, kind: str, tools: dict[str, Item]) -> list[Message]:
    """A question that a tool answers, or, without that tool, the honest answer."""
    spec = TOOL_KINDS[kind]
    cities = rng.sample(CITIES, 2 if rng.random() < 0.15 else 1)
    user = {
        "role": "user",
        "content": dress(rng, pick(rng, held, spec["train"], spec["held"], x=" and ".join(cities)), fold=False),
    }
    if kind not in tools:
        return [user, {"role": "assistant", "content": NO_TOOL[kind]}]
    function = tools[kind]["function"]
    arg = next(iter(function["parameters"]["properties"]))
    calls = [{"type": "function", "function": {"name": function["name"], "arguments": {arg: city}}} for city in cities]
    results = [tool_result(rng, kind) for _ in cities]
    said = " ".join(f"{city}: {values}." for city, (_, values) in zip(cities, results))
    return [
        user,
        {"role": "assistant", "content": "", "tool_calls": calls},
        *({"role": "tool", "content": text} for text, _ in results),
        {"role": "assistant", "content": said},
    ]
