"""One self-contained page of plots from the JSON of `scripts/bench invalidate`.

It uses no external script, font or picture, and the light or dark colours that the reader's system asks for.

usage: picture.py JSON HTML
"""

from html import escape

from invalidate_plan import MODES
from invalidate_report import (
    bytes_text,
    cell_text,
    figure_of,
    measured,
    not_measured_text,
    ratio,
    round_trips,
    select,
    tick_text,
    time_text,
)
from page import facts, figure, legend, page, section, table, write_page
from svg_plot import LinearAxis, LogAxis, Steps, line_plot, row_plot

TRIP = "{:g} ms round trip"


def count_text(value):
    return f"{value:,.0f}"


def count_tick(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def point_words(cell, what, value):
    return f"{cell_text(cell)}: {what} {value}"


# --- series -----------------------------------------------------------------------------------------


def series_along(cells, key, value_of):
    """For each mode, its points in the order of `key`; `value_of` computes a value from a cell's figures."""
    series = {}
    for mode in MODES:
        of_mode = sorted((cell for cell in measured(cells) if cell["mode"] == mode), key=lambda cell: cell[key])
        if of_mode:
            series[mode] = [(cell[key], value_of(cell["figures"]), cell) for cell in of_mode]
    return series


def describe_series(series, show_x, show_y):
    """The plot in words, for readers who cannot see it."""
    parts = []
    for mode, points in series.items():
        parts.append(f"{mode}: " + ", ".join(f"{show_x(x)} {show_y(y)}" for x, y, _ in points))
    return "; ".join(parts) + "."


def line_figure(plot_id, caption, series, key_steps, y_axis, x_label, y_label, show_x, show_y, what):
    points = {
        mode: [(x, y, cell["id"], point_words(cell, what, show_y(y))) for x, y, cell in values]
        for mode, values in series.items()
    }
    drawing = line_plot(
        plot_id, caption, describe_series(series, show_x, show_y), points, key_steps, y_axis, x_label, y_label
    )
    return figure(caption, drawing)


def lines_for_each_trip(report, name, kind, key, value_of, show_y, y_label, what, log=True, **place):
    """One panel for each round trip, all with the same axes."""
    x_label, show_x = {
        "extent_bytes": ("dirty bytes", bytes_text),
        "folio_bytes": ("folio size", bytes_text),
    }[key]
    panels = {
        rtt_ms: series_along(select(report, kind, rtt_ms=rtt_ms, **{key: None}, **place), key, value_of)
        for rtt_ms in round_trips(report)
    }
    panels = {rtt_ms: series for rtt_ms, series in panels.items() if series}
    values = [point for series in panels.values() for points in series.values() for point in points]
    if not values:
        return ""
    x_axis = Steps([x for x, _, _ in values], show_x)
    if log:
        y_axis = LogAxis([y for _, y, _ in values], tick_text)
    else:
        y_axis = LinearAxis([y for _, y, _ in values], show_y, 1 << 20)
    return "".join(
        line_figure(
            f"{name}-{rtt_ms:g}ms".replace(".", "_"),
            TRIP.format(rtt_ms),
            series,
            x_axis,
            y_axis,
            x_label,
            y_label,
            show_x,
            show_y,
            what,
        )
        for rtt_ms, series in panels.items()
    )


# --- sections ---------------------------------------------------------------------------------------


def missing_list(cells):
    skipped = [cell for cell in cells if not cell["measured"]]
    if not skipped:
        return ""
    items = "".join(f'<li data-cell="{cell["id"]}">Not measured: {escape(not_measured_text(cell))}.</li>' for cell in skipped)
    return f'<ul class="missing">{items}</ul>'


def along_axis(report, kind, key, **place):
    return [cell for rtt_ms in round_trips(report) for cell in select(report, kind, rtt_ms=rtt_ms, **{key: None}, **place)]


def elapsed_over_dirty(report):
    figures = lines_for_each_trip(
        report, "elapsed-dirty", "alone", "extent_bytes", lambda f: f["elapsed_us"], time_text, "elapsed", "elapsed"
    )
    slowest = round_trips(report)[-1]
    found = ratio(*(figure_of(report, "alone", "elapsed_us", mode, rtt_ms=slowest) for mode in ("launder", "hybrid")))
    heading = "Elapsed time over dirty bytes"
    if found:
        heading = f"At {slowest:g} ms launder takes {found:.0f} times as long as hybrid for 64 MiB"
    words = "Elapsed time over dirty bytes, 64 KiB folios; both axes are logarithmic. Nothing else runs."
    return section(heading, words, figures, missing_list(along_axis(report, "alone", "extent_bytes")))


def elapsed_over_folio(report):
    figures = lines_for_each_trip(
        report, "elapsed-folio", "alone", "folio_bytes", lambda f: f["elapsed_us"], time_text, "elapsed", "elapsed"
    )
    words = "Elapsed time over folio size, 64 MiB dirty; both axes are logarithmic."
    heading = "Small folios cost launder most"
    trip = round_trips(report)[-1]
    costs = {}
    for mode in MODES:
        points = series_along(select(report, "alone", rtt_ms=trip, folio_bytes=None), "folio_bytes", lambda f: f["elapsed_us"])
        if mode in points:
            values = [y for _, y, _ in points[mode]]
            costs[mode] = values[0] / values[-1]
    if not costs or max(costs, key=costs.get) != "launder":
        heading = "Elapsed time over folio size"
    return section(heading, words, figures, missing_list(along_axis(report, "alone", "folio_bytes")))


def write_calls(report):
    """The number of calls does not depend on the round trip, so this draws the shortest one, for which most cells
    were measured."""
    trip = round_trips(report)[0]
    figures = ""
    for key, label in (("extent_bytes", "dirty bytes"), ("folio_bytes", "folio size")):
        series = series_along(select(report, "alone", rtt_ms=trip, **{key: None}), key, lambda f: f["write_calls"])
        values = [point for points in series.values() for point in points]
        if not values:
            continue
        figures += line_figure(
            f"calls-{'dirty' if key == 'extent_bytes' else 'folio'}",
            f"Over {label}",
            series,
            Steps([x for x, _, _ in values], bytes_text),
            LogAxis([y for _, y, _ in values], count_tick),
            label,
            "WRITE calls",
            bytes_text,
            count_text,
            "WRITE calls",
        )
    calls = [figure_of(report, "alone", "write_calls", mode, rtt_ms=trip) for mode in ("launder", "bulk")]
    heading = "WRITE calls"
    if all(calls):
        heading = f"Bulk and hybrid need {calls[1]:,} WRITE calls where launder needs {calls[0]:,}"
    words = f"WRITE calls to the server at {trip:g} ms; both axes are logarithmic. First 64 KiB folios, then 64 MiB dirty."
    return section(heading, words, figures)


def pattern_plot(report, rtt_ms, axis):
    groups = []
    for density in ("dense", "sparse"):
        rows = []
        for order in ("sequential", "random"):
            cells = measured(select(report, "alone", rtt_ms=rtt_ms, density=density, order=order))
            marks = [
                (cell["mode"], cell["figures"]["elapsed_us"], cell["id"],
                 point_words(cell, "elapsed", time_text(cell["figures"]["elapsed_us"])), None)
                for cell in cells
            ]
            if marks:
                rows.append((order, marks))
        if rows:
            dirty = measured(select(report, "alone", rtt_ms=rtt_ms, density=density))[0]["dirty_bytes"]
            groups.append((f"{density}: {bytes_text(dirty)} dirty", rows))
    described = "; ".join(mark[3] for _, rows in groups for _, marks in rows for mark in marks) + "."
    plot_id = f"patterns-{rtt_ms:g}ms".replace(".", "_")
    caption = TRIP.format(rtt_ms)
    drawing = row_plot(plot_id, caption, described, groups, axis, "elapsed")
    return figure(caption, drawing)


def patterns(report):
    cells = [
        cell
        for rtt_ms in round_trips(report)
        for cell in measured(select(report, "alone", rtt_ms=rtt_ms, density=None, order=None))
    ]
    if not cells:
        return ""
    axis = LogAxis([cell["figures"]["elapsed_us"] for cell in cells], tick_text)
    figures = "".join(pattern_plot(report, rtt_ms, axis) for rtt_ms in round_trips(report))
    words = (
        "Elapsed time for a file of 64 MiB in 64 KiB folios: all of it dirty, or one block of 4 KiB in each folio; "
        "stored in order or at random. Logarithmic."
    )
    skipped = [
        cell for trip in round_trips(report) for cell in select(report, "alone", rtt_ms=trip, density=None, order=None)
    ]
    return section("Sparse or dense, in order or at random", words, figures, missing_list(skipped))


def stall_plot(report, rtt_ms, axis):
    groups = []
    for order in ("sequential", "random"):
        rows = []
        for cell in measured(select(report, "writer", rtt_ms=rtt_ms, order=order)):
            writer = cell["figures"]["writer"]
            marks = [
                (cell["mode"], writer[key], cell["id"], point_words(cell, what, time_text(writer[key])), hollow)
                for key, what, hollow in (("p99_us", "p99", False), ("max_us", "longest", True))
            ]
            rows.append((cell["mode"], marks))
        if rows:
            groups.append((f"{order} writer", rows))
    described = "; ".join(mark[3] for _, rows in groups for _, marks in rows for mark in marks) + "."
    plot_id = f"stalls-{rtt_ms:g}ms".replace(".", "_")
    caption = TRIP.format(rtt_ms)
    drawing = row_plot(plot_id, caption, described, groups, axis, "one write(2)")
    return figure(caption, drawing)


def stalls(report):
    cells = [
        cell for rtt_ms in round_trips(report) for cell in measured(select(report, "writer", rtt_ms=rtt_ms, order=None))
    ]
    if not cells:
        return ""
    axis = LogAxis([cell["figures"]["writer"][key] for cell in cells for key in ("p99_us", "max_us")], tick_text)
    figures = "".join(stall_plot(report, rtt_ms, axis) for rtt_ms in round_trips(report))
    words = (
        "How long one write(2) of a program took that rewrites 4 KiB blocks of the file, 2,000 a second, while it is "
        "invalidated: p99 (filled) and longest (hollow). 64 MiB dirty in 64 KiB folios. Logarithmic."
    )
    return section("How long a writer stands still", words, figures)


def longest_stall_over_dirty(report):
    figures = lines_for_each_trip(
        report, "longest-dirty", "writer", "extent_bytes", lambda f: f["writer"]["max_us"], time_text,
        "longest write(2)", "longest write", order="random",
    )
    words = "The longest write(2) of a random writer over dirty bytes, 64 KiB folios; both axes are logarithmic."
    heading = "With bulk, the more is dirty the longer a writer stands still"
    trip = round_trips(report)[-1]
    values = series_along(
        select(report, "writer", rtt_ms=trip, order="random", extent_bytes=None), "extent_bytes",
        lambda f: f["writer"]["max_us"],
    ).get("bulk")
    if not values or len(values) < 2 or values[-1][1] <= values[0][1]:
        heading = "The longest stall over dirty bytes"
    notes = missing_list(along_axis(report, "writer", "extent_bytes", order="random"))
    return section(heading, words, figures, notes)


def memory(report):
    figures = lines_for_each_trip(
        report, "memory-folio", "writer", "folio_bytes", lambda f: f["extra_peak_bytes"], bytes_text,
        "memory beyond the cached bytes", "memory", log=False, order="random",
    )
    words = (
        "Most memory beyond what was cached when the invalidation began, with a random writer, over folio size; 64 MiB "
        "dirty. It is copies of folios that were stored to while they were in flight, and what is dirty anew."
    )
    notes = missing_list(along_axis(report, "writer", "folio_bytes", order="random"))
    return section("Memory for copies", words, figures, notes)


# --- answers and tables -----------------------------------------------------------------------------


def answers(report):
    items = []
    for item in report["expectations"]:
        verdict, css = {True: ("met", "met"), False: ("not met", "missed"), None: ("not looked at", "missed")}[item["met"]]
        figures = "".join(
            f'<li class="{"met" if figure["met"] else "missed"}"><span>{escape(figure["where"])}</span>'
            f"<span>{escape(figure['text'])}</span></li>"
            for figure in item["figures"]
        )
        items.append(
            f'<li data-expectation="{item["name"]}"><span class="verdict {css}">{verdict}</span>'
            f"<p>{escape(item['text'])}</p><ul>{figures}</ul></li>"
        )
    return f'<section><h2>What was expected</h2><ul class="answers">{"".join(items)}</ul></section>'


COLUMNS = (
    ("WRITE calls", "write_calls", count_text),
    ("bytes written", "bytes_written", bytes_text),
    ("elapsed", "elapsed_us", time_text),
    ("p99 write", "writer.p99_us", time_text),
    ("longest", "writer.max_us", time_text),
    ("p99 stream", "writer.stream_p99_us", time_text),
    ("writes", "writer.samples", count_text),
    ("copies", "cow_copies", count_text),
    ("memory", "extra_peak_bytes", bytes_text),
    ("laundered", "folios_laundered", count_text),
    ("rounds", "rounds", str),
)


def figure_in(cell, name):
    value = cell["figures"]
    for part in name.split("."):
        value = value.get(part) if value else None
    return value


def table_row(cell, css=""):
    words = [f"{cell['rtt_ms']:g} ms", cell["mode"], bytes_text(cell["dirty_bytes"]), bytes_text(cell["folio_bytes"])]
    words += [f"{cell['density']}, {cell['order']}", "yes" if cell["kind"] == "writer" else "no"]
    row = "".join(f"<td>{escape(word)}</td>" for word in words)
    if not cell["measured"]:
        return (
            f'<tr data-cell="{cell["id"]}" class="{css}">{row}'
            f'<td colspan="{len(COLUMNS)}">not measured: would take about {cell["would_take_s"]:.0f} s</td></tr>'
        )
    for _, name, show in COLUMNS:
        value = figure_in(cell, name)
        row += f'<td data-figure="{name}">{"" if value is None else escape(show(value))}</td>'
    return f'<tr data-cell="{cell["id"]}" class="{css}">{row}</tr>'


def all_figures(report):
    head = ("round trip", "mode", "dirty", "folio", "pattern", "writer", *(title for title, _, _ in COLUMNS))
    rows, before = [], None
    for cell in report["cells"]:
        place = cell["id"].rsplit("-", 1)[0]
        rows.append(table_row(cell, "first" if place != before else ""))
        before = place
    return (
        "<section><h2>Every figure</h2><p>Medians of the rounds; of stalls and memory the worst. "
        "<em>p99 stream</em> also counts the writes that would have been due while one stood still.</p>"
        + table("cells", "Every figure", head, "".join(rows), f"{len(report['cells'])} rows")
        + "</section>"
    )


def conditions(report):
    machine = report["machine"]
    rows = (
        ("command", f"<code>{escape(report['command'])}</code>"),
        ("version", escape(report["version"])),
        ("machine", f"{machine['cores']} cores, {bytes_text(machine['memory_bytes'])}, Linux {escape(machine['kernel'])}"),
        ("network", "loopback, through a proxy that delays every byte by half of the round trip"),
        ("server", f"foliofsd on the same machine, its directory on {escape(report['export_filesystem'])}"),
        ("rounds", f"{report['rounds']} for each cell, 1 for those of more than 3 s or 256 MiB; with a writer, until 500 writes were seen"),
        ("finished", f"{escape(report['finished'])}, after {report['took_s'] / 60:.0f} min"),
    )
    return facts("How it was measured", rows)


def lead(report):
    trip = round_trips(report)[-1]
    times = {mode: figure_of(report, "alone", "elapsed_us", mode, rtt_ms=trip) for mode in MODES}
    words = "Three ways to write back what is dirty of a file and then drop it from the cache, measured on real mounts."
    if all(times.values()):
        words += (
            f" For 64 MiB in 64 KiB folios and a round trip of {trip:g} ms: launder {time_text(times['launder'])}, "
            f"bulk {time_text(times['bulk'])}, hybrid {time_text(times['hybrid'])}."
        )
    return words


def whole_page(report):
    sections = (
        elapsed_over_dirty,
        write_calls,
        stalls,
        longest_stall_over_dirty,
        elapsed_over_folio,
        patterns,
        memory,
        all_figures,
        conditions,
    )
    parts = [answers(report) + legend(MODES), *(make(report) for make in sections)]
    return page("foliofs: what an invalidation costs", "What an invalidation costs", lead(report), parts)


if __name__ == "__main__":
    write_page(whole_page)
