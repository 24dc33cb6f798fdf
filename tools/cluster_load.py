#!/usr/bin/env python3
"""Load of chats that share system prompts, on one OpenAI server: how much was cached, and when the first token came.

    cluster_load.py URL [--groups N] [--requests N] [--clients N] [--words N] [--seed N] [--warm N]

Each request is one of N groups' system prompts of so many words and a short question, streamed. Prints one JSON object.
Standard library only.
"""
import argparse
import concurrent.futures
import http.client
import json
import random
import threading
import time
import urllib.parse

WORDS = ("the river runs north past old mills where people made paper and cloth for towns on either bank until a railway came "
         "and took their work away to cities by the sea which few of them had seen before that year of hard frost").split()


def system_prompt(group, n_words, seed):
    draw = random.Random(f"{seed}/{group}")
    return f"You are assistant {group}. " + " ".join(draw.choice(WORDS) for _ in range(n_words))


def ask(url, body):
    """Seconds to the first token, cached and prompt tokens; or what went wrong, and whether a byte had come."""
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=120)
    begin, first, usage, is_done = time.monotonic(), None, None, False
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            return {"error": f"{response.status} {response.read(300)}", "byte": False}
        for line in response:
            if first is None and b'"content":"' in line and b'"content":""' not in line:  # the first piece tells the role only
                first = time.monotonic() - begin
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if "error" in event:
                    return {"error": event["error"]["message"], "byte": True}
                usage = event.get("usage") or usage
            is_done = is_done or line.startswith(b"data: [DONE]")
        if not usage or not is_done:
            return {"error": "the stream broke off", "byte": True}
        return {"ttft": first if first is not None else time.monotonic() - begin, "prompt": usage["prompt_tokens"],
                "cached": usage["prompt_tokens_details"]["cached_tokens"]}
    except (OSError, http.client.HTTPException) as error:
        return {"error": repr(error), "byte": first is not None}
    finally:
        connection.close()


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    for name, default in ("groups", 12), ("requests", 300), ("clients", 6), ("words", 300), ("seed", 1), ("warm", 0):
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    url = urllib.parse.urlsplit(options.url)
    draw = random.Random(options.seed)
    prompts = [system_prompt(g, options.words, options.seed) for g in range(options.groups)]
    bodies = [{"messages": [{"role": "system", "content": prompts[draw.randrange(options.groups)]},
                            {"role": "user", "content": f"Question {i}: what is {draw.randrange(90)} + {draw.randrange(90)}?"}],
               "max_tokens": 4, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
              for i in range(options.warm + options.requests)]
    lock = threading.Lock()
    begin = []

    def run(i):
        with lock:
            if i == options.warm:
                begin.append(time.monotonic())
        return ask(url, bodies[i])

    with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
        results = list(pool.map(run, range(len(bodies))))[options.warm:]
    seconds = time.monotonic() - begin[0]
    good = [r for r in results if "error" not in r]
    bad = [r for r in results if "error" in r]
    ttft = [r["ttft"] * 1000 for r in good]
    print(json.dumps({"requests": len(results), "failed": len(bad), "failed_without_a_byte": sum(not r["byte"] for r in bad),
                      "errors": sorted({r["error"] for r in bad})[:3],
                      "prompt_tokens": sum(r["prompt"] for r in good) // max(1, len(good)),
                      "hit_rate": sum(r["cached"] for r in good) / max(1, sum(r["prompt"] for r in good)),
                      "ttft_ms_p50": quantile(ttft, 0.5), "ttft_ms_p90": quantile(ttft, 0.9),
                      "requests_per_s": len(good) / seconds}))


if __name__ == "__main__":
    main()
