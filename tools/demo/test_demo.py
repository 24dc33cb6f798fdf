"""Checks of the generator and of the committed model directory, with the standard library only.

python3 -m unittest discover -s tools/demo
"""

from __future__ import annotations

import json
import random
import struct
import unittest
from pathlib import Path

import heldout
import howto
import talk
import wordings
from follow import follow_up
from generate import EVAL_SEED, Writer, held_turns, items
from phrase import dress, normal, slipped
from sentences import sentence, written
from turn import Turn

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"


class Generator(unittest.TestCase):
    def test_same_seed_gives_same_dialogues(self) -> None:
        first, second, other = (Writer(seed).dialogue(2000) for seed in (7, 7, 8))
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)

    def test_items_are_many_different_and_fixed(self) -> None:
        found = items()
        self.assertGreaterEqual(len(found), 400)
        self.assertEqual(found, items(EVAL_SEED))
        self.assertEqual(len({json.dumps(item["messages"][:-1]) for item in found}), len(found))

    def test_heldout_file_is_read_whole(self) -> None:
        found = heldout.items()
        self.assertEqual(len(found), sum(1 for _ in heldout.lines()))
        self.assertEqual(
            len({json.dumps(item["messages"][:-1]) + str(item.get("tools")) for item in found}), len(found)
        )
        for item in found:
            self.assertTrue(item["task"])
            self.assertEqual([m["content"] for m in item["messages"] if "@" in m["content"]], [], item)
            self.assertEqual(item["messages"][-1]["role"], "assistant")
            self.assertTrue(item["messages"][-1]["content"] or item["messages"][-1]["tool_calls"], item)

    def test_held_turns_are_not_in_training(self) -> None:
        held, writer = held_turns(), Writer(3)
        turns = [m for _ in range(2000) for m in writer.dialogue(800)["messages"] if m["role"] in ("user", "system")]
        self.assertEqual([m["content"] for m in turns if normal(m["content"]) in held], [])
        self.assertIn(normal(heldout.items()[0]["messages"][-2]["content"]), held)
        self.assertIn(normal(items()[0]["messages"][-2]["content"]), held)

    def test_follow_up_answers_what_the_turn_before_asked(self) -> None:
        rng = random.Random(1)
        capital, mixed = (
            Turn("", "The capital of Italy is Rome.", "Rome"),
            Turn("", "Red and blue make purple.", "purple"),
        )
        month, day = Turn("", "May has 31 days.", "31"), Turn("", "Friday comes before Saturday.", "Friday")
        for _ in range(100):
            self.assertTrue(follow_up(rng, "capitals", capital).answer.startswith("The capital of "))
            self.assertRegex(follow_up(rng, "calendar", month).answer, r"^[A-Z]\w+ has \d\d days")
            self.assertRegex(follow_up(rng, "calendar", day).answer, r"^\w+day comes before \w+day\.$")
            self.assertRegex(follow_up(rng, "reverse word", Turn("", "t-a-c")).answer, r"^\w(-\w)*$")
        self.assertIsNone(follow_up(rng, "colours", mixed))
        self.assertIsNone(follow_up(rng, "howto", Turn("", "")))

    def test_phrasings_of_rows_are_apart(self) -> None:
        for row in [*howto.FACTS, *talk.TALKS]:
            self.assertFalse(set(row.train) & set(row.held), row.name)
            self.assertTrue(row.held, row.name)

    def test_further_phrasings_are_those_of_rows(self) -> None:
        for table, rows in ((wordings.HOWTO, howto.FACTS), (wordings.TALK, talk.TALKS)):
            self.assertEqual(set(table), {row.name for row in rows})
            for row in rows:
                self.assertFalse(set(table[row.name]) & set(row.held), row.name)

    def test_brackets_of_further_phrasings_match(self) -> None:
        for pattern in [p for table in (wordings.HOWTO, wordings.TALK) for found in table.values() for p in found]:
            self.assertEqual(pattern.count("("), pattern.count(")"), pattern)

    def test_slips_leave_what_was_asked_about(self) -> None:
        rng = random.Random(2)
        for _ in range(300):
            self.assertIn("hedgehog", slipped(rng, "(please|) spell the word {w} backwards", w="hedgehog"))

    def test_marks_alone_are_not_dressed(self) -> None:
        rng = random.Random(3)
        self.assertEqual({dress(rng, "...") for _ in range(100)}, {"..."})

    def test_sentence_keeps_its_words_however_it_is_written(self) -> None:
        rng = random.Random(4)
        for _ in range(200):
            text = sentence(rng)
            self.assertEqual(normal(written(rng, text)), normal(text))


class Directory(unittest.TestCase):
    def test_directory_is_small_and_complete(self) -> None:
        size = sum(path.stat().st_size for path in MODEL.iterdir())
        self.assertLessEqual(size, 8_000_000)
        names = {path.name for path in MODEL.iterdir()}
        self.assertLessEqual({"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}, names)

    def test_template_is_the_one_of_training(self) -> None:
        settings = json.loads((MODEL / "tokenizer_config.json").read_text())
        self.assertEqual(settings["chat_template"], (HERE / "chat_template.jinja").read_text())

    def test_weights_are_bf16_and_cover_the_file(self) -> None:
        with (MODEL / "model.safetensors").open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        self.assertEqual({tensor["dtype"] for tensor in header.values()}, {"BF16"})
        end = max(tensor["data_offsets"][1] for tensor in header.values())
        self.assertEqual(8 + length + end, (MODEL / "model.safetensors").stat().st_size)


if __name__ == "__main__":
    unittest.main()
