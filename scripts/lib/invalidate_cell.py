"""Measures one cell of `scripts/bench invalidate` on an existing mount, and prints it as one line of JSON.

It fails whenever the figures would not mean what they say: if bytes are not dirty when the
invalidation begins, if the invalidation did not write them, if its report has an error, or if the
server's bytes are not those that were written.

usage: invalidate_cell.py CELL_JSON MOUNT EXPORT_DIR PROXY_CONTROL_PORT ROUNDS LIMIT_SECONDS
"""

import json
import os
import random
import socket
import statistics
import sys
import threading
import time

BLOCK_BYTES = 4 << 10
SPARSE_EVERY_BYTES = 64 << 10
FILL_BYTES = 1 << 20
COMPARED_BYTES = 64 << 20  # a larger file is not compared with the server's afterwards

WRITE_INTERVAL_S = 0.0005  # of the continuous writer: 2,000 writes a second
WANTED_SAMPLES = 500  # an invalidation is repeated until there are this many
MAX_REPEATS = 30  # … or until it was repeated this often, or for the cell's repeat_s
IDLE_S = 0.3  # how long the writer is measured before the first invalidation


class Failed(Exception):
    pass


# --- the mount, the proxy ---------------------------------------------------------------------------


def control_socket(mount):
    """Connects to the daemon's control socket; tries the same places as foliofs itself."""
    with open("/proc/self/mountinfo") as table:
        devices = [fields[2] for fields in map(str.split, table) if fields[4] == mount.replace(" ", "\\040")]
    if not devices:
        raise Failed(f"{mount} is not mounted")
    uid = os.geteuid()
    places = ["/run/foliofs"] if uid == 0 else []
    if os.environ.get("XDG_RUNTIME_DIR"):
        places.append(os.environ["XDG_RUNTIME_DIR"] + "/foliofs")
    places += [f"/run/user/{uid}/foliofs", f"/tmp/foliofs-{uid}"]
    for place in places:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(f"{place}/{devices[-1]}.sock")
            return connection
        except OSError:
            connection.close()
    raise Failed(f"no daemon answers for {mount}")


class Daemon:
    def __init__(self, mount, limit_s):
        self.mount = mount
        self.limit_s = limit_s

    def call(self, **request):
        with control_socket(self.mount) as connection, connection.makefile("r") as lines:
            connection.settimeout(self.limit_s)
            connection.sendall(json.dumps(request).encode() + b"\n")
            for line in lines:
                reply = json.loads(line)
                if "refusal" in reply:
                    raise Failed(f"{request['command']}: {reply['refusal']}")
                if "result" in reply:
                    return reply["result"]
        raise Failed("the daemon has gone")

    def cache_stats(self):
        return self.call(command="stats")["cache"]


def tell_proxy(port, command):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(command.encode() + b"\n")
        answer = connection.makefile("r").readline().strip()
    if answer != "ok":
        raise Failed(f"the proxy answers '{answer}' to '{command}'")


# --- the file ---------------------------------------------------------------------------------------


class DirtyFile:
    """The file on the mount, and in memory the contents that it must have in the end.

    The file exists on the server already and is at least as large as the extent, so that the figures do
    not include the server's allocation of space.
    """

    def __init__(self, mount, export_dir, extent_bytes, density, order):
        self.name = "dirty"
        self.server_path = os.path.join(export_dir, self.name)
        self.fd = os.open(os.path.join(mount, self.name), os.O_RDWR)
        self.shadow = bytearray(extent_bytes) if extent_bytes <= COMPARED_BYTES else None
        self.stores = 0
        step = BLOCK_BYTES if density == "dense" else SPARSE_EVERY_BYTES
        # Sparse blocks are not always the first of a folio, because their place in it changes how much
        # memory the folio's buffer takes.
        places = SPARSE_EVERY_BYTES // BLOCK_BYTES
        self.blocks = [
            at if density == "dense" else at + (index * 7 % places) * BLOCK_BYTES
            for index, at in enumerate(range(0, extent_bytes, step))
        ]
        self.in_order = order == "sequential"
        self.dense = density == "dense"
        self.extent_bytes = extent_bytes
        self.random = random.Random(1)
        self.pattern = os.urandom(FILL_BYTES)

    def dirty_bytes(self):
        return len(self.blocks) * BLOCK_BYTES

    def store(self, offset, length):
        """Each store has its own bytes, so that an old version never passes for a new one."""
        self.stores += 1
        data = self.stores.to_bytes(8, "little") + self.pattern[8:length]
        if os.pwrite(self.fd, data, offset) != length:
            raise Failed(f"a write of {length} bytes was cut short")
        if self.shadow is not None:
            self.shadow[offset : offset + length] = data

    def make_dirty(self, in_order):
        if self.dense and in_order:
            for offset in range(0, self.extent_bytes, FILL_BYTES):
                self.store(offset, min(FILL_BYTES, self.extent_bytes - offset))
            return
        blocks = self.blocks[:]
        if not in_order:
            self.random.shuffle(blocks)
        for offset in blocks:
            self.store(offset, BLOCK_BYTES)

    def finish(self):
        """Closes the file, and compares what was stored with what the server has."""
        os.close(self.fd)
        if self.shadow is None:
            return
        with open(self.server_path, "rb") as file:
            found = file.read(self.extent_bytes)
        for block in self.blocks:
            if found[block : block + BLOCK_BYTES] != self.shadow[block : block + BLOCK_BYTES]:
                raise Failed(f"after close, the server's bytes at {block} are not those that were written")


class ContinuousWriter:
    """Rewrites one dirty block after the other at a steady rate, and records when each write(2) ran.

    After a stall, the writer does not catch up: steady_stream() accounts for the writes that it missed.
    """

    def __init__(self, file):
        self.file = file
        self.spans = []  # (begin, end) of each write, in ns
        self.error = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            blocks, index = self.file.blocks, 0
            due = time.perf_counter()
            while not self.stopping.is_set():
                block = blocks[index % len(blocks)] if self.file.in_order else self.file.random.choice(blocks)
                index += 1
                begin = time.perf_counter_ns()
                self.file.store(block, BLOCK_BYTES)
                self.spans.append((begin, time.perf_counter_ns()))
                due = max(due + WRITE_INTERVAL_S, time.perf_counter())
                time.sleep(max(0, due - time.perf_counter()))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self.stopping.set()
        self.thread.join(120)
        if self.thread.is_alive():
            raise Failed("the writer stands still although the invalidation is over")
        if self.error:
            raise Failed(f"the writer failed: {self.error}")

    def during(self, begin_ns, end_ns):
        """The durations, in µs, of the writes that were under way between the two times."""
        return [(end - begin) / 1000 for begin, end in self.spans if begin < end_ns and end > begin_ns]


# --- figures ----------------------------------------------------------------------------------------


def percentile(values, share):
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def steady_stream(took_us, interval_us):
    """The waits of a writer that starts a write every interval even while one before it stalls: each
    write that would have been due during a stall waits for the rest of the stall."""
    waits = []
    for value in took_us:
        waits.append(value)
        waits.extend(value - step * interval_us for step in range(1, int(value / interval_us) + 1))
    return waits


def writer_figures(took_us, idle_us):
    stream = steady_stream(took_us, WRITE_INTERVAL_S * 1e6)
    return {
        "samples": len(took_us),
        "p50_us": round(percentile(took_us, 0.5), 1),
        "p99_us": round(percentile(took_us, 0.99), 1),
        "max_us": round(max(took_us), 1),
        "stream_samples": len(stream),
        "stream_p99_us": round(percentile(stream, 0.99), 1),
        "idle_p99_us": round(percentile(idle_us, 0.99), 1),
    }


# --- one invalidation -------------------------------------------------------------------------------


def invalidate(daemon, file, mode):
    """Invalidates, and returns the report with the cache's counters from before and after it."""
    expected = file.dirty_bytes()
    before = daemon.cache_stats()
    if before["dirty_bytes"] != expected or before["writeback_bytes"] != 0:
        raise Failed(
            f"{before['dirty_bytes']} bytes are dirty and {before['writeback_bytes']} on their way; "
            f"{expected} and 0 were expected"
        )
    begin_ns = time.perf_counter_ns()
    report = daemon.call(command="invalidate", path_bytes=list(file.name.encode()), mode=mode)
    end_ns = time.perf_counter_ns()
    after = daemon.cache_stats()
    if report["mode"] != mode or report["error"] is not None:
        raise Failed(f"the report has another mode, or an error: {report}")
    if report["bytes_written"] < expected:
        raise Failed(f"{expected} bytes were dirty, and {report['bytes_written']} were written")
    report["cow_copies"] = after["cow_copies"] - before["cow_copies"]
    report["extra_peak_bytes"] = max(0, after["peak_bytes"] - before["bytes"])
    return report, begin_ns, end_ns


def measure_alone(daemon, file, cell, rounds):
    reports = []
    for _ in range(rounds):
        file.make_dirty(file.in_order)
        report, _, _ = invalidate(daemon, file, cell["mode"])
        if report["bytes_written"] != file.dirty_bytes() or report["folios_kept"] != 0:
            raise Failed(f"nothing else was written, and yet the report is {report}")
        reports.append(report)
    return reports, None


def measure_with_writer(daemon, file, cell, rounds):
    reports, took_us, idle_us = [], [], []
    began = time.monotonic()
    while True:
        file.make_dirty(in_order=True)  # the order is the writer's
        writer = ContinuousWriter(file)
        try:
            if not idle_us:
                time.sleep(IDLE_S)
                idle_us = [(end - begin) / 1000 for begin, end in writer.spans]
            else:
                time.sleep(0.03)
            report, begin_ns, end_ns = invalidate(daemon, file, cell["mode"])
        finally:
            writer.stop()
        took_us += writer.during(begin_ns, end_ns)
        reports.append(report)
        os.fsync(file.fd)  # so that each repetition begins with its own dirty bytes only
        enough = len(reports) >= rounds and len(took_us) >= WANTED_SAMPLES
        if enough or len(reports) >= MAX_REPEATS or time.monotonic() - began > cell["repeat_s"]:
            return reports, writer_figures(took_us, idle_us)


SUMMED = ("elapsed_us", "write_calls", "bytes_written", "folios_laundered", "folios_kept", "cow_copies")


def measure(cell, mount, export_dir, control_port, rounds, limit_s):
    tell_proxy(control_port, f"delay_us {round(cell['rtt_ms'] * 500)}")
    daemon = Daemon(mount, limit_s)
    file = DirtyFile(mount, export_dir, cell["measured_extent_bytes"], cell["density"], cell["order"])
    began = time.monotonic()
    one_after_another = measure_alone if cell["kind"] == "alone" else measure_with_writer
    reports, writer = one_after_another(daemon, file, cell, rounds)
    took_s = time.monotonic() - began
    file.finish()
    figures = {name: statistics.median_low([report[name] for report in reports]) for name in SUMMED}
    figures["elapsed_us_all"] = [report["elapsed_us"] for report in reports]
    figures["dirty_bytes"] = file.dirty_bytes()
    # As the daemon counts them: the longest stall of a writer and the most extra memory of all rounds.
    figures["writer_stall_us_max"] = max(report["writer_stall_us_max"] for report in reports)
    figures["extra_peak_bytes"] = max(report["extra_peak_bytes"] for report in reports)
    figures["rounds"] = len(reports)
    if writer:
        figures["writer"] = writer
    result = {**cell, "took_s": round(took_s, 3), "figures": figures}
    if not cell["measured"]:
        factor = cell["dirty_bytes"] / figures["dirty_bytes"]
        result["would_take_s"] = round(figures["elapsed_us"] * factor / 1e6, 1)
    return result


def main():
    cell = json.loads(sys.argv[1])
    try:
        result = measure(cell, *sys.argv[2:4], *map(int, sys.argv[4:7]))
    except (Failed, OSError) as error:
        sys.exit(f"{cell['id']}: {error}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
