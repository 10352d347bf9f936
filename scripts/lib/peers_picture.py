"""One self-contained page of plots from the JSON of `scripts/bench peers`.

usage: peers_picture.py JSON HTML
"""

from html import escape

from invalidate_report import bytes_text
from page import facts, figure, legend, page, section, table, write_page
from peers_report import floors, short, spread, times
from peers_rows import THREADS
from svg_plot import LinearAxis, LogAxis, Steps, line_plot, row_plot

GROUPS = (("bytes", "Bytes"), ("names", "Names"))


def ratio_tick(ratio):
    return f"{ratio:g}×"


def count_tick(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


# --- plots ------------------------------------------------------------------------------------------


def ratio_plot(report, group, title, axis):
    rows = []
    for row in report["rows"]:
        if row["group"] == group and row["ratios"]:
            marks = [
                (peer, ratio, row["name"], f"{row['what']}, {peer}: {times(ratio)}", None)
                for peer, ratio in row["ratios"].items()
                if ratio
            ]
            rows.append((row["label"], marks))
    described = "; ".join(mark[3] for _, marks in rows for mark in marks) + "."
    plot_id = f"ratios-{group}"
    drawing = row_plot(plot_id, title, described, [(title, rows)], axis, "foliofs' speed, in times the peer's", left=134)
    return figure(title, drawing)


def ratios(report):
    values = [ratio for row in report["rows"] for ratio in row["ratios"].values() if ratio]
    if not values:
        return ""
    axis = LogAxis([*values, 1], ratio_tick)
    plots = "".join(ratio_plot(report, group, title, axis) for group, title in GROUPS)
    words = (
        "How many times as fast foliofs is as each peer with the same work: right of 1× it is faster. Medians of the "
        "rounds; logarithmic."
    )
    return section("Beside the others", words, plots)


def series_plot(series):
    points = {
        peer: [
            (each["threads"], each["median"], f"{series['name']}_{each['threads']}",
             f"{peer}, {each['threads']} at once: {short(each['median'])}")
            for each in of_peer
        ]
        for peer, of_peer in series["peers"].items()
    }
    values = [y for of_peer in points.values() for _, y, *_ in of_peer]
    described = "; ".join(words for of_peer in points.values() for *_, words in of_peer) + "."
    drawing = line_plot(
        series["name"].replace("_", "-"), series["what"], described, points, Steps(THREADS, str),
        LogAxis(values, count_tick), "at once", series["unit"],
    )
    return figure(series["what"], drawing)


def parallel(report):
    plots = "".join(series_plot(series) for series in report["series"] if series["peers"])
    words = "The same work, shared by more and more streams or threads: what all of them do together. Logarithmic."
    return section("Many at once", words, plots)


def limits(report):
    if not report["limits"]:
        return ""
    rows = [
        (each["what"].split(": ")[1],
         [("foliofs", each["fraction"] * 100, each["name"], f"{each['what']}: {each['fraction'] * 100:.0f}%", None)])
        for each in report["limits"]
    ]
    groups = {}
    for each, row in zip(report["limits"], rows):
        groups.setdefault(each["what"].split(": ")[0], []).append((LIMIT_NAMES.get(row[0], row[0]), row[1]))
    axis = LinearAxis([each["fraction"] * 100 for each in report["limits"]] + [100], lambda value: f"{value:g}%", 10)
    described = "; ".join(marks[0][3] for _, marks in rows) + "."
    drawing = row_plot("limits", "Share of the limit", described, list(groups.items()), axis, "reached", left=110)
    words = (
        "What share foliofs reaches of what a program that does nothing else gets from /dev/fuse and from loopback TCP "
        "on this machine, both polling."
    )
    return section("Beside what the machine gives", words, figure("Share of the limit", drawing))


LIMIT_NAMES = {
    "a filesystem that does nothing": "null filesystem",
    "a bare TCP stream": "bare TCP",
    "one turn through /dev/fuse and one through TCP": "null and echo",
}


# --- answers and tables -----------------------------------------------------------------------------


def answers(report):
    items = []
    found = floors(report)
    for title, wanted in (("Floors that are missed", False), ("Floors that are met", True)):
        chosen = [each for each in found if each[3] == wanted]
        if not chosen:
            continue
        verdict = "met" if wanted else "missed"
        figures = "".join(
            f'<li class="{verdict}"><span>{escape(what)}, {escape(least)}</span><span>{escape(value)}</span></li>'
            for what, least, value, _ in chosen
        )
        items.append(
            f'<li data-expectation="{verdict}"><span class="verdict {verdict}">{verdict}: {len(chosen)} of {len(found)}</span>'
            f"<p>{title}</p><ul>{figures}</ul></li>"
        )
    return f'<section><h2>What was to be reached</h2><ul class="answers">{"".join(items)}</ul></section>'


def table_rows(report):
    """(name, what, unit, figures of each peer) for every row and every point of a series."""
    for row in report["rows"]:
        yield row["name"], row["what"], row["unit"], row["figures"]
    for series in report["series"]:
        for threads in THREADS:
            figures = {
                peer: each for peer, points in series["peers"].items() for each in points if each["threads"] == threads
            }
            if figures:
                yield f"{series['name']}_{threads}", f"{series['what']}: {threads}", series["unit"], figures


def all_figures(report):
    peers = report["measured_peers"]
    rows = ""
    for name, what, unit, figures in table_rows(report):
        cells = "".join(
            f'<td data-figure="{peer}">{escape(short(figures[peer]["median"]))}</td><td>{escape(spread(figures[peer]))}</td>'
            if peer in figures else "<td>–</td><td></td>"
            for peer in peers
        )
        rows += f'<tr data-cell="{name}"><td>{escape(what)}</td><td>{escape(unit)}</td>{cells}</tr>'
    head = ["workload", "unit", *(word for peer in peers for word in (peer, "least–most"))]
    notes = [f"{each['peer']}: left out: {each['why']}" for each in report["left_out"]]
    notes += [f"{each['peer']}: {each['workload']} not measured: {each['why']}" for each in report["failures"]]
    missing = f'<ul class="missing">{"".join(f"<li>{escape(each)}</li>" for each in notes)}</ul>' if notes else ""
    return (
        f"<section><h2>Every figure</h2><p>Medians, and the least and the most of {report['rounds']} rounds.</p>"
        + table("cells", "Every figure", head, rows, f"{rows.count('<tr ')} rows") + missing + "</section>"
    )


def conditions(report):
    machine, sizes = report["machine"], report["sizes"]
    peaks = ", ".join(f"{peer} {bytes_text(count)}" for peer, count in report["memory"]["peak_bytes"].items())
    idle = ", ".join(f"{name} {value:.1f}%" for name, value in report["idle"]["percent"].items())
    rows = [
        ("command", f"<code>{escape(report['command'])}</code>"),
        ("version", escape(report["version"])),
        ("options", f"<code>{escape(report['options'] or 'none')}</code>"),
        ("machine", f"{machine['cores']} cores, {bytes_text(machine['memory_bytes'])}, Linux {escape(machine['kernel'])}"),
        ("peers", escape("; ".join(f"{peer}: {version}" for peer, version in report["versions"].items()))),
        ("servers", f"on the same machine, over loopback, their directory on {escape(report['export_filesystem'])}"),
        ("cold", "the client mounted anew, the kernel's caches dropped, then the server's directory read once"),
        ("sizes", f"{sizes['sequential_mib']} MiB; {sizes['tree_files']} headers"),
        ("most memory of a client", escape(peaks)),
        ("an idle mount", escape(f"{idle} of a core" if idle else "not measured")),
        ("rounds", f"{report['rounds']}, in turn"),
        ("finished", f"{escape(report['finished'])}, after {report['took_s'] / 60:.0f} min"),
    ]
    return facts("How it was measured", rows)


def lead(report):
    found = floors(report)
    met = sum(each[3] for each in found)
    return (
        f"The same work on foliofs and, in turn, on {', '.join(report['measured_peers'][1:]) or 'nothing else'}, all on one "
        f"machine. {met} of {len(found)} floors are met."
    )


def whole_page(report):
    parts = [answers(report) + legend(report["measured_peers"]), ratios(report), parallel(report), limits(report),
             all_figures(report), conditions(report)]
    return page("foliofs beside other filesystems", "foliofs beside other filesystems", lead(report), parts)


if __name__ == "__main__":
    write_page(whole_page)
