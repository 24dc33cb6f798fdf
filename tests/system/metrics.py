#!/usr/bin/env python3
"""metrics: the text format of Prometheus to the letter, vLLM's names, and histograms that agree with what was asked.

The parser here is strict where Prometheus' own is lenient. Where prometheus_client is installed, it reads the page too.
"""
import json
import math
import os
import re

from mount import ENDLESS, Mount, run_tests, transact, until

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None

IS_NULL = os.environ.get("TOKFS_MODEL") == "null"
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^ ].*\})? (-?[0-9.]+(?:e-?[0-9]+)?)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(,|$)')
VLLM_HISTOGRAMS = """time_to_first_token_seconds inter_token_latency_seconds time_per_output_token_seconds
    request_time_per_output_token_seconds e2e_request_latency_seconds request_queue_time_seconds request_inference_time_seconds
    request_prefill_time_seconds request_decode_time_seconds request_prompt_tokens request_generation_tokens
    iteration_tokens_total""".split()
VLLM_OTHERS = """num_requests_running num_requests_waiting kv_cache_usage_perc gpu_cache_usage_perc prompt_tokens_total
    generation_tokens_total prefix_cache_queries_total prefix_cache_hits_total num_preemptions_total request_success_total
    lora_requests_info cache_config_info""".split()


def unescape(text):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def labels_of(text):
    labels, at = {}, 0
    while at < len(text):
        label = LABEL.match(text, at)
        assert label and label[1] not in labels, text
        labels[label[1]] = unescape(label[2])
        at = label.end()
    return labels


class Family:
    def __init__(self, kind):
        self.kind = kind
        self.samples = []  # (suffix, labels, value)

    def value(self, suffix="", **labels):
        found = [value for s, own, value in self.samples if s == suffix and all(own.get(k) == v for k, v in labels.items())]
        assert len(found) == 1, (suffix, labels, found)
        return found[0]


def parse(text):
    """Families by name; each is one HELP, one TYPE and its samples, in one piece."""
    families, name, helped = {}, None, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped, words = line.split(" ", 3)[2:]
            assert helped not in families and words, line
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert name == helped and name not in families and kind in ("counter", "gauge", "histogram"), line
            assert kind != "counter" or name.endswith("_total"), line
            families[name] = Family(kind)
        else:
            sample = SAMPLE.match(line)
            assert sample, line
            suffix = sample[1].removeprefix(name)
            wanted = ("_bucket", "_sum", "_count") if families[name].kind == "histogram" else ("",)
            assert sample[1].startswith(name) and suffix in wanted, (name, line)
            labels = labels_of(sample[2][1:-1]) if sample[2] else {}
            assert all((suffix, labels) != (s, own) for s, own, _ in families[name].samples), line
            families[name].samples.append((suffix, labels, float(sample[3])))
    for name, family in families.items():
        assert family.samples, name
        if family.kind == "histogram":
            check_histogram(name, family)
    return families


def check_histogram(name, family):
    buckets = [(float(labels["le"].replace("+Inf", "inf")), value) for s, labels, value in family.samples if s == "_bucket"]
    assert buckets[-1][0] == math.inf and buckets[-1][1] == family.value("_count"), name
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), (name, buckets)
    n, total = family.value("_count"), family.value("_sum")
    at_least = sum((b[1] - a[1]) * a[0] for a, b in zip(buckets, buckets[1:]))
    assert at_least <= total + 1e-6 and (n > 0 or total == 0), (name, at_least, total)


def page(mount):
    return parse(mount.read("metrics").decode())


def test_the_page_is_strictly_well_formed():
    served = "fake" if IS_NULL else 'a "b" \\c'
    with Mount(*([] if IS_NULL else ["--served-name", served])) as m:
        transact(m, "generate", {"text": "Once upon a time", "sampling_params": {"max_new_tokens": 5}})
        families = page(m)
        text = m.read("metrics").decode()
    for name in VLLM_HISTOGRAMS + VLLM_OTHERS:
        family = families["vllm:" + name]
        assert (family.kind == "histogram") == (name in VLLM_HISTOGRAMS), name
        for _, labels, _ in family.samples:
            assert labels.get("model_name", served) == served, labels
            assert name == "lora_requests_info" or "model_name" in labels, (name, labels)
    lora = families["vllm:lora_requests_info"].samples[0][1]
    assert lora == {"max_lora": "0", "running_lora_adapters": "", "waiting_lora_adapters": ""}, lora
    cache = families["vllm:cache_config_info"].samples[0][1]
    assert int(cache["block_size"]) > 0 and int(cache["num_gpu_blocks"]) >= 0, cache
    if text_string_to_metric_families:
        read = {family.name: family for family in text_string_to_metric_families(text)}
        assert all(name.removesuffix("_total") in read or name in read for name in families), set(families) - set(read)


def test_histograms_agree_with_what_was_asked():
    if IS_NULL:
        return
    asked = [("Once upon a time", 5, 1), ("One", 9, 3), ("Two and two is", 1, 1)]
    with Mount() as m:
        before, usages = page(m), []
        for prompt, n_tokens, n in asked:
            answer = json.loads(transact(m, "v1/completions", {"prompt": prompt, "max_tokens": n_tokens, "ignore_eos": True, "n": n}))
            usages.append(answer["usage"])
        n_answers = sum(n for _, _, n in asked)  # the last event comes a moment before the figures
        until(lambda: sum(value for _, _, value in page(m)["vllm:request_success_total"].samples) == n_answers, "all are counted")
        after = page(m)
    assert all(family.value("_count") == 0 for name, family in before.items() if family.kind == "histogram")

    def of(name, suffix):
        return after["vllm:" + name].value(suffix)

    n_sampled = sum(usage["completion_tokens"] for usage in usages)
    for name in ("time_to_first_token_seconds", "e2e_request_latency_seconds", "request_queue_time_seconds",
                 "request_inference_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds",
                 "request_prompt_tokens", "request_generation_tokens"):
        assert of(name, "_count") == n_answers, name
    assert of("inter_token_latency_seconds", "_count") == n_sampled - n_answers
    assert of("request_time_per_output_token_seconds", "_count") == n_answers - 1, "one had a single token"
    assert of("request_generation_tokens", "_sum") == n_sampled == after["vllm:generation_tokens_total"].value()
    assert of("request_prompt_tokens", "_sum") == sum(u["prompt_tokens"] * n for u, (_, _, n) in zip(usages, asked))
    assert abs(of("inter_token_latency_seconds", "_sum") - of("request_decode_time_seconds", "_sum")) < 1e-6
    total, parts = of("e2e_request_latency_seconds", "_sum"), of("request_queue_time_seconds", "_sum") + of("request_inference_time_seconds", "_sum")
    assert parts <= total, (parts, total)
    assert of("iteration_tokens_total", "_count") == after["tokfs_steps_total"].value()
    ends = after["vllm:request_success_total"]
    assert [ends.value(finished_reason=reason) for reason in ("stop", "length", "abort", "error")] == [0, n_answers, 0, 0]


def test_ends_are_counted_by_their_reason():
    if IS_NULL:
        return
    with Mount(endless=True) as m:
        transact(m, "v1/completions", {"prompt": "One", "max_tokens": 8, "temperature": 0, "stop_token_ids": list(range(100, 220))})
        fd = os.open(m.at("v1/chat/completions"), os.O_RDWR)
        os.write(fd, json.dumps({**ENDLESS, "stream": True}).encode())
        os.read(fd, 100)
        os.close(fd)
        until(lambda: page(m)["vllm:request_success_total"].value(finished_reason="abort") == 1, "its end is counted")
        transact(m, "generate", {"text": "Still here", "sampling_params": {"max_new_tokens": 1, "ignore_eos": True}})
        ends = page(m)["vllm:request_success_total"]
        assert sum(value for _, _, value in ends.samples) >= 2, ends.samples
        assert ends.value(finished_reason="abort") == 1 and ends.value(finished_reason="error") == 0, ends.samples


run_tests([value for name, value in list(globals().items()) if name.startswith("test_")])
