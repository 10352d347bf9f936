"""Plots as inline SVG: lines over an axis, and rows of marks.

Colours come from the page's CSS variables, so that one drawing works in light and dark. The modes or peers that a
plot compares differ in shape and dash as well as in colour. Every mark names its cell (data-cell) and its figure
(title); there are marks only for what was measured.
"""

import math
from html import escape

WIDTH = 340
FONT = 12
SHAPES = {
    "launder": "triangle", "bulk": "square", "hybrid": "circle",
    "foliofs": "circle", "sshfs": "triangle", "gluster": "square", "rclone": "diamond", "passthrough": "wedge", "local": "cross",
}
# The corners of the shapes that are polygons, for a size of 1.
CORNERS = {
    "triangle": ((0, -1.25), (1.2, 0.9), (-1.2, 0.9)),
    "wedge": ((0, 1.25), (1.2, -0.9), (-1.2, -0.9)),
    "diamond": ((0, -1.4), (1.25, 0), (0, 1.4), (-1.25, 0)),
    "cross": ((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2),
              (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)),
}


def number(value):
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be drawn")
    return f"{value:.1f}".rstrip("0").rstrip(".")


class LogAxis:
    """A logarithmic axis between the powers of ten that enclose all values."""

    def __init__(self, values, words):
        values = [value for value in values if value > 0]
        self.low = math.floor(math.log10(min(values)) + 1e-9) if values else 0
        self.high = max(math.ceil(math.log10(max(values)) - 1e-9) if values else 1, self.low + 1)
        self.words = words

    def at(self, value):
        """The position of `value`, from 0 to 1."""
        return (math.log10(value) - self.low) / (self.high - self.low)

    def ticks(self):
        step = 1 if self.high - self.low <= 6 else 2
        return [(10.0**power, self.words(10.0**power)) for power in range(self.low, self.high + 1, step)]


class LinearAxis:
    """A linear axis from 0 to a round number."""

    def __init__(self, values, words, unit=1):
        most = max([*values, unit]) / unit
        step = 10 ** math.floor(math.log10(most))
        self.step = next(step * factor * unit for factor in (0.25, 0.5, 1, 2.5) if most / (step * factor) <= 5)
        self.most = math.ceil(most * unit / self.step - 1e-9) * self.step
        self.words = words

    def at(self, value):
        return value / self.most

    def ticks(self):
        return [(index * self.step, self.words(index * self.step)) for index in range(round(self.most / self.step) + 1)]


class Steps:
    """An axis with the values at equal distances, for values that double or quadruple from one to the next."""

    def __init__(self, values, words):
        self.values = sorted(set(values))
        self.words = words

    def at(self, value):
        if len(self.values) == 1:
            return 0.5
        return self.values.index(value) / (len(self.values) - 1)

    def ticks(self):
        return [(value, self.words(value)) for value in self.values]


# --- pieces -----------------------------------------------------------------------------------------


def shape(mode, x, y, size):
    kind = SHAPES[mode]
    if kind == "circle":
        return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(size)}"/>'
    if kind == "square":
        side = size * 1.9
        return (
            f'<rect x="{number(x - side / 2)}" y="{number(y - side / 2)}" '
            f'width="{number(side)}" height="{number(side)}"/>'
        )
    points = " ".join(f"{number(x + dx * size)},{number(y + dy * size)}" for dx, dy in CORNERS[kind])
    return f'<polygon points="{points}"/>'


# Bulk's and hybrid's marks often coincide, so bulk's is larger and hollow and shows around hybrid's.
SIZES = {
    "launder": 4.2, "bulk": 5.2, "hybrid": 3.2,
    "foliofs": 4, "sshfs": 4.2, "gluster": 4, "rclone": 4, "passthrough": 4.2, "local": 4.4,
}
HOLLOW = {"bulk"}


def mark(mode, x, y, cell_id, words, hollow=None, size=None):
    hollow = mode in HOLLOW if hollow is None else hollow
    return (
        f'<g class="mark {mode}{" hollow" if hollow else ""}" data-cell="{escape(cell_id)}">'
        f"<title>{escape(words)}</title>{shape(mode, x, y, size or SIZES[mode])}</g>"
    )


def text(x, y, words, anchor="middle", css="tick"):
    return f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}" class="{css}">{escape(words)}</text>'


def line(x1, y1, x2, y2, css):
    coordinates = zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2))
    return f'<line class="{css}" ' + " ".join(f'{name}="{number(value)}"' for name, value in coordinates) + "/>"


def svg(plot_id, title, description, height, body):
    return (
        f'<svg id="{plot_id}" class="plot" role="img" viewBox="0 0 {WIDTH} {number(height)}" '
        f'aria-labelledby="{plot_id}-title {plot_id}-desc">'
        f'<title id="{plot_id}-title">{escape(title)}</title><desc id="{plot_id}-desc">{escape(description)}</desc>'
        f"{body}</svg>"
    )


# --- plots ------------------------------------------------------------------------------------------


def line_plot(plot_id, title, description, series, x_axis, y_axis, x_label, y_label):
    """`series`: for each mode, its points (x, y, cell id, words) in the order of x."""
    left, right, top, bottom, height, inset = 56, 26, 30, 44, 236, 9
    span_x, span_y = WIDTH - left - right - inset, height - top - bottom

    def place_x(value):
        return left + inset + x_axis.at(value) * span_x

    def place_y(value):
        return top + (1 - y_axis.at(value)) * span_y

    body = [text(left, 14, y_label, "start", "label")]
    for value, words in y_axis.ticks():
        y = place_y(value)
        body += [line(left, y, WIDTH - right, y, "grid"), text(left - 6, y + 4, words, "end")]
    for value, words in x_axis.ticks():
        body.append(text(place_x(value), height - bottom + 18, words))
    body.append(text(left + span_x / 2, height - 6, x_label, css="label"))
    lines, marks = [], []
    for mode, points in series.items():
        at = [(place_x(x), place_y(y)) for x, y, _, _ in points]
        if len(at) > 1:
            path = " ".join(f"{number(x)},{number(y)}" for x, y in at)
            lines.append(f'<polyline class="line {mode}" points="{path}"/>')
        marks += [mark(mode, x, y, cell_id, words) for (x, y), (_, _, cell_id, words) in zip(at, points)]
    return svg(plot_id, title, description, height, "".join(body + lines + marks))


def row_plot(plot_id, title, description, groups, axis, label, left=76):
    """`groups`: (name, rows); a row: (name, marks); a mark: (mode, value, cell id, words, hollow).
    A line joins the marks of a row that are of one mode. `left`: room for the rows' names."""
    right, top, row_height, group_gap, bottom = 24, 0, 22, 26, 42
    rows = sum(len(rows) for _, rows in groups)
    height = top + rows * row_height + len(groups) * group_gap + bottom

    def place(value):
        return left + axis.at(value) * (WIDTH - left - right)

    frame, marks = [], []
    for value, words in axis.ticks():
        x = place(value)
        frame += [line(x, top + 6, x, height - bottom, "grid"), text(x, height - bottom + 16, words)]
    frame.append(text((left + WIDTH - right) / 2, height - 6, label, css="label"))
    y = top
    for group, group_rows in groups:
        y += group_gap
        marks.append(text(4, y - 7, group, "start", "group"))
        for name, row in group_rows:
            middle = y + row_height / 2
            marks.append(text(left - 8, middle + 4, name, "end"))
            if len(row) > 1 and len({mode for mode, *_ in row}) == 1:
                ends = [place(value) for _, value, *_ in row]
                marks.append(line(min(ends), middle, max(ends), middle, f"span {row[0][0]}"))
            # A hollow mark is larger and is drawn first, so that another at the same place shows inside it.
            for mode, value, cell_id, words, hollow in sorted(row, key=lambda each: not each[4]):
                size = SIZES[mode] + (1.6 if hollow else 0)
                marks.append(mark(mode, place(value), middle, cell_id, words, hollow, size))
            y += row_height
    return svg(plot_id, title, description, height, "".join(frame + marks))
