#!/usr/bin/env python3
"""Records tests/fixtures/schemas.json: schemas as clients make them, from classes (pydantic, and openai's strict form of it), and by hand.

usage: gen_schemas.py   (needs the PyPI packages openai and pydantic)
"""

import datetime
import enum
import json
import pathlib
import uuid
from typing import Annotated, Dict, List, Literal, Optional, Tuple, Union

from openai.lib._pydantic import to_strict_json_schema
from pydantic import BaseModel, Field

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "schemas.json"


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Step(BaseModel):
    """One step of a solution."""

    explanation: str = Field(description="why", max_length=30)
    output: str = Field(max_length=20)


class Solution(BaseModel):
    steps: List[Step] = Field(max_length=3)
    final_answer: str = Field(max_length=30)


class Address(BaseModel):
    street: str = Field(max_length=20)
    zip: str = Field(pattern=r"^\d{5}$")
    country: Literal["IT", "DE", "FR"] = "IT"


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=20)
    age: int = Field(ge=0, lt=150)
    height: Optional[float] = Field(default=None, gt=0.3, le=2.5)
    favourite: Colour = Colour.RED
    address: Optional[Address] = None
    tags: Annotated[List[str], Field(max_length=2)] = []
    email: Annotated[str, Field(json_schema_extra={"format": "email"})]


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Drawing(BaseModel):
    shapes: List[Annotated[Union[Circle, Square], Field(discriminator="kind")]] = Field(max_length=3)


class Event(BaseModel):
    id: uuid.UUID
    at: datetime.datetime
    day: datetime.date
    duration: datetime.timedelta
    where: Tuple[float, float]


class Counts(BaseModel):
    by_name: Dict[str, int] = Field(max_length=2)


class Tree(BaseModel):
    value: int
    children: List["Tree"] = Field(default=[], max_length=2)


BY_HAND = {
    "limits": {"type": "object", "properties": {"p": {"type": "number", "minimum": 0.05, "maximum": 0.95}}, "required": ["p"]},
    "pattern_and_length": {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$", "minLength": 3, "maxLength": 12},
    "pattern_properties": {
        "type": "object",
        "patternProperties": {"^[a-z]{1,3}$": {"type": "integer"}},
        "additionalProperties": False,
        "maxProperties": 3,
    },
    "count_of_properties": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 2,
    },
    "one_of": {"oneOf": [{"type": "integer"}, {"type": "boolean"}, {"type": "null"}]},
    "nullable_enum": {"type": ["string", "null"], "enum": ["a", "b", None]},
    "merged": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"enum": [1, 2]}}, "required": ["b"]},
        ]
    },
    "definitions": {
        "definitions": {"n": {"type": "integer", "minimum": 1, "maximum": 99}},
        "type": "array",
        "items": {"$ref": "#/definitions/n"},
        "minItems": 1,
        "maxItems": 4,
    },
    "multiples": {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 1}}, "required": ["n"]},
}

CLASSES = [Solution, Person, Drawing, Event, Counts, Tree]
STRICT = [Solution, Person, Drawing, Tree]

schemas = [{"name": c.__name__.lower(), "strict": False, "schema": c.model_json_schema()} for c in CLASSES]
schemas += [{"name": c.__name__.lower() + "_strict", "strict": True, "schema": to_strict_json_schema(c)} for c in STRICT]
schemas += [{"name": name, "strict": False, "schema": schema} for name, schema in BY_HAND.items()]
OUT.write_text(json.dumps(schemas, indent=1) + "\n")
print(f"{len(schemas)} schemas")
