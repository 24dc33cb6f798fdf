#!/usr/bin/env python3
"""llama.cpp, through llama-cpp-python, as the other side of `tokfs-bench peer`.

    llama_peer.py MODEL.gguf THREADS CONTEXT SEQUENCES

Answers lines of standard input with tokens per second, as llama-bench measures them (random tokens, nothing is sampled):
    prefill TOKENS                      one prompt
    decode PROMPT TOKENS SEQUENCES      sequences together, each behind a prompt of its own
The first line of output is a name; a line that cannot be answered is answered by 0.
"""

import random
import sys
import time

import llama_cpp as ll


def fail(message):
    sys.exit(f"llama_peer.py: {message}")


class Peer:
    def __init__(self, path, n_threads, n_ctx, n_sequences):
        ll.llama_backend_init()
        self.model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
        if not self.model:
            fail(f"{path}: llama.cpp does not load it")
        params = ll.llama_context_default_params()
        params.n_ctx, params.n_seq_max = n_ctx * n_sequences, n_sequences
        params.n_batch = max(2048, n_sequences)
        params.n_threads = params.n_threads_batch = n_threads
        self.ctx = ll.llama_init_from_model(self.model, params)
        if not self.ctx:
            fail(f"{path}: llama.cpp makes no context of {n_ctx * n_sequences} tokens")
        self.n_vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.model))
        self.n_batch = params.n_batch
        self.batch = ll.llama_batch_init(self.n_batch, 0, 1)

    def clear(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.ctx), True)

    def run(self, rows):
        """Rows of (sequence, position, are logits wanted)."""
        for first in range(0, len(rows), self.n_batch):
            part = rows[first : first + self.n_batch]
            b = self.batch
            b.n_tokens = len(part)
            for i, (sequence, position, wanted) in enumerate(part):
                b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = random.randrange(self.n_vocab), position, 1, wanted
                b.seq_id[i][0] = sequence
            if ll.llama_decode(self.ctx, b) != 0:
                fail(f"llama_decode of {len(part)} tokens failed")
        ll.llama_synchronize(self.ctx)

    def prefill(self, n):
        self.clear()
        start = time.perf_counter()
        self.run([(0, i, i == n - 1) for i in range(n)])
        return n / (time.perf_counter() - start)

    def decode(self, n_prompt, n_tokens, n_sequences):
        self.clear()
        for s in range(n_sequences):
            self.run([(s, i, i == n_prompt - 1) for i in range(n_prompt)])
        start = time.perf_counter()
        for i in range(n_tokens):
            self.run([(s, n_prompt + i, True) for s in range(n_sequences)])
        return n_tokens * n_sequences / (time.perf_counter() - start)


def main():
    if len(sys.argv) != 5:
        fail("usage: llama_peer.py MODEL.gguf THREADS CONTEXT SEQUENCES")
    ll.llama_log_set(QUIET, None)
    peer = Peer(sys.argv[1], *map(int, sys.argv[2:]))
    print(f"llama.cpp (llama-cpp-python {ll.__version__})", flush=True)
    for line in sys.stdin:
        name, *numbers = line.split()
        rate = {"prefill": peer.prefill, "decode": peer.decode}[name](*map(int, numbers))
        print(f"{rate:.6g}", flush=True)


@ll.llama_log_callback
def QUIET(_level, _text, _data):
    pass


if __name__ == "__main__":
    main()
