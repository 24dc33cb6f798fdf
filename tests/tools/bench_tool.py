"""tokfs-bench: each workload runs for a moment and its JSON has the keys that tokfs-bench(1) names. Nothing timed is asserted.
Usage: bench_tool.py TOKFS_BENCH"""

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest

TOOL = sys.argv.pop(1)
TINY = ["--shape", "tiny", "--threads", "1"]


def run(*args):
    return subprocess.run([TOOL, *args], capture_output=True, text=True, timeout=600)


class Peer(http.server.ThreadingHTTPServer):
    """Another server, whose every second stream lacks its end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            with self.server.lock:
                self.server.n += 1
                is_whole = self.server.n % 2
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'data: {"choices":[{"delta":{"content":"a"}}]}\r\n\r\n' * 3 + b"data: [DONE]\r\n\r\n" * is_whole)

        def log_message(self, *arguments):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.n, self.lock = 0, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1/chat/completions"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)


class BenchTool(unittest.TestCase):
    def figures(self, *args):
        got = run(*args, "--json")
        said = [line for line in got.stderr.splitlines() if "info: serving" not in line and "requests failed" not in line]
        self.assertEqual((got.returncode, said), (0, []))
        figures = json.loads(got.stdout)
        self.assertEqual(figures["workload"], args[0])
        return figures

    def assert_keys(self, figures, keys):
        self.assertEqual(set(keys.split()) - set(figures), set())

    def test_http(self):
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            self.skipTest("no access to FUSE")
        keys = "requests_per_s requests failed total_ms_p50 total_ms_p999 first_ms_p99 client_cpu"
        asked = ["http", *TINY, "--clients", "2", "--tokens", "4", "--seconds", "0.2", "--ask", "hi"]
        f = self.figures(*asked)
        self.assert_keys(f, keys)
        self.assertEqual(f["failed"], 0)
        with Peer() as peer:
            f = self.figures(*asked, "--stream", "--rate", "50", "--rounds", "2", "--peer", peer.url)
        self.assert_keys(f, keys + " events_per_s between_ms_p50 delay_us_p99 peer_requests_per_s peer_events_per_s times_requests_per_s "
                                   "times_first_ms_p50 times_events_per_s")
        self.assertEqual((f["failed"], f["peer_failed"]), (0, peer.n // 2))  # every second one breaks off
        self.assertEqual(f["peer_requests"], peer.n - peer.n // 2)

    def test_chat(self):
        f = self.figures("chat", *TINY, "--sequences", "2", "--prompt", "40", "--tokens", "4", "--rounds", "1")
        self.assert_keys(f, "ttft_saved_turn_2 ttft_saved_turn_5 users system_tokens message_tokens "
                         + " ".join(f"ttft_ms_turn_{i}_{e}" for i in range(1, 11) for e in ("on", "off")))
        self.assertGreater(f["hit_rate"], 0.8)  # not a time: what is cached is the same in every run

    def test_mixed(self):
        f = self.figures("mixed", *TINY, "--sequences", "2", "--prompt", "200", "--tokens", "32")
        self.assert_keys(f, "itl_ms_p50 itl_ms_p99 itl_ms_max itl_p99_over_p50 itl_ms_quiet_p50 itl_ms_quiet_p99 "
                            "prefill_tokens_per_s loaded_times sequences prompt_tokens")

    def test_steady(self):
        f = self.figures("steady", *TINY, "--requests", "200", "--clients", "4", "--prompt", "32", "--tokens", "4")
        self.assert_keys(f, "cpu_trend rss_growth_bytes cached_share evicted_pages clients "
                         + " ".join(f"{key}_{i}" for i in range(1, 11) for key in ("requests_per_s", "cpu_us", "rss_bytes")))
        self.assertGreater(f["cached_share"], 0.3)

    def test_cache(self):
        f = self.figures("cache", *TINY, "--sequences", "20", "--ctx", "700", "--prompt", "20", "--tokens", "2", "--rounds", "1",
                         "--clients", "2")
        self.assert_keys(f, "match_ns_per_1000_tokens match_ns_per_1000_tokens_p99 insert_ns_per_1000_tokens evict_ns_per_page "
                            "cached_sequences cached_sequence_tokens unshared_cost unshared_cost_p25 unshared_cost_p75 "
                            "outside_share_on outside_share_off requests")

    def test_peer(self):
        model_tool = os.path.join(os.path.dirname(TOOL), "..", "model", "tokfs-model")
        with tempfile.TemporaryDirectory() as tmp:
            model, peer, llama_bench = tmp + "/tiny.gguf", tmp + "/peer.sh", tmp + "/llama-bench"
            for args in ["random", "--shape", "tiny", tmp + "/tiny"], ["quantize", tmp + "/tiny", model]:
                self.assertEqual(subprocess.run([model_tool, *args]).returncode, 0)
            with open(peer, "w") as f:
                f.write('echo "a peer"; while read -r line; do echo "$line" >> ' + tmp + "/asked; echo 0.5; done\n")
            with open(llama_bench, "w") as f:
                f.write("""echo '[{"avg_ts": 0.25}]'\n""")
            args = ["peer", "--model", model, "--threads", "1", "--prompt", "8", "--tokens", "4", "--rounds", "2", "--sequences", "3"]
            f = self.figures(*args, "--peer-command", f"sh {peer}")
            self.assertIn("against a peer", f["backend"])
            self.assertEqual((f["peer_prefill_tokens_per_s"], f["peer_decode_tokens_per_s"], f["peer_batched_tokens_per_s"]), (0.5, 0.5, 0.5))
            self.assert_keys(f, "prefill_ratio decode_ratio batched_ratio prefill_tokens_per_s decode_tokens_per_s batched_tokens_per_s")
            with open(tmp + "/asked") as asked:
                self.assertEqual(asked.read().splitlines(), ["prefill 8", "decode 8 4 1"] * 2 + ["decode 8 4 3"] * 2)
            f = self.figures(*args, "--llama-bench", f"sh {llama_bench}")
            self.assertEqual((f["peer_prefill_tokens_per_s"], f["peer_decode_tokens_per_s"], "batched_ratio" in f), (0.25, 0.25, False))
            for command, word in ["true", "ended without an answer"], [f"sh -c 'echo name; read line; echo fast' x", '"fast" is not a rate']:
                got = run(*args, "--peer-command", command)
                self.assertEqual(got.returncode, 1)
                self.assertIn(word, got.stderr)

    def test_index(self):
        f = self.figures("index", "--nodes", "7", "--blocks", "20000")
        self.assert_keys(f, "store_blocks_per_s bytes_per_placement placements match_blocks_per_s match_shared_us_p50 "
                            "match_shared_us_p99 clear_us cleared_blocks sweep_ms remove_blocks_per_s nodes")
        self.assertEqual((f["placements"], f["nodes"]), (20096, 7))  # whole conversations

    def test_score(self):
        f = self.figures("score", *TINY, "--nodes", "5", "--prompt", "1000")
        self.assert_keys(f, "score_us_p50 score_us_p99 text_us_p50 hash_us_p50 match_us_p50 prompt_tokens nodes")
        self.assertGreater(f["prompt_tokens"], 500)

    def test_cluster(self):
        args = ["cluster", "--nodes", "8", "--requests", "2000", "--rate", "8", "--tenants", "32", "--pages", "2000", "--prompt", "2000"]
        f = self.figures(*args)
        self.assert_keys(f, "predicted_rate router_us_p50 router_us_p99 index_placements index_bytes prompt_tokens requests nodes "
                         + " ".join(f"{k}_{p}" for k in ("hit_rate", "ttft_ms_p50", "ttft_ms_p90", "ttft_ms_p99")
                                    for p in ("prefix", "round_robin", "random")))
        self.assertEqual(f["hit_rate_prefix"], f["predicted_rate"])  # what is told at once is known exactly
        self.assertGreater(f["hit_rate_prefix"], 1.5 * f["hit_rate_round_robin"])
        self.assertLess(f["ttft_ms_p90_prefix"], f["ttft_ms_p90_round_robin"])
        self.assertLessEqual(f["index_placements"], 8 * 2000)

    def test_grammar(self):
        f = self.figures("grammar", *TINY, "--sequences", "2", "--tokens", "64")
        self.assert_keys(f, "trie_ms vocabulary compile_us_p50 compile_us_max mask_us_p50 mask_us_p99 mask_us_max mask_kept_us_p50 "
                            "mask_kept_us_p99 advance_us_p50 forced_share free_tokens_per_s guided_tokens_per_s jumping_tokens_per_s "
                            "jumped_share sequences")
        self.assertGreater(f["jumped_share"], 0)

    def test_decode(self):
        # Long enough that the first still speaks when a slow machine has the second begin.
        f = self.figures("decode", *TINY, "--sequences", "2", "--tokens", "400", "--rounds", "1")
        self.assert_keys(f, "decode_tokens_per_s read_bandwidth_bytes_per_s bandwidth_share bandwidth_share_kv weight_bytes kv_bytes sequences outside_share "
                            "outside_us ahead_share")

    SCHEDULE = ("ttft_ms_p50 ttft_ms_p90 ttft_ms_p99 itl_ms_p50 itl_ms_p90 itl_ms_p99 requests_per_s answer_tokens_per_s "
                "prompt_tokens_per_s hit_rate fairness timed_out preemptions evicted_pages queued_max requests tenants steps simulated_s")

    def schedule(self, *args):
        f = self.figures("schedule", *args)
        self.assert_keys(f, self.SCHEDULE + " policy_us_per_step")
        return {key: f[key] for key in self.SCHEDULE.split()}  # the last is real time

    def replay(self, *lines, args=()):
        with tempfile.TemporaryDirectory() as dir:
            path = os.path.join(dir, "trace")
            with open(path, "w") as f:
                f.write("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
            return run("schedule", "--trace", path, "--json", *args) if isinstance(lines[0], str) \
                else self.schedule("--trace", path, *args)

    def test_schedule_is_the_same_in_every_run(self):
        args = ["--requests", "300", "--rate", "1000", "--seed", "5"]
        f = self.schedule(*args)
        self.assertEqual(f, self.schedule(*args))
        self.assertEqual((f["requests"], f["tenants"]), (300, 4))
        self.assertGreater(f["queued_max"], 100)
        self.assertGreater(f["fairness"], 0.9)
        self.assertNotEqual(f, self.schedule(*args[:-1], "6"))

    def test_schedule_preempts_in_a_small_pool_and_ends(self):
        f = self.schedule("--requests", "100", "--rate", "1000", "--pages", "256", "--ctx", "1024", "--tokens", "300")
        self.assertGreater(f["preemptions"], 0)
        self.assertGreater(f["evicted_pages"], 0)

    def test_schedule_step_costs_what_the_model_of_it_says(self):
        f = self.replay({"arrival_s": 2, "prompt_tokens": 100, "answer_tokens": 3},
                        args=["--step-us", "1000", "--row-us", "10", "--context-us", "1"])
        self.assertAlmostEqual(f["ttft_ms_p50"], 1 + 1 + 5.05)  # 100 rows that see 1 to 100 positions
        self.assertAlmostEqual(f["itl_ms_p50"], 1 + 0.01 + 0.101)  # nearest rank: the first of two
        self.assertEqual(f["steps"], 3)

    def test_schedule_second_turn_finds_the_first(self):
        turn = {"tenant": 7, "prefix": "system", "prefix_tokens": 50, "session": "a", "answer_tokens": 10}
        f = self.replay({**turn, "arrival_s": 0, "prompt_tokens": 80}, {**turn, "arrival_s": 9, "prompt_tokens": 100},
                        {**turn, "arrival_s": 18, "prompt_tokens": 100, "session": "b"})
        self.assertAlmostEqual(f["hit_rate"], (89 + 50) / 280)  # the last token of an answer is never computed
        f = self.replay({"arrival_s": 0, "prompt": list(range(64)), "answer_tokens": 1},
                        {"arrival_s": 1, "prompt": list(range(32)) + [99] * 32, "answer_tokens": 0})
        self.assertAlmostEqual(f["hit_rate"], 32 / 128)

    def test_schedule_urgent_ones_come_first(self):
        one = {"arrival_s": 0, "prompt_tokens": 400, "answer_tokens": 1}
        args = ["--sequences", "1", "--step-us", "1000", "--row-us", "0", "--context-us", "0"]
        lines = [{**one, "priority": 0 if i else -1} for i in range(4)]
        self.assertEqual(self.replay(*lines, args=args)["ttft_ms_p99"], 4)

    def test_schedule_ends_requests_at_their_timeout(self):
        one = {"arrival_s": 0, "prompt_tokens": 10, "answer_tokens": 100}
        args = ["--sequences", "1", "--step-us", "1000", "--row-us", "0", "--context-us", "0"]
        f = self.replay({**one, "timeout": 0.02}, one, {**one, "timeout": 0.05}, args=args)
        self.assertEqual(f["timed_out"], 2)  # the first after 20 ms, the last while the second runs
        self.assertAlmostEqual(f["simulated_s"], 0.02 + 0.1)

    def test_schedule_refuses_by_line_and_field(self):
        good = '{"arrival_s":0,"prompt_tokens":5,"answer_tokens":1}'
        for line, message in (
            ('{"prompt_tokens":5,"answer_tokens":1}', "arrival_s is not a number"),
            ('{"arrival_s":0,"prompt_tokens":5}', "answer_tokens is missing"),
            ('{"arrival_s":0,"answer_tokens":5}', "prompt or prompt_tokens has to be there"),
            ('{"arrival_s":0,"prompt_tokens":5,"answer_tokens":9999}', "answer_tokens is not a whole number from 0 to 4096"),
            ('{"arrival_s":0,"prompt_tokens":4000,"answer_tokens":97}', "prompt and answer do not fit in the context"),
            ('{"arrival_s":0,"prompt_tokens":5,"answer_tokens":1,"prefix":1}', "prefix and prefix_tokens go together"),
            ('{"arrival_s":0,"prompt_tokens":5,"answer_tokens":1,"timeout":-1}', "timeout is not a number from 0 to 1e8"),
            ('{"arrival_s":0,"prompt":[1,-1],"answer_tokens":1}', "prompt has something that is not an id"),
            ('{"arrival_s":0,"prompt_tokens":5,"answer_tokens":1,"user":1}', "unknown field user"),
            ("nonsense", ""),
        ):
            got = self.replay(good, line)
            self.assertEqual(got.returncode, 1, line)
            self.assertIn(f"line 2: {message}", got.stderr)
            self.assertEqual(got.stderr.count("\n"), 1)
        self.assertEqual(self.replay(good, "").returncode, 0)

    def test_errors_are_one_line(self):
        for args in (["mixed", "--tokens", "2"], ["steady", "--requests", "15"], ["chat", "--batch", "0"], ["nothing"], ["schedule", "--rate", "0"],
                     ["schedule", "--trace", "/nonexistent"], ["schedule", "--pages", "3"], ["schedule", "--batch", "8"]):
            got = run(*args)
            self.assertNotEqual(got.returncode, 0)
            self.assertEqual(got.stderr.count("\n"), 1, got.stderr)

    def test_bad_values_of_options_are_usage_errors(self):
        for option, value in (("shape", "huge"), ("dtype", "f8"), ("isa", "mmx"), ("threads", "x"), ("rounds", "0"), ("seconds", "-1"),
                              ("rate", "")):
            got = run("decode", "--" + option, value)
            self.assertEqual((got.returncode, got.stderr.count("\n")), (2, 1), got.stderr)
            self.assertTrue(got.stderr.startswith(f"tokfs-bench: --{option} {value or chr(39) * 2}: "), got.stderr)
        got = run("decode", "--nonsense")
        self.assertEqual((got.returncode, got.stderr), (2, "tokfs-bench: unrecognized option '--nonsense'\n"))

    def test_a_model_that_cannot_be_made_is_told_in_one_line(self):
        got = subprocess.run([TOOL, "tokenize", "--shape", "tiny"], capture_output=True, text=True, env={**os.environ, "TMPDIR": "/nonexistent"})
        self.assertEqual((got.returncode, got.stderr.count("\n")), (1, 1), got.stderr)


if __name__ == "__main__":
    unittest.main()
