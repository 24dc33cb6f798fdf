#!/usr/bin/env python3
"""Scores of the bridge: the forms of a prompt, what they are answered, what is refused."""
import json
import os
import sys

from bridge import Bridge
from mount import Mount, run_tests, until

QUESTION = "What is the capital of France? " * 8
MESSAGES = [{"role": "user", "content": QUESTION}]


def scored(bridge, path, body):
    status, _, answer = bridge.ask("POST", path, body)
    assert status == 200, (path, status, answer)
    return json.loads(answer)


def knows_models(bridge):
    return bridge.ask("POST", "/score", {"prompt": "a"})[0] == 200


def refused(bridge, path, body, status, words):
    got, _, answer = bridge.ask("POST", path, body)
    assert got == status and words in json.loads(answer)["error"]["message"], (path, got, answer)


def test_forms_of_a_prompt_are_told_apart():
    with Mount() as m, Bridge(m, options=["--score"]) as b:
        until(lambda: knows_models(b), "the model is known")
        chat = scored(b, "/score_chat_completions", {"messages": MESSAGES})
        assert set(chat) == {"pod_scores", "model", "rendered_template", "original_messages"}
        assert chat["original_messages"] == MESSAGES and QUESTION.strip() in chat["rendered_template"]
        conversation = {"conversations": [MESSAGES], "add_generation_prompt": True}
        assert scored(b, "/score_chat_completions", conversation)["rendered_template"] == chat["rendered_template"]
        assert scored(b, "/score", {"messages": MESSAGES}) == chat
        two = scored(b, "/score_chat_completions", {"conversations": [MESSAGES, MESSAGES]})
        assert len(two["rendered_template"]) == 2
        tokens = json.loads(b.ask("POST", "/tokenize", {"prompt": QUESTION})[2])["tokens"]
        model = chat["model"]
        for body in {"prompt": QUESTION}, {"prompt": tokens}, {"prompt": QUESTION, "model": model}, {"prompt": [QUESTION, "a"]}:
            assert scored(b, "/score", body) == scored(b, "/score_completions", body)


def test_what_cannot_be_scored_is_an_error():
    with Mount() as m, Bridge(m, options=["--score"]) as b:
        until(lambda: knows_models(b), "the model is known")
        refused(b, "/score", {"prompt": "a", "model": "other"}, 404, "'other'")
        refused(b, "/score_completions", {"messages": MESSAGES}, 400, "prompt")
        refused(b, "/score_chat_completions", {"prompt": "a"}, 400, "messages")
        refused(b, "/score_chat_completions", {"messages": MESSAGES, "chat_template": "{% if %}"}, 400, "Expected an expression")
        refused(b, "/score", {"prompt": 7}, 400, "prompt")
        refused(b, "/score", "[]", 400, "object")
        refused(b, "/score", "{", 400, "line 1")
        assert b.ask("GET", "/score")[0] == 405
    with Mount() as m, Bridge(m) as b:
        refused(b, "/score", {"prompt": "a"}, 501, "--score")


if __name__ == "__main__":
    if os.environ.get("TOKFS_MODEL") == "null":
        sys.exit(77)
    run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
