"""Reports the figures of `scripts/bench rtt` as one JSON or as tables.

usage: rtt_report.py DELAYED_TSV REQUESTS_JSONL ABOUT_JSON      prints the JSON
       rtt_report.py --table JSON                                prints the tables

DELAYED_TSV has lines "workload peer rtt_ms value"; REQUESTS_JSONL has foliofs' requests by kind for each workload.
"""

import datetime
import statistics

from invalidate_report import machine, print_rows
from peers_report import short, times
from report import read_json, read_json_lines, read_lines, write_report

STREAMS = (("seq_write", "sequential write, 1 MiB, fsync"), ("seq_read", "sequential read, 1 MiB, cold"))
TREES = (
    ("untar", "untar"),
    ("ls_cold", "ls -lR, cold"),
    ("tree_read_cold", "read of the tree, cold"),
    ("rm", "rm -rf"),
)
PEERS = ("foliofs", "sshfs")
STREAM_FLOOR, STREAM_FLOOR_MS = 0.8, 10  # share of the rate at the shortest round trip


def medians(delayed):
    found = {}
    for workload, peer, rtt_ms, value in delayed:
        found.setdefault((workload, peer, int(rtt_ms)), []).append(float(value))
    return {key: statistics.median(values) for key, values in found.items()}


def trips_in_turn(rates, trips_ms, workload, peer):
    """How many round trips, one after the other, a file waits for: the slope of its time over the round trip."""
    points = [(ms, 1000 / rates[workload, peer, ms]) for ms in trips_ms if (workload, peer, ms) in rates]
    if len(points) < 2:
        return None
    (short_ms, short_took), (long_ms, long_took) = points[0], points[-1]
    return (long_took - short_took) / (long_ms - short_ms)


def requests_of(lines, workload, files):
    """Requests per file, by kind, at the longest round trip, where other requests disturb the count least."""
    of_workload = [line for line in lines if line["workload"] == workload]
    if not of_workload:
        return None
    longest = max(line["rtt_ms"] for line in of_workload)
    kinds = {}
    chosen = [line["requests"] for line in of_workload if line["rtt_ms"] == longest]
    for requests in chosen:
        for kind, count in requests.items():
            kinds[kind] = kinds.get(kind, 0) + count / len(chosen) / files
    return dict(sorted(kinds.items(), key=lambda item: -item[1]))


def gather(delayed, lines, about):
    rates = medians(delayed)
    trips_ms = sorted({ms for _, _, ms in rates})
    streams = [
        {"name": name, "what": what, "mib_s": {peer: [[ms, rates[name, peer, ms]] for ms in trips_ms if (name, peer, ms) in rates]
                                               for peer in PEERS}}
        for name, what in STREAMS
    ]
    trees = [
        {
            "name": name,
            "what": what,
            "files_s": {peer: [[ms, rates[name, peer, ms]] for ms in trips_ms if (name, peer, ms) in rates] for peer in PEERS},
            "trips_in_turn": {peer: trips_in_turn(rates, trips_ms, name, peer) for peer in PEERS},
            "requests_per_file": requests_of(lines, name, about["files"]),
        }
        for name, what in TREES
    ]
    return {
        "what": "scripts/bench rtt",
        **about,
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "rtt_ms": trips_ms,
        "streams": streams,
        "trees": trees,
    }


# --- tables -----------------------------------------------------------------------------------------


def print_streams(report, out):
    trips_ms = report["rtt_ms"]
    rows = [["MiB/s at a round trip of", "", *(f"{ms} ms" for ms in trips_ms), "of the shortest's"]]
    for stream in report["streams"]:
        for peer, points in stream["mib_s"].items():
            found = dict(map(tuple, points))
            base = found.get(trips_ms[0])
            shares = []
            for ms in trips_ms[1:]:
                if ms in found and base:
                    share = found[ms] / base
                    low = peer == "foliofs" and ms == STREAM_FLOOR_MS and share < STREAM_FLOOR
                    shares.append(f"{times(share)}{f' BELOW {STREAM_FLOOR}×' if low else ''}")
            rows.append([stream["what"], peer, *(short(found[ms]) if ms in found else "–" for ms in trips_ms), " ".join(shares)])
    print_rows(rows, out)


def print_trees(report, out):
    trips_ms = report["rtt_ms"]
    rows = [["ms for each file at a round trip of", "", *(f"{ms} ms" for ms in trips_ms), "round trips in turn", "requests"]]
    for tree in report["trees"]:
        for peer, points in tree["files_s"].items():
            found = dict(map(tuple, points))
            turns = tree["trips_in_turn"][peer]
            requests = sum(tree["requests_per_file"].values()) if peer == "foliofs" and tree["requests_per_file"] else None
            rows.append(
                [tree["what"], peer, *(f"{1000 / found[ms]:.2f}" if ms in found else "–" for ms in trips_ms),
                 "–" if turns is None else f"{turns:.2f}", "" if requests is None else f"{requests:.2f}"]
            )
    print_rows(rows, out)
    print("\n  foliofs' requests for each file, by kind", file=out)
    for tree in report["trees"]:
        kinds = tree["requests_per_file"] or {}
        words = ", ".join(f"{kind} {count:.2f}" for kind, count in kinds.items() if count >= 0.005)
        print(f"    {tree['what']}: {words}", file=out)


def print_tables(report, out):
    print(f"\n  {report['files']} files in {report['directories']} directories; {report['sequential_mib']} MiB\n", file=out)
    print_streams(report, out)
    print(file=out)
    print_trees(report, out)
    print(file=out)


def gather_files(delayed, requests, about):
    return gather(read_lines(delayed), read_json_lines(requests), read_json(about))


if __name__ == "__main__":
    write_report("DELAYED_TSV REQUESTS_JSONL ABOUT_JSON", gather_files, print_tables)
