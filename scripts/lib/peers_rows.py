"""What `scripts/bench peers` measures: its workloads, the floor of each against each peer, and the limits."""

from dataclasses import dataclass, field

PEERS = ("foliofs", "sshfs", "gluster", "rclone", "passthrough", "local")
THREADS = (1, 2, 4, 8, 16)

# Two rounds of the same workload can differ by this factor through noise alone.
SAME = 0.9


@dataclass(frozen=True)
class Row:
    name: str
    what: str
    label: str  # a shorter name for the plots
    unit: str
    group: str
    floors: dict = field(default_factory=dict)  # peer: how many times its speed at least
    less_is_better: bool = False


ROWS = (
    Row("seq_write", "sequential write, 1 MiB", "write 1 MiB", "MiB/s", "bytes", {"sshfs": 2, "passthrough": 1}),
    Row("seq_write_4k", "sequential write, 4 KiB", "write 4 KiB", "MiB/s", "bytes", {"sshfs": 3, "passthrough": 2}),
    Row("seq_read_cold", "sequential read, cold", "read, cold", "MiB/s", "bytes", {"sshfs": 4, "passthrough": 0.9}),
    Row("seq_reread", "sequential read, warm", "read, warm", "MiB/s", "bytes", {"local": SAME}),
    Row("rand_reread_4k", "random read 4 KiB, warm", "random read, warm", "IOPS", "bytes", {"local": SAME}),
    Row("rand_read_4k", "random read 4 KiB, cold", "random read, cold", "IOPS", "bytes", {"sshfs": 4}),
    Row("rand_read_4k_16", "random read 4 KiB, cold, 16 threads", "16 threads, cold", "IOPS", "bytes", {"sshfs": 6}),
    Row("rand_write_4k", "random write 4 KiB, fsync", "random write 4 KiB", "IOPS", "bytes", {"sshfs": 3}),
    Row("untar", "untar of headers", "untar", "files/s", "names", {"sshfs": 6, "passthrough": 1}),
    Row("ls_cold", "ls -lR, cold", "ls -lR, cold", "files/s", "names", {"sshfs": 3}),
    Row("ls_warm", "ls -lR, warm", "ls -lR, warm", "files/s", "names", {"sshfs": 1}),
    Row("tree_read_cold", "read of the tree, cold", "read tree, cold", "files/s", "names", {"sshfs": 4}),
    Row("tree_read_warm", "read of the tree, warm", "read tree, warm", "files/s", "names", {"passthrough": 3}),
    Row("git_status", "git status, warm", "git status, warm", "ms", "names", {"local": 0.5}, less_is_better=True),
    Row("rm", "rm -rf of the tree", "rm -rf", "files/s", "names", {"sshfs": 4}),
)


@dataclass(frozen=True)
class Series:
    """The same work shared by more and more threads: no number of them may be slower than one thread."""

    name: str
    what: str
    unit: str


SERIES = (
    Series("write_streams", "sequential writes at once", "MiB/s"),
    Series("read_streams", "sequential reads at once, cold", "MiB/s"),
    Series("create_threads", "threads that make files", "files/s"),
    Series("ls_threads", "threads that list directories, cold", "files/s"),
)


@dataclass(frozen=True)
class Limit:
    """The share of a limit that foliofs reaches. `limit` and `reached` compute a rate from the function that
    median_of() returns."""

    name: str
    what: str
    unit: str
    limit: object
    reached: object


def null_and_trip(median):
    """Reads a second of one thread, if each takes one round trip through /dev/fuse and then one through TCP."""
    return 1e6 / (1e6 / median("rand_read_4k", "null") + median("echo_round_trip", "echo"))


LIMITS = (
    Limit("write_4k", "4 KiB writes: a filesystem that does nothing", "MiB/s",
          lambda median: median("seq_write_4k", "null"), lambda median: median("seq_write_4k", "foliofs")),
    Limit("write_1m_fuse", "1 MiB writes: a filesystem that does nothing", "MiB/s",
          lambda median: median("seq_write", "null"), lambda median: median("seq_write", "foliofs")),
    Limit("write_1m_tcp", "1 MiB writes: a bare TCP stream", "MiB/s",
          lambda median: median("echo_stream", "echo"), lambda median: median("seq_write", "foliofs")),
    Limit("read_1m_fuse", "cold 1 MiB reads: a filesystem that does nothing", "MiB/s",
          lambda median: median("seq_read_cold", "null"), lambda median: median("seq_read_cold", "foliofs")),
    Limit("read_1m_tcp", "cold 1 MiB reads: a bare TCP stream", "MiB/s",
          lambda median: median("echo_stream", "echo"), lambda median: median("seq_read_cold", "foliofs")),
    Limit("read_4k", "a cold 4 KiB read: one turn through /dev/fuse and one through TCP", "IOPS",
          null_and_trip, lambda median: median("rand_read_4k", "foliofs")),
)

MEMORY_MARGIN_BYTES = 64 << 20  # what the daemon may have beyond cache_size
IDLE_PERCENT = 0.5  # of a core; the measurement is too short to tell less from none
