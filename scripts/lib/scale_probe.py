"""Fills a mount's cache, then measures calls that do not touch what fills it; prints one line of JSON.

usage: scale_probe.py gib_mapped GIB MNT FOLIOFS PID      fills by mapping MNT/large and reading a page of each folio
       scale_probe.py inodes COUNT MNT FOLIOFS PID        fills by stat(2) of every file in MNT/manyCOUNT

It measures on MNT/probe (1 MiB) and MNT/cold (sparse); the figures are medians in microseconds.
"""

import json
import mmap
import os
import random
import statistics
import subprocess
import sys
import time

FOLIO = 64 << 10
PAGE = 4096


def took_us(call):
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1000


def median_us(count, call, before=lambda: None):
    values = []
    for _ in range(count):
        before()
        values.append(took_us(call))
    return statistics.median(values)


def stats(foliofs, mount):
    words = subprocess.run([foliofs, "stats", mount, "--json"], check=True, capture_output=True, timeout=60)
    return json.loads(words.stdout)


def map_file(path):
    """Maps the file, and reads one page of each folio through the mapping."""
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    for at in range(0, len(mapped), FOLIO):
        mapped[at]
    return mapped


def know_inodes(directory):
    known = 0
    for top, _, names in os.walk(directory):
        for name in names:
            os.stat(os.path.join(top, name))
            known += 1
    return known


def probe(mount, foliofs):
    path = os.path.join(mount, "probe")
    descriptor = os.open(path, os.O_RDONLY)
    cold = os.open(os.path.join(mount, "cold"), os.O_RDONLY)
    blocks = os.fstat(cold).st_size // FOLIO
    order = iter(random.Random(1).sample(range(blocks), 8000))

    def forget():  # drops the kernel's page; the daemon keeps its folio
        os.posix_fadvise(descriptor, 0, PAGE, os.POSIX_FADV_DONTNEED)

    def invalidate():
        words = subprocess.run([foliofs, "invalidate", path, "--json"], check=True, capture_output=True, timeout=60)
        return json.loads(words.stdout)["elapsed_us"]

    def read_all():
        for at in range(0, 1 << 20, FOLIO):
            os.pread(descriptor, FOLIO, at)

    for at in range(5000):  # fills the cache, so that each further read has to reclaim a folio
        os.pread(cold, PAGE, next(order) * FOLIO)
    figures = {
        "lookup": median_us(2000, lambda: os.stat(path)),
        "cached_read": median_us(2000, lambda: os.pread(descriptor, PAGE, 0), forget),
        "reclaim_step": median_us(2000, lambda: os.pread(cold, PAGE, next(order) * FOLIO)),
    }
    elapsed = []
    for _ in range(30):
        read_all()
        elapsed.append(invalidate())
    figures["invalidate"] = statistics.median(elapsed)
    os.close(descriptor)
    os.close(cold)
    return figures


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as table:
        return next(int(line.split()[1]) for line in table if line.startswith("VmHWM:")) * 1024


def main():
    axis, count, mount, foliofs, pid = sys.argv[1:]
    began = time.monotonic()
    if axis == "gib_mapped":
        kept = map_file(os.path.join(mount, "large"))
    else:
        kept = know_inodes(os.path.join(mount, f"many{count}"))
    filled_s = time.monotonic() - began
    # With actimeo=0, each stat(2) of the probe asks the server.
    subprocess.run([foliofs, "set", mount, "actimeo=0"], check=True, capture_output=True, timeout=60)
    figures = probe(mount, foliofs)
    seen = stats(foliofs, mount)
    json.dump(
        {"axis": axis, "count": int(count), "filled_s": filled_s, "figures": figures, "inodes": seen["inodes"],
         "folios": seen["cache"]["folios"], "reclaimed_folios": seen["cache"]["reclaimed_folios"],
         "peak_bytes": peak_bytes(pid)},
        sys.stdout,
    )
    print()
    del kept


if __name__ == "__main__":
    main()
