"""tokfs-model info, random, logits and what takes GGUF files, as a user sees them: outputs, one-line errors, exit codes. Usage: model_tool.py TOKFS_MODEL"""

import hashlib
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)


def run(*args, stdin=""):
    return subprocess.run([TOOL, *args], input=stdin, capture_output=True, text=True, timeout=600)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def read_header(path):
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))


def gguf(entries):
    """A GGUF file without tensors: strings, bools, and lists of strings."""
    def text(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()

    def value(v):
        if isinstance(v, bool):
            return struct.pack("<I?", 7, v)
        if isinstance(v, str):
            return struct.pack("<I", 8) + text(v)
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(text(s) for s in v)

    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(text(k) + value(v) for k, v in entries.items())


class ModelTool(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.dir = os.path.join(self.tmp.name, "tiny")

    def tearDown(self):
        self.tmp.cleanup()

    def make(self, *args, directory=None):
        result = run("random", "--shape", "tiny", *args, directory or self.dir)
        self.assertEqual((result.returncode, result.stderr, result.stdout), (0, "", ""))

    def assert_fails(self, result, *words, code=1):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_gguf_tokenizes_and_renders(self):
        path = os.path.join(self.tmp.name, "v.gguf")
        entries = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": ["a", "b", "ab"],
                   "tokenizer.ggml.merges": ["a b"], "tokenizer.chat_template": "{{ x }}!"}
        with open(path, "wb") as f:
            f.write(gguf(entries))
        self.assertEqual(run("tokenize", path, stdin='"abb"\n').stdout, "[2,1]\n")
        self.assertEqual(run("detokenize", path, stdin="[2,1]\n").stdout, '"abb"\n')
        self.assertEqual(json.loads(run("render", path, stdin='{"x":"hi"}\n').stdout), {"ok": True, "output": "hi!"})
        del entries["tokenizer.chat_template"]
        with open(path, "wb") as f:
            f.write(gguf(entries | {"tokenizer.ggml.pre": "odd"}))
        self.assert_fails(run("tokenize", path, stdin='"abb"\n'), path, 'tokenizer.ggml.pre: the pre-tokenizer "odd" is not known')
        self.assert_fails(run("render", path, stdin="{}\n"), path, "tokenizer.chat_template is missing")
        with open(path, "wb") as f:
            f.write(b"{}")
        self.assert_fails(run("tokenize", path), path, "not a GGUF file")

    def test_info_tells_what_random_made(self):
        for dtype, width in ("bf16", 2), ("f16", 2), ("f32", 4):
            directory = os.path.join(self.tmp.name, dtype)
            self.make("--dtype", dtype, directory=directory)
            info = json.loads(run("info", "--json", directory).stdout)
            self.assertEqual(info["architecture"], "LlamaForCausalLM")
            self.assertEqual(info["parameters"], 150336)
            self.assertEqual(info["weight_bytes"], {dtype.upper(): 150336 * width})
            text = run("info", "--tensors", directory)
            self.assertEqual(text.returncode, 0)
            self.assertIn("parameters    150336\n", text.stdout)
            self.assertIn(f"model.embed_tokens.weight {dtype.upper()} 1000x64 model.safetensors\n", text.stdout)

    def test_random_depends_on_the_seed_alone(self):
        paths = [os.path.join(self.tmp.name, name) for name in "abc"]
        for path, seed in zip(paths, ("7", "7", "8")):
            self.make("--seed", seed, directory=path)
        digests = [digest(os.path.join(p, "model.safetensors")) for p in paths]
        self.assertEqual(digests[0], digests[1])
        self.assertNotEqual(digests[0], digests[2])
        self.assertEqual(*(digest(os.path.join(p, "tokenizer.json")) for p in (paths[0], paths[2])))

    def test_random_in_shards_is_the_same_model(self):
        self.make()
        shards = os.path.join(self.tmp.name, "shards")
        self.make("--shard-max", "100K", directory=shards)
        with open(os.path.join(shards, "model.safetensors.index.json")) as f:
            index = json.load(f)
        self.assertGreater(len(set(index["weight_map"].values())), 2)
        self.assertEqual(set(index["weight_map"]), set(read_header(self.dir + "/model.safetensors")) - {"__metadata__"})
        prompt = "[5, 6, 7, 900]\n"
        whole = run("logits", self.dir, stdin=prompt)
        self.assertEqual(whole.returncode, 0)
        self.assertEqual(run("logits", shards, stdin=prompt).stdout, whole.stdout)

    def test_random_weights_have_their_scale(self):
        self.make("--dtype", "f32")
        path = self.dir + "/model.safetensors"
        header = read_header(path)
        begin, end = header["model.layers.1.mlp.gate_proj.weight"]["data_offsets"]
        with open(path, "rb") as f:
            data = f.read()
        values = struct.unpack(f"<{(end - begin) // 4}f", data[len(data) - max(
            t["data_offsets"][1] for k, t in header.items() if k != "__metadata__"):][begin:end])
        self.assertLess(abs(sum(values) / len(values)), 0.01)
        self.assertLess(abs(math.sqrt(sum(v * v for v in values) / len(values)) * 8 - 1), 0.05)

    def test_random_refuses_by_option_and_value(self):
        self.assert_fails(run("random", "--shape", "huge", self.dir), "--shape huge: llama-1b, ", code=2)
        self.assert_fails(run("random", "--shape", "tiny", "--dtype", "f8", self.dir), "--dtype f8: f32, f16 or bf16 is needed", code=2)
        self.assert_fails(run("random", "--shape", "tiny", "--seed", "x", self.dir), "--seed x: a whole number", code=2)
        self.assert_fails(run("random", "--shape", "tiny", "--shard-max", "0", self.dir), "--shard-max 0: a size", code=2)
        self.assert_fails(run("random", self.dir), "usage: tokfs-model random", code=2)
        self.assert_fails(run("random", "--shape", "tiny", "/no/such/parent/x"), "/no/such/parent/x: No such file")
        self.assertFalse(os.path.exists(self.dir))
        self.make()
        before = digest(self.dir + "/model.safetensors")
        self.assert_fails(run("random", "--shape", "tiny", "--seed", "9", self.dir), "a model is there already")
        self.assertEqual(digest(self.dir + "/model.safetensors"), before)

    def test_logits_of_every_position_whatever_the_chunk(self):
        self.make()
        prompts = [[1, 2, 3, 4, 5, 6, 7], [999], []]
        lines = "".join(json.dumps(p) + "\n" for p in prompts)
        whole = run("logits", self.dir, stdin=lines)
        self.assertEqual((whole.returncode, whole.stderr), (0, ""))
        answers = [json.loads(line)["logits"] for line in whole.stdout.splitlines()]
        self.assertEqual([[len(row) for row in a] for a in answers], [[1000] * len(p) for p in prompts])
        for args in ("--chunk", "1"), ("--chunk", "3"), ("--threads", "1"), ("--ctx", "7"):
            self.assertEqual(run("logits", *args, self.dir, stdin=lines).stdout, whole.stdout, args)
        self.assertEqual(run("logits", self.dir, stdin=lines.rstrip("\n")).stdout, whole.stdout)
        other = run("logits", self.dir, stdin="[1, 2, 3, 4, 5, 6, 8]\n").stdout
        rows = json.loads(other)["logits"]
        self.assertEqual(rows[:6], answers[0][:6])
        self.assertNotEqual(rows[6], answers[0][6])

    def test_logits_bad_line_is_named_after_the_good_ones(self):
        self.make()
        for bad, *words in (
            ("[1, 1000]", "element 1 (1000) is not a token id from 0 to 999"),
            ("[-1]", "(-1)"),
            ("[1.5]", "(1.5)"),
            ('["a"]', "(a)"),
            ("{}", "not an array of token ids but object"),
            ("[1", "line 2"),
            (json.dumps([0] * 2049), "2049 tokens are more than the context of 2048"),
        ):
            result = run("logits", self.dir, stdin=f"[1]\n{bad}\n[1]\n")
            self.assert_fails(result, "tokfs-model logits: line 2: ", *words)
            self.assertEqual(result.stdout.count("\n"), 1)

    def test_generate_answers_in_the_order_of_the_lines(self):
        self.make()
        chats = [{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": n, "ignore_eos": True, "seed": n}
                 for n in (90, 3, 41, 1)]
        lines = "".join(json.dumps(c) + "\n" for c in chats)
        result = run("generate", self.dir, stdin="\n" + lines.rstrip("\n"))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([a["usage"]["completion_tokens"] for a in answers], [90, 3, 41, 1])
        self.assertEqual({a["object"] for a in answers}, {"chat.completion"})
        alone = [json.loads(run("generate", self.dir, stdin=json.dumps(c)).stdout) for c in chats]
        self.assertEqual([a["choices"] for a in alone], [a["choices"] for a in answers])

    def test_generate_greedy_ids_follow_the_logits(self):
        self.make()
        request = {"input_ids": [5, 6, 7], "sampling_params": {"temperature": 0, "max_new_tokens": 6, "ignore_eos": True}}
        answer = json.loads(run("generate", self.dir, stdin=json.dumps(request)).stdout)
        self.assertEqual(answer["meta_info"]["finish_reason"], {"type": "length"})
        self.assertEqual(answer["meta_info"]["completion_tokens"], 6)
        rows = json.loads(run("logits", self.dir, stdin=json.dumps([5, 6, 7] + answer["output_ids"])).stdout)["logits"]
        self.assertEqual([row.index(max(row)) for row in rows[2:-1]], answer["output_ids"])

    def test_generate_penalized_ids_follow_the_logits(self):
        self.make()
        prompt = [5, 6, 7]
        params = {"frequency_penalty": 1.5, "presence_penalty": 0.7, "repetition_penalty": 1.4}
        request = {"input_ids": prompt, "sampling_params": {"temperature": 0, "max_new_tokens": 12, "ignore_eos": True}}
        plain = json.loads(run("generate", self.dir, stdin=json.dumps(request)).stdout)["output_ids"]
        request["sampling_params"].update(params)
        ids = json.loads(run("generate", self.dir, stdin=json.dumps(request)).stdout)["output_ids"]
        rows = json.loads(run("logits", self.dir, stdin=json.dumps(prompt + ids)).stdout)["logits"]
        for i, token in enumerate(ids):
            row = list(rows[len(prompt) - 1 + i])
            for seen in set(prompt + ids[:i]):
                row[seen] *= 1 / params["repetition_penalty"] if row[seen] > 0 else params["repetition_penalty"]
            for said in set(ids[:i]):
                row[said] -= ids[:i].count(said) * params["frequency_penalty"] + params["presence_penalty"]
            self.assertEqual(row.index(max(row)), token)
        self.assertNotEqual(ids, plain)

    def test_generate_logprobs_are_the_logits_log_softmax(self):
        self.make()
        messages = [{"role": "user", "content": "Hi there"}]
        context = {"messages": messages, "add_generation_prompt": True}
        text = json.loads(run("render", self.dir, stdin=json.dumps(context)).stdout)["output"]
        ids = json.loads(run("tokenize", self.dir, stdin=json.dumps(text)).stdout)
        row = json.loads(run("logits", self.dir, stdin=json.dumps(ids)).stdout)["logits"][-1]
        log_sum = max(row) + math.log(sum(math.exp(x - max(row)) for x in row))
        want = sorted((x - log_sum for x in row), reverse=True)[:20]
        chat = {"messages": messages, "max_tokens": 1, "temperature": 1.5, "top_k": 3, "presence_penalty": 1,
                "logprobs": True, "top_logprobs": 20}
        answer = json.loads(run("generate", self.dir, stdin=json.dumps(chat)).stdout)
        entry = answer["choices"][0]["logprobs"]["content"][0]
        self.assertEqual(answer["usage"]["prompt_tokens"], len(ids))
        for one, logprob in zip(entry["top_logprobs"], want, strict=True):
            self.assertAlmostEqual(one["logprob"], logprob, delta=2e-5)
        self.assertIn(entry["logprob"], [one["logprob"] for one in entry["top_logprobs"][:3]])

    def test_generate_choices_and_logprobs(self):
        self.make()
        chat = {"messages": [{"role": "user", "content": "Hi"}], "n": 3, "seed": 2, "max_tokens": 5, "ignore_eos": True,
                "logprobs": True, "top_logprobs": 2}
        answer = json.loads(run("generate", self.dir, stdin=json.dumps(chat)).stdout)
        self.assertEqual([c["index"] for c in answer["choices"]], [0, 1, 2])
        for choice in answer["choices"]:
            entries = choice["logprobs"]["content"]
            self.assertEqual([len(e["top_logprobs"]) for e in entries], [2] * 5)
            self.assertEqual(choice["finish_reason"], "length")
        self.assertEqual(answer["usage"]["completion_tokens"], 15)

    def test_generate_bad_lines_are_answered_by_errors(self):
        self.make()
        good = {"input_ids": [1], "sampling_params": {"max_new_tokens": 1}}
        bad = ('{"messages":', '{"messages":[]}', '{"input_ids":[1,1000]}', '{"input_ids":"x"}', '{"input_ids":[1],"n":2}',
               '{"input_ids":[1],"sampling_params":{"top_p":0}}', '{"input_ids":[1],"sampling_params":{"tpo_p":1}}')
        result = run("generate", "--ctx", "64", self.dir, stdin="".join(f"{b}\n{json.dumps(good)}\n" for b in bad))
        self.assertEqual((result.returncode, result.stderr), (1, ""))
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(len(answers), 2 * len(bad))
        for error, answer in zip(answers[::2], answers[1::2]):
            self.assertTrue(error["error"]["message"])
            self.assertEqual(len(answer["output_ids"]), 1)
        self.assertEqual(answers[4]["error"]["param"], "input_ids")
        self.assert_fails(run("generate", "--ctx", "9999", self.dir), "--ctx: ", "9999", "2048")

    def test_bad_values_of_options_are_usage_errors(self):
        for command, option, value in (("generate", "kv-mem", "lots"), ("generate", "isa", "mmx"), ("generate", "device", "tpu"),
                                       ("generate", "ctx", "0"), ("generate", "max-sequences", ""), ("logits", "backend", "tpu"),
                                       ("logits", "isa", "mmx"), ("logits", "chunk", "1.5"), ("render", "now", "noon")):
            shown = f"tokfs-model {command}: --{option} {value or chr(39) * 2}: "
            self.assert_fails(run(command, "--" + option, value, self.dir), shown, " needed", code=2)
        for command in "info", "random", "logits", "generate", "tokenize", "detokenize", "render":
            self.assert_fails(run(command), f"usage: tokfs-model {command} ", code=2)
            self.assert_fails(run(command, "--nonsense", self.dir), f"tokfs-model {command}: ", "--nonsense", code=2)

    def test_detokenize_names_an_unknown_id(self):
        self.make()
        result = run("detokenize", self.dir, stdin="[1]\n[2,1000,3]\n[1]\n")
        self.assert_fails(result, "line 2: element 1: the tokenizer has no token 1000")
        self.assertEqual(result.stdout.count("\n"), 1)

    def test_render_answers_every_line_and_fails_for_a_template_that_does_not_compile(self):
        path = os.path.join(self.tmp.name, "t.jinja")
        with open(path, "w") as f:
            f.write("{{ 1 // x }}")
        result = run("render", path, stdin='{"x":0}\n{"x":\n{"x":1}\n')
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([a["ok"] for a in answers], [False, False, True])
        self.assertEqual(answers[1]["error"], "the context: line 1, column 6: the text ends inside an object")
        with open(path, "w") as f:
            f.write("{% if %}")
        result = run("render", path, stdin="{}\n{}\n")
        self.assert_fails(result, f"tokfs-model render: {path}: line 1, column 7: ")
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([a["ok"] for a in answers], [False, False])
        self.assertTrue(answers[0]["error"].startswith("line 1, column 7: "))

    def test_generate_answers_a_line_before_the_next_is_written(self):
        self.make()
        with subprocess.Popen([TOOL, "generate", self.dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            for n in 2, 5:
                p.stdin.write(json.dumps({"input_ids": [n], "sampling_params": {"max_new_tokens": n, "ignore_eos": True}}) + "\n")
                p.stdin.flush()
                self.assertEqual(len(json.loads(p.stdout.readline())["output_ids"]), n)
            p.stdin.close()
            self.assertEqual(p.wait(60), 0)

    def test_commands_refuse_a_bad_model_by_file(self):
        self.make()
        os.truncate(self.dir + "/model.safetensors", 200000)
        for command in "info", "logits":
            self.assert_fails(run(command, self.dir), self.dir + ": model.safetensors: tensor", "truncated")
            self.assert_fails(run(command, "/no/such/dir"), "/no/such/dir/config.json: No such file")
        self.assert_fails(run("logits", "--ctx", "9999", self.dir), "model.safetensors")

    def test_gguf_files_are_models(self):
        fixtures = os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "tests", "fixtures")
        info = json.loads(run("info", "--json", "--tensors", fixtures + "/gguf/blocks-32-00001-of-00003.gguf").stdout)
        self.assertEqual((info["architecture"], info["hidden_size"], info["tied_embeddings"]), ("LlamaForCausalLM", 256, True))
        self.assertEqual(set(info["weight_bytes"]), {"F32", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"})
        self.assertIn("blk.0.attn_q.weight", [t["name"] for t in info["tensors"]])
        same = [run("logits", fixtures + path, stdin="[1, 2, 3]\n") for path in ("/gguf/qwen3.gguf", "/models/qwen3")]
        self.assertEqual(same[0].returncode, 0, same[0].stderr)
        self.assertEqual(same[0].stdout, same[1].stdout)

    def compare(self, *args, lines):
        result = run("compare", "--json", *args, stdin="\n".join(map(json.dumps, lines)))
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_compare_measures_what_quantizing_costs(self):
        model = os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "tests", "fixtures", "gguf", "blocks-32-00001-of-00003.gguf")
        lines = [[i * 7 % 61 for i in range(40)], [3, 1, 4, 1, 5]]
        same = self.compare(model, lines=lines)
        self.assertEqual((same["positions"], same["kl_max"], same["same_top"]), (45, 0, 1))
        self.assertEqual(same["perplexity"], same["perplexity_reference"])
        q8, q4, kv = (self.compare(*args, model, lines=lines) for args in (["--weights", "q8"], ["--weights", "q4"], ["--kv-dtype", "f32"]))
        self.assertTrue(0 < q8["kl_mean"] < 0.001 and q8["same_top"] > 0.9, q8)
        self.assertTrue(q8["kl_mean"] < q4["kl_mean"] < 1, q4)
        self.assertTrue(0 < kv["kl_mean"] < 0.001, kv)
        self.assert_fails(run("compare", "--kv-dtype", "q8", model), "multiple of 32, not 16")
        self.assert_fails(run("compare", "--weights", "q3", model), "--weights q3", code=2)
        self.assert_fails(run("compare", model, stdin="hello\n"), "line 1: text needs a tokenizer")
        self.assert_fails(run("compare", model, stdin=""), "nothing to compare in 0 lines")
        self.assert_fails(run("compare", model, stdin="\n \n"), "nothing to compare in 2 lines")
        missing = os.path.join(self.dir, "missing.gguf")
        for command in ("info", missing), ("compare", missing):
            result = run(*command)
            self.assert_fails(result, missing)
            self.assertNotIn("config.json", result.stderr)
        self.make()
        self.assert_fails(run("compare", model, self.dir), "a vocabulary of 61")

    def test_quantize_writes_what_loading_quantized_holds(self):
        self.make()
        for form in "q8", "q4", "stored":
            out = f"{self.tmp.name}/{form}.gguf"
            result = run("quantize", "--weights", form, self.dir, out)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            line = "[5, 6, 7, 400, 9]\n"
            loaded = self.compare("--weights", form, self.dir, self.dir, lines=[[5, 6, 7, 400, 9]])
            written = self.compare(self.dir, out, lines=[[5, 6, 7, 400, 9]])
            self.assertEqual(loaded, written)
            texts = "\n".join(map(json.dumps, ["Hello, world  12\n", "<|im_start|>a<|im_end|>", "\u00e9\u4e2d"]))
            self.assertEqual(run("tokenize", out, stdin=texts).stdout, run("tokenize", self.dir, stdin=texts).stdout)
            again = f"{self.tmp.name}/{form}-again.gguf"
            self.assertEqual(run("quantize", "--weights", form, out, again).returncode, 0)
            self.assertEqual(run("logits", again, stdin=line).stdout, run("logits", out, stdin=line).stdout)
            self.assert_fails(run("quantize", self.dir, out), out + ": is there already")
        self.assert_fails(run("quantize", self.dir, "/no/such/place.gguf"), "/no/such/place.gguf.part: No such file")
        self.assert_fails(run("quantize", "--weights", "q3", self.dir, out), "--weights q3", code=2)

    def test_pack_makes_a_file_and_checks_it(self):
        self.make()
        result = run("pack", "--weights", "q8", self.dir)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("tokfs-cpu-q8.packed: 0 MB of packed weights kept", result.stdout)
        self.assertIn("packed weights taken", run("pack", "--weights", "q8", "--threads", "1", self.dir).stdout)
        path = self.tmp.name + "/file"
        self.assertIn("packed weights kept", run("pack", self.dir, path).stdout)
        with open(path, "r+b") as f:
            f.truncate(5000)
        self.assertRegex(run("pack", self.dir, path).stdout, "it has 5000 bytes of [0-9]+: made anew")
        os.chmod(path, 0o666)
        self.assert_fails(run("pack", self.dir, path), path + ": its mode is 666: others may write it")
        self.assert_fails(run("pack", self.dir, "/no/such/place"), "packed weights are not kept: /no/such/place.part: No such file")
        self.assert_fails(run("pack", "--weights", "q3", self.dir), "--weights q3", code=2)

    def test_quantize_keeps_how_to_sample_and_where_to_end(self):
        self.make()
        out, generation = self.tmp.name + "/out.gguf", self.dir + "/generation_config.json"
        with open(generation, "w") as f:
            json.dump({"temperature": 0.7, "top_k": 20, "eos_token_id": [3, 5, 7]}, f)
        ends = json.loads(run("info", "--json", self.dir).stdout)["end_tokens"]
        result = run("quantize", self.dir, out)
        if len(ends) > 3:
            self.assert_fails(result, "eos_token_id", "has room for two beside the tokenizer's")
            with open(generation, "w") as f:
                json.dump({"temperature": 0.7, "top_k": 20, "eos_token_id": [3, 5]}, f)
            ends = json.loads(run("info", "--json", self.dir).stdout)["end_tokens"]
            result = run("quantize", self.dir, out)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(sorted(json.loads(run("info", "--json", out).stdout)["end_tokens"]), sorted(ends))
        with open(out, "rb") as f:
            head = f.read()
        self.assertIn(b"general.sampling.temp" + struct.pack("<If", 6, 0.7), head)
        self.assertIn(b"general.sampling.top_k" + struct.pack("<II", 4, 20), head)

    def test_quantize_refuses_what_gguf_cannot_say(self):
        self.make()
        path, out = self.dir + "/tokenizer.json", self.tmp.name + "/out.gguf"
        with open(path) as f:
            tokenizer = json.load(f)
        split = {"type": "Split", "pattern": {"Regex": "[aeiou]+"}, "behavior": "Isolated", "invert": False}
        tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, tokenizer["pre_tokenizer"]]}
        with open(path, "w") as f:
            json.dump(tokenizer, f)
        self.assert_fails(run("quantize", self.dir, out), self.dir + ": tokenizer.json: pre_tokenizer: GGUF has no name for this one")
        windowed = os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "tests", "fixtures", "models", "mistral-window")
        self.assert_fails(run("quantize", windowed, out), "layer 0 of MistralForCausalLM has a window, which a GGUF file cannot say")
        self.assertEqual([name for name in os.listdir(self.tmp.name) if "gguf" in name], [])

    def test_quantize_undoes_and_makes_the_order_of_rows(self):
        fixtures = os.path.join(os.environ["TOKFS_SOURCE_ROOT"], "tests", "fixtures", "gguf")
        for name in "mixtral", "gpt-oss", "rope-llama3", "phi3-longrope", "mqa-biases-wide-heads":
            source, out = f"{fixtures}/{name}.gguf", f"{self.tmp.name}/{name}.gguf"
            self.assertEqual(run("quantize", source, out).returncode, 0, name)
            lines = [[i * 5 % 61 for i in range(30)]]
            loaded = self.compare("--kv-dtype", "f32", "--weights", "q8", source, lines=lines)
            self.assertEqual(self.compare("--kv-dtype", "f32", source, out, lines=lines), loaded, name)

    def test_generate_from_gguf_has_its_own_tokenizer(self):
        path = os.path.join(os.environ["TOKFS_TEST_DATA"], "weights", "stories260K", "gguf", "stories260K-f32.gguf")
        if not os.path.exists(path):
            self.skipTest(path + " is not there")
        line = json.dumps({"input_ids": [1, 403, 407, 261, 378], "sampling_params": {"max_new_tokens": 8, "temperature": 0}})
        result = run("generate", path, stdin=line + "\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("there was a", json.loads(result.stdout)["text"])

    def test_help_version_and_unknown_commands(self):
        self.assertEqual(run("--help").returncode, 0)
        self.assertRegex(run("--version").stdout, r"^tokfs-model \d+\.\d+\.\d+\n$")
        for command in "info", "random", "logits", "generate", "compare", "quantize":
            self.assertIn(f"usage: tokfs-model {command} ", run(command, "--help").stdout)
            self.assert_fails(run(command, "--nonsense"), "--nonsense", code=2)
        self.assert_fails(run("nonsense"), '"nonsense" is not a command', code=2)

    def test_full_output_is_an_error(self):
        self.make()
        with open("/dev/full", "w") as full:
            result = subprocess.run([TOOL, "info", self.dir], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assert_fails(result, "standard output: No space left on device")


if __name__ == "__main__":
    unittest.main()
