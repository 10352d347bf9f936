"""Reports the cells of `scripts/bench invalidate` as one JSON or as tables, and says which expectations they meet.

usage: invalidate_report.py CELLS_JSONL --command … --rounds N --limit S --took S --version V --export FS
       invalidate_report.py --table JSON
"""

import argparse
import datetime
import json
import os
import platform
import sys

from invalidate_plan import BASE, KIB, MIB, MODES

PATTERNS = tuple(
    {"density": density, "order": order} for density in ("dense", "sparse") for order in ("sequential", "random")
)


# --- choosing cells ---------------------------------------------------------------------------------


def select(report, kind, **wanted):
    """The cells that have the base point's values, except for those in `wanted`; None there matches any value."""
    point = {**BASE, **wanted}
    return [
        cell
        for cell in report["cells"]
        if cell["kind"] == kind and all(value is None or cell[key] == value for key, value in point.items())
    ]


def measured(cells):
    return [cell for cell in cells if cell["measured"]]


def figure_of(report, kind, figure, mode, **wanted):
    """One figure of one cell; None when there is no such cell or it was not measured."""
    cells = measured(select(report, kind, mode=mode, **wanted))
    if len(cells) != 1:
        return None
    value = cells[0]["figures"]
    for part in figure.split("."):
        value = value[part]
    return value


def round_trips(report):
    return sorted({cell["rtt_ms"] for cell in report["cells"]})


# --- words for numbers ------------------------------------------------------------------------------


def three_digits(value):
    if value == 0:
        return "0"
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def time_text(us):
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if us >= factor * 0.9995:
            return f"{three_digits(us / factor)} {unit}"
    return f"{us:.0f} µs"


def tick_text(us):
    """The text for a power of ten."""
    return next(f"{us / factor:g} {unit}" for unit, factor in (("s", 1e6), ("ms", 1e3), ("µs", 1)) if us >= factor or unit == "µs")


def bytes_text(count):
    for unit, factor in (("GiB", 1 << 30), ("MiB", MIB), ("KiB", KIB)):
        if count >= factor:
            value = count / factor
            return f"{value:.0f} {unit}" if value == int(value) else f"{three_digits(value)} {unit}"
    return f"{count} B"


def ratio_text(ratio):
    return "–" if ratio is None else f"{three_digits(ratio)}×"


def ratio(dividend, divisor):
    return dividend / divisor if dividend is not None and divisor else None


def cell_text(cell):
    text = f"{cell['mode']}, {cell['rtt_ms']:g} ms, {bytes_text(cell['extent_bytes'])}"
    text += f" in {bytes_text(cell['folio_bytes'])} folios, {cell['density']}, {cell['order']}"
    return text + (", with a writer" if cell["kind"] == "writer" else "")


def not_measured_text(cell):
    figures = cell["figures"]
    return (
        f"{cell_text(cell)}: would take about {cell['would_take_s']:.0f} s "
        f"({bytes_text(figures['dirty_bytes'])} took {time_text(figures['elapsed_us'])})"
    )


# --- what was expected ------------------------------------------------------------------------------


def expectation(name, text, figures):
    """`figures`: (where, value, text, met) for each place where the expectation was checked."""
    return {
        "name": name,
        "text": text,
        "met": all(met for _, _, _, met in figures) if figures else None,
        "figures": [
            {"where": where, "value": value, "text": shown, "met": met} for where, value, shown, met in figures
        ],
    }


# Where hybrid is compared with bulk: on a quiet file, and on a file that a program writes to meanwhile.
PLACES = (
    ("alone", "sequential", "quiet"),
    ("writer", "sequential", "sequential writer"),
    ("writer", "random", "random writer"),
)


def expect_hybrid_near_bulk(report):
    figures = []
    for rtt_ms in round_trips(report):
        for kind, order, where in PLACES:
            hybrid, bulk = (
                figure_of(report, kind, "elapsed_us", mode, rtt_ms=rtt_ms, order=order) for mode in ("hybrid", "bulk")
            )
            found = ratio(hybrid, bulk)
            if found is not None:
                shown = f"{found:.2f}×: {time_text(hybrid)} against {time_text(bulk)}"
                figures.append((f"{rtt_ms:g} ms, {where}", found, shown, found <= 1.1))
    return expectation("hybrid-near-bulk", "Hybrid takes at most 1.1 times as long as bulk.", figures)


def expect_short_stalls(report, name, figure, text):
    figures = []
    for rtt_ms in round_trips(report):
        for order in ("sequential", "random"):
            hybrid, launder = (
                figure_of(report, "writer", f"writer.{figure}", mode, rtt_ms=rtt_ms, order=order)
                for mode in ("hybrid", "launder")
            )
            if hybrid is None or launder is None:
                continue
            shown = f"{time_text(hybrid)} against {time_text(launder)}"
            figures.append((f"{rtt_ms:g} ms, {order} writer", ratio(hybrid, launder), shown, hybrid <= launder))
    return expectation(name, text, figures)


def expect_faster_than_launder(report):
    figures = []
    for mode in ("bulk", "hybrid"):
        launder, other = (figure_of(report, "alone", "elapsed_us", each, rtt_ms=10) for each in ("launder", mode))
        found = ratio(launder, other)
        if found is not None:
            figures.append((mode, found, f"{found:.0f}×", found >= 50))
    text = "At 10 ms, bulk and hybrid are at least 50 times as fast as launder for 64 MiB in 64 KiB folios."
    return expectation("fifty-times", text, figures)


def expectations(report):
    return [
        expect_hybrid_near_bulk(report),
        expect_faster_than_launder(report),
        expect_short_stalls(
            report,
            "short-stalls",
            "p99_us",
            "Of the writes that a program makes meanwhile, the p99 takes no longer with hybrid than with launder.",
        ),
        expect_short_stalls(
            report,
            "short-stalls-stream",
            "stream_p99_us",
            "The same, counting too the writes that would have been due while one stood still.",
        ),
    ]


# --- tables -----------------------------------------------------------------------------------------


def print_rows(rows, out):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first = row[0].ljust(widths[0])
        print("  " + "  ".join([first] + [word.rjust(width) for word, width in zip(row[1:], widths[1:])]), file=out)


def elapsed_word(cells):
    if not cells:
        return "–"
    cell = cells[0]
    return time_text(cell["figures"]["elapsed_us"]) if cell["measured"] else f"(~{cell['would_take_s']:.0f} s)"


def print_base(report, rtt_ms, out):
    print(f"\n64 MiB dirty in 64 KiB folios, {rtt_ms:g} ms round trip", file=out)
    rows = [("", "WRITEs", "bytes", "elapsed", "of bulk", "p99 write", "longest", "p99 stream", "copies", "memory")]
    bulk_us = figure_of(report, "alone", "elapsed_us", "bulk", rtt_ms=rtt_ms)
    for mode in MODES:
        alone = measured(select(report, "alone", mode=mode, rtt_ms=rtt_ms))
        writer = measured(select(report, "writer", mode=mode, rtt_ms=rtt_ms))
        row = [mode]
        if alone:
            figures = alone[0]["figures"]
            row += [f"{figures['write_calls']:,}", bytes_text(figures["bytes_written"])]
            row += [time_text(figures["elapsed_us"]), ratio_text(ratio(figures["elapsed_us"], bulk_us))]
        else:
            row += ["–"] * 4
        if writer:
            figures = writer[0]["figures"]
            row += [time_text(figures["writer"][name]) for name in ("p99_us", "max_us", "stream_p99_us")]
            row += [f"{figures['cow_copies']:,}", bytes_text(figures["extra_peak_bytes"])]
        else:
            row += ["–"] * 5
        rows.append(row)
    print_rows(rows, out)


def compare_row(words, cells):
    """A row with the modes' elapsed times and their ratios. `cells`: a list with the cell, or an empty one, for
    each mode."""
    found = {mode: cells[mode][0]["figures"]["elapsed_us"] for mode in MODES if measured(cells[mode])}
    ratios = (ratio(found.get(over), found.get(under)) for over, under in (("launder", "hybrid"), ("hybrid", "bulk")))
    return [*words, *(elapsed_word(cells[mode]) for mode in MODES), *map(ratio_text, ratios)]


COMPARED = (*MODES, "launder/hybrid", "hybrid/bulk")


def print_axis(report, title, key, words, out):
    """Elapsed time along one axis, for each round trip."""
    rows = [["round trip", "", *COMPARED]]
    for rtt_ms in round_trips(report):
        for value in sorted({cell[key] for cell in select(report, "alone", rtt_ms=rtt_ms, **{key: None})}):
            cells = {mode: select(report, "alone", mode=mode, rtt_ms=rtt_ms, **{key: value}) for mode in MODES}
            rows.append(compare_row([f"{rtt_ms:g} ms", words(value)], cells))
    if len(rows) > 1:
        print(f"\n{title}", file=out)
        print_rows(rows, out)


def print_patterns(report, out):
    rows = [["round trip", "", *COMPARED]]
    for rtt_ms in round_trips(report):
        for place in PATTERNS:
            cells = {mode: select(report, "alone", mode=mode, rtt_ms=rtt_ms, **place) for mode in MODES}
            if any(cells.values()):
                rows.append(compare_row([f"{rtt_ms:g} ms", ", ".join(place.values())], cells))
    print("\nElapsed, over how 64 MiB were made dirty (sparse: 4 KiB of each folio)", file=out)
    print_rows(rows, out)


def print_stalls(report, out):
    rows = [["round trip", "writer", "mode", "p99 write", "longest", "writes", "p99 stream", "elapsed", "copies", "memory"]]
    for cell in measured(report["cells"]):
        if cell["kind"] != "writer":
            continue
        figures, writer = cell["figures"], cell["figures"]["writer"]
        place = f"{cell['order']}, {bytes_text(cell['extent_bytes'])} in {bytes_text(cell['folio_bytes'])}"
        rows.append(
            [f"{cell['rtt_ms']:g} ms", place, cell["mode"], time_text(writer["p99_us"]), time_text(writer["max_us"])]
            + [f"{writer['samples']:,}", time_text(writer["stream_p99_us"]), time_text(figures["elapsed_us"])]
            + [f"{figures['cow_copies']:,}", bytes_text(figures["extra_peak_bytes"])]
        )
    print("\nWith a writer of 4 KiB blocks, 2,000 a second: how long one write(2) took", file=out)
    print_rows(rows, out)


def print_tables(report, out):
    for rtt_ms in round_trips(report):
        print_base(report, rtt_ms, out)
    print_axis(report, "Elapsed, over dirty bytes (64 KiB folios)", "extent_bytes", bytes_text, out)
    print_axis(report, "Elapsed, over folio size (64 MiB dirty)", "folio_bytes", bytes_text, out)
    print_patterns(report, out)
    print_stalls(report, out)
    print("\nExpected", file=out)
    for item in report["expectations"]:
        verdict = {True: "met", False: "NOT MET", None: "not looked at"}[item["met"]]
        print(f"  {verdict}: {item['text']}", file=out)
        for figure in item["figures"]:
            print(f"      {'' if figure['met'] else 'not '}so at {figure['where']}: {figure['text']}", file=out)
    skipped = [cell for cell in report["cells"] if not cell["measured"]]
    if skipped:
        print(f"\nNot measured, because it would take more than {report['limit_s']} s", file=out)
        for cell in skipped:
            print(f"  {not_measured_text(cell)}", file=out)
    print(file=out)


# --- the whole --------------------------------------------------------------------------------------


def machine():
    with open("/proc/meminfo") as table:
        memory_kib = next(int(line.split()[1]) for line in table if line.startswith("MemTotal:"))
    return {
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_bytes": memory_kib * KIB,
    }


def gather(words):
    with open(words.cells) as lines:
        cells = [json.loads(line) for line in lines]
    report = {
        "what": "scripts/bench invalidate",
        "command": words.command,
        "version": words.version,
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "took_s": words.took,
        "machine": machine(),
        "export_filesystem": words.export,
        "base": BASE,
        "rounds": words.rounds,
        "limit_s": words.limit,
        "writer": {"block_bytes": 4096, "writes_per_s": 2000},
        "cells": cells,
    }
    report["expectations"] = expectations(report)
    return report


def main():
    parser = argparse.ArgumentParser(prog="invalidate_report.py")
    parser.add_argument("cells", nargs="?")
    parser.add_argument("--table")
    for name in ("command", "version", "export"):
        parser.add_argument(f"--{name}", default="")
    for name in ("rounds", "limit", "took"):
        parser.add_argument(f"--{name}", type=int, default=0)
    words = parser.parse_args()
    if words.table:
        with open(words.table) as file:
            print_tables(json.load(file), sys.stdout)
    else:
        json.dump(gather(words), sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
