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
    Austin / Denver / Toronto / Dallas / Miami / Seattle / Venice / Naples / Florence / Nice / Marseille / Zurich /
    Basel / Cologne / Frankfurt / Leipzig / Krakow / Prague / Riga / Tallinn / Manchester / Leeds / Glasgow / Bristol /
    Cork / Barcelona / Seville / Kyoto / Shanghai / Hong Kong / Singapore / Manila / Jakarta / Delhi / Dubai / Istanbul
    / Izmir / Lagos / Accra / Tunis / Cape Town / Melbourne / Perth / Auckland / Montreal / Vancouver / New York / Los
    Angeles
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
            {x} / {x} weather / {x}: weather / weather {x} (now|today|please|) / (what|how) (is|'s|will be|about) the
            weather (like |)(over |down |up |)(in|at|for) {x} (today|now|tomorrow|right now|at the moment|please|) /
            (is|was|will) (it|the weather) (be
            |)(nice|good|bad|hot|cold|warm|sunny|raining|snowing|cloudy|windy|rainy|freezing|dry) (in|over in|down in)
            {x} (today|now|tomorrow|right now|at the moment|) / (will|does|is|can) it (rain|snow|be sunny|be warm|get
            cold) (in|over) {x} (today|now|tomorrow|) / (do|should|will) I (need|take|bring|wear|pack) (a coat|an
            umbrella|sunglasses|a jacket|boots) (in|for|to) {x} (today|tomorrow|) / (how|what)
            (hot|cold|warm|temperature|many degrees) (is it|does it have|are there|is there) (in|over in) {x}
            (now|today|right now|) / (the |current |)(temperature|forecast|weather report|weather forecast) (in|for|of)
            {x} (please|today|) / (tell|give|show|get) me (how the weather is in|what the weather is like in|the
            forecast for|the temperature in|the current weather in|the weather over in) {x} / (I|we) (am
            going|go|travel|want to go|fly|am travelling|are going) to {x} (today|tomorrow|), (how is the weather|what
            is the weather|will it rain|is it cold|is it warm) (there|) / (I am|I'm) in {x}(, what is the weather|.
            weather|, is it raining) / (can|could|would) you (check|look up|find|get|see|tell me) (the weather|the
            temperature|how warm it is|if it rains|whether it is raining|what the weather is like) (in|for) {x} /
            (any|is there) (rain|snow|sun|wind|clouds) in {x} (today|now|)
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
            (please|) give me the time (in|for) {x} / {x} time / {x}: time / time {x} / (what|which) (time|hour) (is
            it|do they have|do we have|is it now|would it be) (over |down |)in {x} (now|right now|at the
            moment|please|currently|) / (what is|what's|tell me|give me|show me|get|check|) the (current |local |exact
            |) time (over |)(in|at|of|for) {x} (now|please|right now|) / (current|local|exact) time (in|of|at|for) {x} /
            (how|what) (late|early) is it (now |)(in|over in) {x} / (is|was) it
            (late|early|night|morning|noon|day|evening|dark) (already |now |) in {x} / (can|could|would) you (check|look
            up|find|get|tell me|see|say) (the time|what time it is|the local time|how late it is|the current time)
            (in|for|over in) {x} / (do|could) you know what time (it is|they have) in {x} / (tell|show) me (what time it
            is|how late it is|the clock) in {x} / (I|we) (call|want to call|must call|have to call|ring) (a friend
            in|somebody in|) {x}(, what time is it|. what time is it) (there|) / time (now|right now|please|) in {x} /
            (what does the clock say|what is the hour) in {x}
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
            {x} / how (big|large) is {x} / (get|look up|check) the population of {x} / {x} population / (how|what)
            (many|number of) (people|inhabitants|citizens|residents|persons) (are there|are|live|has|does it have:|are
            living) (in|) {x} / (tell|give|show|get) me (how many people live in|the number of people in|the population
            of) {x} / (the |)(number|count) of (people|inhabitants|residents) (in|of) {x} / (can|could) you (check|look
            up|find|tell me) (the population of|how many people live in|the number of people in) {x} / how
            (populous|big|many) is {x} / inhabitants of {x} / (does|is) {x} (have many people|big|large)
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
