"""Reports the samples of `scripts/bench peers` as one JSON or as tables.

usage: peers_report.py SAMPLES FAILURES ABOUT_JSON        prints the JSON
       peers_report.py --table JSON                        prints the tables; status 3 if a floor is missed

SAMPLES has lines "workload peer value", FAILURES "workload peer why". ABOUT_JSON describes the run; its fields go
into the JSON as they are.
"""

import datetime
import statistics
from dataclasses import asdict

from invalidate_report import bytes_text, machine, print_rows
from peers_rows import IDLE_PERCENT, LIMITS, MEMORY_MARGIN_BYTES, PEERS, ROWS, SAME, SERIES, THREADS
from report import read_json, read_lines, write_report


# --- figures ----------------------------------------------------------------------------------------


def figures_of(samples):
    """For each (workload, peer): median, minimum, maximum, and all samples."""
    found = {}
    for workload, peer, value in samples:
        found.setdefault((workload, peer), []).append(float(value))
    return {
        key: {"median": statistics.median(values), "min": min(values), "max": max(values), "samples": values}
        for key, values in found.items()
    }


def median_of(figures):
    """A function that gives the median for a workload and a peer; KeyError if it was not measured."""
    return lambda workload, peer: figures[workload, peer]["median"]


def speed_ratio(row, ours, theirs):
    """How many times as fast foliofs is as the peer, from their medians."""
    if not ours or not theirs:
        return None
    return theirs / ours if row.less_is_better else ours / theirs


def measured_row(row, figures, peers):
    of_row = {peer: figures[row.name, peer] for peer in peers if (row.name, peer) in figures}
    ratios = {}
    if "foliofs" in of_row:
        ours = of_row["foliofs"]["median"]
        ratios = {peer: speed_ratio(row, ours, each["median"]) for peer, each in of_row.items() if peer != "foliofs"}
    floors = [
        {"peer": peer, "floor": floor, "ratio": ratios[peer], "met": ratios[peer] >= floor}
        for peer, floor in row.floors.items()
        if ratios.get(peer) is not None
    ]
    return {**asdict(row), "figures": of_row, "ratios": ratios, "floors": floors}


def measured_series(series, figures, peers):
    of_peers = {}
    for peer in peers:
        points = [(n, figures.get((f"{series.name}_{n}", peer))) for n in THREADS]
        points = [{"threads": n, **each} for n, each in points if each]
        if points:
            of_peers[peer] = points
    worst = None
    ours = of_peers.get("foliofs", [])
    if len(ours) > 1 and ours[0]["threads"] == 1:
        least = min(ours[1:], key=lambda point: point["median"])
        ratio = least["median"] / ours[0]["median"]
        worst = {"threads": least["threads"], "ratio": ratio, "floor": SAME, "met": ratio >= SAME}
    return {**asdict(series), "peers": of_peers, "worst": worst}


def measured_limits(figures):
    found = []
    for each in LIMITS:
        try:
            limit, reached = each.limit(median_of(figures)), each.reached(median_of(figures))
        except KeyError:
            continue
        found.append({"name": each.name, "what": each.what, "unit": each.unit, "limit": limit, "reached": reached,
                      "fraction": reached / limit})
    return found


def measured_memory(figures, cache_limit_bytes):
    """Each client's peak memory over all rounds; that of foliofs is compared with its bound."""
    peaks = {peer: round(each["max"] * 1024) for (name, peer), each in figures.items()
             if name == "client_peak_kib" and peer in PEERS}
    most = None
    if "foliofs" in peaks and cache_limit_bytes:
        bound = cache_limit_bytes + MEMORY_MARGIN_BYTES
        most = {"bound_bytes": bound, "cache_size_bytes": cache_limit_bytes, "met": peaks["foliofs"] <= bound}
    return {"peak_bytes": peaks, "foliofs": most}


def measured_idle(figures):
    found = {name: figures.get((f"idle_{name}_percent", "foliofs")) for name in ("client", "server")}
    percent = {name: each["max"] for name, each in found.items() if each}
    return {"percent": percent, "met": all(value <= IDLE_PERCENT for value in percent.values()) if percent else None}


def gather(samples, failures, about):
    figures = figures_of(samples)
    peers = [peer for peer in PEERS if any(of == peer for _, of in figures)]
    return {
        "what": "scripts/bench peers",
        **about,
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "measured_peers": peers,
        "rows": [measured_row(row, figures, peers) for row in ROWS],
        "series": [measured_series(each, figures, peers) for each in SERIES],
        "limits": measured_limits(figures),
        "memory": measured_memory(figures, about["cache_limit_bytes"]),
        "idle": measured_idle(figures),
        "failures": [{"workload": name, "peer": peer, "why": why} for name, peer, why in failures],
    }


# --- floors -----------------------------------------------------------------------------------------


def floors(report):
    """Every floor: (what, wanted, found, met)."""
    found = []
    for row in report["rows"]:
        for each in row["floors"]:
            found.append((row["what"], f"{times(each['floor'])} {each['peer']}", times(each["ratio"]), each["met"]))
    for series in report["series"]:
        worst = series["worst"]
        if worst:
            shown = f"{times(worst['ratio'])} with {worst['threads']}"
            found.append((series["what"], f"{times(SAME)} one alone", shown, worst["met"]))
    memory = report["memory"]
    if memory["foliofs"]:
        wanted = f"at most {bytes_text(memory['foliofs']['bound_bytes'])}, cache_size and 64 MiB"
        found.append(("memory of the client", wanted, bytes_text(memory["peak_bytes"]["foliofs"]), memory["foliofs"]["met"]))
    if report["idle"]["percent"]:
        shown = ", ".join(f"{name} {value:.1f}%" for name, value in report["idle"]["percent"].items())
        found.append(("an idle mount", f"at most {IDLE_PERCENT}% of a core", shown, report["idle"]["met"]))
    return found


def all_met(report):
    return all(met for *_, met in floors(report))


# --- words ------------------------------------------------------------------------------------------


def times(ratio):
    if ratio is None:
        return "–"
    return f"{ratio:.0f}×" if ratio >= 99.5 else f"{ratio:.1f}×" if ratio >= 9.95 else f"{ratio:.2f}×"


def short(value):
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def spread(figures):
    return f"{short(figures['min'])}–{short(figures['max'])}"


def cell(figures):
    return short(figures["median"]) if figures else "–"


# --- tables -----------------------------------------------------------------------------------------


def print_ratios(report, out):
    others = [peer for peer in report["measured_peers"] if peer != "foliofs"]
    rows = [["foliofs' speed, in times theirs", "unit", "foliofs", "(min–max)", *others, "at least"]]
    for row in report["rows"]:
        ours = row["figures"].get("foliofs")
        wanted = ", ".join(
            f"{'' if each['met'] else 'BELOW '}{times(each['floor']).replace('.00', '')} {each['peer']}" for each in row["floors"]
        )
        rows.append([row["what"], row["unit"], cell(ours), spread(ours) if ours else "–"]
                    + [times(row["ratios"].get(peer)) for peer in others] + [wanted])
    print(file=out)
    print_rows(rows, out)


def print_figures(report, out):
    peers = report["measured_peers"]
    rows = [["medians", "unit", *(word for peer in peers for word in (peer, ""))]]
    for row in report["rows"]:
        words = [row["what"], row["unit"]]
        for peer in peers:
            figures = row["figures"].get(peer)
            words += [cell(figures), f"({spread(figures)})" if figures else ""]
        rows.append(words)
    print(file=out)
    print_rows(rows, out)


def print_series(report, out):
    for series in report["series"]:
        rows = [[f"{series['what']}, {series['unit']}", *(str(n) for n in THREADS), "least of one's"]]
        for peer, points in series["peers"].items():
            by_threads = {point["threads"]: point for point in points}
            words = [cell(by_threads.get(n)) for n in THREADS]
            one = by_threads.get(1)
            least = min(point["median"] for point in points) / one["median"] if one else None
            mark = " BELOW" if peer == "foliofs" and series["worst"] and not series["worst"]["met"] else ""
            rows.append([peer, *words, times(least) + mark])
        print(file=out)
        print_rows(rows, out)


def print_limits(report, out):
    if not report["limits"]:
        return
    rows = [["share of what the machine gives", "unit", "limit", "foliofs", "reached"]]
    for each in report["limits"]:
        rows.append([each["what"], each["unit"], short(each["limit"]), short(each["reached"]), f"{each['fraction']:.0%}"])
    print(file=out)
    print_rows(rows, out)


def print_tables(report, out):
    print_ratios(report, out)
    print_figures(report, out)
    print_series(report, out)
    print_limits(report, out)
    print(file=out)
    peaks = ", ".join(f"{peer} {bytes_text(count)}" for peer, count in report["memory"]["peak_bytes"].items())
    print(f"  most memory of a client: {peaks}", file=out)
    for what, wanted, found, met in floors(report):
        if not met:
            print(f"  BELOW: {what}: {found}, wanted {wanted}", file=out)
    for each in report["left_out"]:
        print(f"  left out: {each['peer']}: {each['why']}", file=out)
    for each in report["failures"]:
        print(f"  not measured: {each['workload']} on {each['peer']}: {each['why']}", file=out)
    print(file=out)


def gather_files(samples, failures, about):
    return gather(read_lines(samples), read_lines(failures), read_json(about))


if __name__ == "__main__":
    write_report("SAMPLES FAILURES ABOUT_JSON", gather_files, print_tables, all_met)
