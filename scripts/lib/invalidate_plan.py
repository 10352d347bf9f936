"""Chooses the invalidations that `scripts/bench invalidate` measures: a base point, and lines through it along
each axis.

A cell is one configuration in one mode. `alone`: a file is made dirty and invalidated while nothing else runs.
`writer`: a program rewrites 4 KiB blocks of the same bytes meanwhile. A cell that would take longer than the
limit is measured over fewer bytes and marked as not measured; it is never drawn as if it had been.

usage: invalidate_plan.py --rtt MS,MS… --limit SECONDS --rounds N [--quick]

Prints a line for each cell, with tab-separated fields: the cell as JSON, its mount options, its rounds, the
seconds that it should take in all, and its description.
"""

import argparse
import json
import sys

KIB, MIB = 1 << 10, 1 << 20
MODES = ("launder", "bulk", "hybrid")
BASE = {"extent_bytes": 64 * MIB, "folio_bytes": 64 * KIB, "density": "dense", "order": "sequential"}
BLOCK_BYTES = 4 * KIB
SPARSE_EVERY_BYTES = 64 * KIB  # sparse: one block in each of these
WRITE_BYTES = MIB  # the largest WRITE
WRITES_IN_FLIGHT = 8

DIRTY_MIB = (1, 4, 16, 64, 256, 1024)
FOLIO_KIB = (4, 16, 64, 256, 1024)
WRITER_DIRTY_MIB = (4, 64, 256)
WRITER_FOLIO_KIB = (4, 64, 1024)

# Roughly what a WRITE and a byte cost without any delay; used only to predict durations.
CALL_S, BYTE_S = 0.0008, 1 / (700 * MIB)


def dirty_bytes(cell):
    if cell["density"] == "dense":
        return cell["extent_bytes"]
    return cell["extent_bytes"] // SPARSE_EVERY_BYTES * BLOCK_BYTES


def predicted_s(cell):
    """How long one invalidation should take."""
    rtt_s = cell["rtt_ms"] / 1000
    data_s = dirty_bytes(cell) * BYTE_S
    if cell["mode"] == "launder":
        folios = cell["extent_bytes"] / max(cell["folio_bytes"], BLOCK_BYTES)
        if cell["density"] == "sparse":
            folios = cell["extent_bytes"] / max(cell["folio_bytes"], SPARSE_EVERY_BYTES)
        return folios * (rtt_s + CALL_S) + data_s
    piece = WRITE_BYTES if cell["density"] == "dense" else BLOCK_BYTES
    calls = max(1, dirty_bytes(cell) / piece)
    return max(1, calls / WRITES_IN_FLIGHT) * rtt_s + calls * CALL_S / 4 + data_s


def make_cell(kind, mode, rtt_ms, **changes):
    cell = {"kind": kind, "mode": mode, "rtt_ms": rtt_ms, **BASE, **changes}
    cell["dirty_bytes"] = dirty_bytes(cell)
    cell["id"] = "-".join(
        str(part)
        for part in (
            kind,
            f"{rtt_ms:g}ms",
            f"{cell['extent_bytes'] // MIB}m",
            f"{cell['folio_bytes'] // KIB}k",
            cell["density"],
            cell["order"],
            mode,
        )
    )
    return cell


def bound(cell, limit_s):
    """Marks the cell as not measured, and reduces its extent, if it would take longer than the limit."""
    cell["predicted_s"] = round(predicted_s(cell), 3)
    cell["measured"] = cell["predicted_s"] <= limit_s
    extent = cell["extent_bytes"]
    while not cell["measured"] and extent > MIB:
        extent //= 4
        probe = {**cell, "extent_bytes": extent}
        if predicted_s(probe) <= limit_s / 4:
            break
    cell["measured_extent_bytes"] = extent
    return cell


def alone_variants(quick):
    for mib in (4, 64) if quick else DIRTY_MIB:
        yield {"extent_bytes": mib * MIB}
    for kib in (256,) if quick else FOLIO_KIB:
        yield {"folio_bytes": kib * KIB}
    for density in ("dense", "sparse"):
        for order in ("sequential",) if quick else ("sequential", "random"):
            yield {"density": density, "order": order}


def writer_variants(quick):
    for order in ("sequential",) if quick else ("sequential", "random"):
        yield {"order": order}
    if quick:
        return
    for mib in WRITER_DIRTY_MIB:
        yield {"extent_bytes": mib * MIB, "order": "random"}
    for kib in WRITER_FOLIO_KIB:
        yield {"folio_bytes": kib * KIB, "order": "random"}


def plan(rtts_ms, limit_s, quick):
    cells = {}
    for rtt_ms in rtts_ms:
        for kind, variants in (("alone", alone_variants), ("writer", writer_variants)):
            for changes in variants(quick):
                for mode in MODES:
                    cell = make_cell(kind, mode, rtt_ms, **changes)
                    cell["repeat_s"] = 2 if quick else 6
                    cells.setdefault(cell["id"], bound(cell, limit_s))
    return list(cells.values())


def round_trips(text):
    values = []
    for word in text.split(","):
        value = float(word)
        if not 0 <= value <= 1000:
            raise ValueError(word)
        values.append(int(value) if value == int(value) else value)
    return sorted(set(values))


def mount_options(cell):
    """Gives the cache room for the cell's dirty bytes and for copies of them, so that nothing is written back
    before the invalidation."""
    dirty_limit = cell["measured_extent_bytes"] + 64 * MIB
    options = {
        "folio_size": cell["folio_bytes"],
        "cache_size": 2 * dirty_limit,
        "dirty_limit": dirty_limit,
        "dirty_background": dirty_limit - 16 * MIB,
        "dirty_expire": 3600,
        "timeo": 120,
        "invalidate": cell["mode"],
    }
    return ",".join(f"{name}={value}" for name, value in options.items())


def in_words(cell):
    text = f"{cell['rtt_ms']:g} ms, {cell['mode']}, {cell['measured_extent_bytes'] // MIB} MiB {cell['density']}"
    text += f" {cell['order']}, {cell['folio_bytes'] // KIB} KiB folios"
    return text + (", with a writer" if cell["kind"] == "writer" else "")


def rounds_of(cell, rounds):
    """A cell that takes long, or long to make dirty, is measured once; it also has less noise."""
    return 1 if cell["predicted_s"] > 3 or cell["measured_extent_bytes"] > 256 * MIB else rounds


def weight_s(cell, rounds):
    share = cell["measured_extent_bytes"] / cell["extent_bytes"]
    each_s = cell["predicted_s"] * share + cell["measured_extent_bytes"] / (100 * MIB)
    return 1 + each_s * rounds + (4 if cell["kind"] == "writer" else 0)


def main():
    parser = argparse.ArgumentParser(prog="invalidate_plan.py")
    parser.add_argument("--rtt", required=True)
    parser.add_argument("--limit", type=float, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    words = parser.parse_args()
    try:
        rtts_ms = round_trips(words.rtt)
    except ValueError:
        sys.exit(f"'{words.rtt}' is no list of round trips in milliseconds, from 0 to 1000")
    for cell in plan(rtts_ms, words.limit, words.quick):
        rounds = rounds_of(cell, words.rounds)
        fields = (json.dumps(cell), mount_options(cell), rounds, round(weight_s(cell, rounds), 1), in_words(cell))
        print(*fields, sep="\t")


if __name__ == "__main__":
    main()
