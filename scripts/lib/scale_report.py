"""Reports the figures of `scripts/bench scale` as one JSON or as tables.

usage: scale_report.py SCALE_JSONL MICRO_JSON COMMAND SECONDS     prints the JSON
       scale_report.py --table JSON                                prints the tables; status 3 if something grows
"""

import datetime

from invalidate_report import bytes_text, machine, print_rows
from peers_report import short
from report import read_json, read_json_lines, write_report

AXES = {"gib_mapped": "GiB of a sparse file mapped", "inodes": "inodes known"}
FIGURES = {
    "lookup": "stat(2) that asks the server",
    "cached_read": "read(2) of 4 KiB that the daemon has",
    "reclaim_step": "read(2) of 4 KiB for which a folio has to go",
    "invalidate": "invalidation of another file of 1 MiB",
}
# Growth up to this factor is the machine's: more cache misses in the processor, and other load.
GROWTH = 1.5


def pair(what, unit, few, many, few_took, many_took):
    growth = many_took / few_took
    return {"what": what, "unit": unit, "few": few, "many": many, "few_took": few_took, "many_took": many_took,
            "growth": growth, "met": growth <= GROWTH}


def mount_pairs(lines):
    found = []
    for axis, words in AXES.items():
        few, *_, many = sorted((line for line in lines if line["axis"] == axis), key=lambda line: line["count"])
        for name, what in FIGURES.items():
            found.append({"axis": words, **pair(what, "µs", few["count"], many["count"], few["figures"][name], many["figures"][name])})
    return found


def micro_pairs(micro):
    took = {}
    for each in micro["benchmarks"]:
        if "error_occurred" in each:
            raise ValueError(f"{each['name']}: {each['error_message']}")
        name, folios = each["name"].split("/folios:")
        took.setdefault(name, {})[int(folios)] = each["cpu_time"]
    found = []
    for name, times in took.items():
        few, many = min(times), max(times)
        found.append({"axis": "folios cached", **pair(name.replace("_", " ").replace("/", ", "), "ns", few, many, times[few], times[many])})
    return found


def print_pairs(title, pairs, out):
    rows = [[title, "", "few", "many", "with few", "with many", "growth"]]
    for each in pairs:
        rows.append([each["axis"], each["what"], f"{each['few']:,}", f"{each['many']:,}", f"{short(each['few_took'])} {each['unit']}",
                     f"{short(each['many_took'])} {each['unit']}", f"{each['growth']:.2f}×{'' if each['met'] else ' GROWS'}"])
    print(file=out)
    print_rows(rows, out)


def print_tables(report, out):
    print_pairs("on a mount, medians", report["mount"], out)
    print_pairs("the cache alone", report["cache"], out)
    print(file=out)
    for line in report["fills"]:
        print(f"  {AXES[line['axis']]}: {line['count']:,}: {line['inodes']:,} inodes and {line['folios']:,} folios in the daemon, "
              f"at most {bytes_text(line['peak_bytes'])}; filled in {line['filled_s']:.0f} s", file=out)
    print(file=out)


def all_met(report):
    return all(each["met"] for each in report["mount"] + report["cache"])


def gather_files(scale, micro, command, seconds):
    lines = read_json_lines(scale)
    return {
        "what": "scripts/bench scale",
        "command": command,
        "took_s": int(seconds),
        "finished": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "mount": mount_pairs(lines),
        "cache": micro_pairs(read_json(micro)),
        "fills": lines,
    }


if __name__ == "__main__":
    write_report("SCALE_JSONL MICRO_JSON COMMAND SECONDS", gather_files, print_tables, all_met)
