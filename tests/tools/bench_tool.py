"""tokfs-bench: each workload runs for a moment and its JSON has the keys that tokfs-bench(1) names. Nothing timed is asserted.
Usage: bench_tool.py TOKFS_BENCH"""

import json
import subprocess
import sys
import unittest

TOOL = sys.argv.pop(1)
TINY = ["--shape", "tiny", "--threads", "1"]


def run(*args):
    return subprocess.run([TOOL, *args], capture_output=True, text=True, timeout=100)


class BenchTool(unittest.TestCase):
    def figures(self, *args):
        got = run(*args, "--json")
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        figures = json.loads(got.stdout)
        self.assertEqual(figures["workload"], args[0])
        return figures

    def assert_keys(self, figures, keys):
        self.assertEqual(set(keys.split()) - set(figures), set())

    def test_chat(self):
        f = self.figures("chat", *TINY, "--sequences", "2", "--prompt", "40", "--tokens", "4", "--rounds", "1")
        self.assert_keys(f, "ttft_saved_turn_2 ttft_saved_turn_5 users system_tokens message_tokens "
                         + " ".join(f"ttft_ms_turn_{i}_{e}" for i in range(1, 11) for e in ("on", "off")))
        self.assertGreater(f["hit_rate"], 0.8)  # not a time: what is cached is the same in every run

    def test_mixed(self):
        f = self.figures("mixed", *TINY, "--sequences", "2", "--prompt", "200", "--tokens", "32")
        self.assert_keys(f, "itl_ms_p50 itl_ms_p99 itl_ms_max itl_p99_over_p50 itl_ms_quiet_p50 itl_ms_quiet_p99 "
                            "prefill_tokens_per_s loaded_times sequences prompt_tokens")

    def test_errors_are_one_line(self):
        for args in (["mixed", "--tokens", "2"], ["chat", "--batch", "0"], ["nothing"]):
            got = run(*args)
            self.assertNotEqual(got.returncode, 0)
            self.assertEqual(got.stderr.count("\n"), 1, got.stderr)


if __name__ == "__main__":
    unittest.main()
