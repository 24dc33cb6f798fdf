"""Who follows prefix caches from another machine, as docs/kv-events.md says it: with msgpack, zmq and redis, nothing of tokfs."""
import struct

import msgpack

END = b"\xff" * 8
FIELDS = {
    "BlockStored": ["block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name", "extra_keys"],
    "BlockRemoved": ["block_hashes", "medium"],
    "AllBlocksCleared": [],
}


def decode(payload):
    """Events of a batch as dictionaries, whether they are arrays or maps."""
    time, events, rank = msgpack.unpackb(payload)
    assert isinstance(time, float) and rank is None
    decoded = []
    for event in events:
        if isinstance(event, list):
            names = FIELDS[event[0]]
            assert len(event) - 1 <= len(names), event
            event = {"type": event[0], **dict(zip(names, event[1:]))}
        decoded.append(event)
    return decoded


class Blocks(dict):
    """What an engine holds: hash -> (parent, tokens)."""

    def apply(self, events, parents_first=False):
        for event in events:
            hashes = event.get("block_hashes", [])
            if event["type"] == "BlockStored":
                size, tokens, parent = event["block_size"], event["token_ids"], event["parent_block_hash"]
                assert len(tokens) in (0, size * len(hashes)) and event["medium"] == "gpu"
                for i, name in enumerate(hashes):
                    assert not parents_first or parent is None or parent in self, event
                    self[name] = parent, tuple(tokens[i * size:(i + 1) * size])
                    parent = name
            elif event["type"] == "BlockRemoved":
                for name in hashes:
                    self.pop(name, None)
            else:
                self.clear()


class RedisReader:
    """Follows a node's stream; takes the snapshot where an entry is missing or the epoch is another one."""

    def __init__(self, client, node):
        self.client, self.node = client, node
        self.blocks, self.epoch, self.seq, self.last = Blocks(), 0, 0, "0"
        self.n_snapshots = 0

    def take_snapshot(self):
        fields = self.client.hgetall(f"tokfs:{self.node}:snapshot")
        if not fields or int(fields[b"epoch"]) < self.epoch:
            return False
        self.epoch, self.seq = int(fields[b"epoch"]), int(fields[b"seq"])
        self.blocks = Blocks()
        for i in range(int(fields[b"parts"])):
            self.blocks.apply(decode(fields[b"%d" % i]), parents_first=True)
        assert len(self.blocks) == int(fields[b"blocks"])
        self.n_snapshots += 1
        return True

    def read(self):
        """Goes as far as it can. False: it has to wait for a snapshot."""
        if not self.epoch and not self.take_snapshot():
            return False
        while entries := self.client.xread({f"tokfs:{self.node}:events": self.last}, count=100):
            for name, fields in entries[0][1]:
                epoch, seq = int(fields[b"epoch"]), int(fields[b"seq"])
                if epoch > self.epoch or (epoch == self.epoch and seq > self.seq + 1):
                    if not self.take_snapshot() or epoch > self.epoch or (epoch == self.epoch and seq > self.seq + 1):
                        return False
                if epoch == self.epoch and seq == self.seq + 1:
                    self.blocks.apply(decode(fields[b"payload"]))
                    self.seq = seq
                self.last = name
        return True


class ZmqReader:
    """Follows what is published; asks for what was missed."""

    def __init__(self, zmq, endpoint, replay, topic="kv@", hwm=1000):
        self.zmq = zmq
        self.context = zmq.Context()
        self.sub = self.context.socket(zmq.SUB)
        self.sub.set_hwm(hwm)
        self.sub.connect(endpoint)
        self.sub.setsockopt_string(zmq.SUBSCRIBE, topic)
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.set_hwm(hwm)
        self.dealer.connect(replay)
        self.blocks, self.next, self.topics, self.n_replayed = Blocks(), 0, set(), 0

    def close(self):
        self.context.destroy(0)

    def apply(self, topic, seq, payload):
        self.topics.add(topic)
        seq, = struct.unpack(">Q", seq)
        if seq >= self.next:
            self.blocks.apply(decode(payload))
            self.next = seq + 1

    def replay(self, seconds=300):
        """Everything from the first that is missing."""
        self.dealer.send_multipart([b"", struct.pack(">Q", self.next)])
        while self.dealer.poll(1000 * seconds):
            empty, topic, seq, payload = self.dealer.recv_multipart()
            assert empty == b""
            if seq == END:
                assert payload == b""
                return
            self.n_replayed += 1
            self.apply(topic, seq, payload)
        raise AssertionError("no end of the replay")

    def read(self):
        while self.sub.poll(0):
            frames = self.sub.recv_multipart()
            if struct.unpack(">Q", frames[1])[0] > self.next:
                self.replay()
            self.apply(*frames)
        return True
