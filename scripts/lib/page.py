"""What the pages of scripts/bench have in common. Each is one self-contained file, without external scripts, fonts
or pictures, in the light or dark colours that the reader's system asks for.
"""

import json
import os
import sys
from html import escape

import svg_plot

HERE = os.path.dirname(os.path.abspath(__file__))


def section(heading, words, figures, notes=""):
    """Empty when there are no figures. `figures` and `notes` are HTML, the rest is text."""
    if not figures:
        return ""
    return (
        f"<section><h2>{escape(heading)}</h2><p>{escape(words)}</p>"
        f'<div class="plots">{figures}</div>{notes}</section>'
    )


def figure(caption, drawing):
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"


def legend(names):
    items = []
    for name in names:
        sample = f'<line class="line {name}" x1="1" y1="8" x2="33" y2="8"/>'
        css = f"sample {name}{' hollow' if name in svg_plot.HOLLOW else ''}"
        sample += f'<g class="{css}">{svg_plot.shape(name, 17, 8, svg_plot.SIZES[name])}</g>'
        items.append(f'<li><svg viewBox="0 0 34 16" aria-hidden="true">{sample}</svg>{escape(name)}</li>')
    return f'<ul class="legend" aria-label="Legend">{"".join(items)}</ul>'


def facts(heading, rows):
    """`rows`: (name, HTML)."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in rows)
    return f"<section><h2>{escape(heading)}</h2><dl>{items}</dl></section>"


def table(table_id, label, head, rows, words):
    """`rows` is HTML; `words` summarizes the table. A wide table scrolls on its own."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return (
        f"<details><summary>{escape(words)}</summary>"
        f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0"><table id="{table_id}"><thead><tr>'
        f"{titles}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def page(title, heading, lead, parts):
    """`parts` is HTML."""
    with open(os.path.join(HERE, "picture.css"), encoding="utf-8") as file:
        css = file.read()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>\n{css}</style></head>\n<body><main>"
        f"<h1>{escape(heading)}</h1><p>{escape(lead)}</p>" + "\n".join(parts) + "</main></body></html>\n"
    )


def write_page(make):
    """The main function of a program that reads a report from a JSON file and writes `make(report)`."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} JSON HTML")
    with open(sys.argv[1], encoding="utf-8") as file:
        text = make(json.load(file))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)
