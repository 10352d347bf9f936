"""What the programs that report a benchmark's figures have in common: their command line, and reading files."""

import json
import os
import sys


def read_lines(path):
    """Reads lines of tab-separated fields."""
    with open(path, encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines]


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_json_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_report(inputs, gather, print_tables, is_good=lambda report: True):
    """The main function of a program that prints a report. It is called either with one argument for each word of
    `inputs` and prints `gather(*arguments)` as JSON; or with --table JSON, prints the tables of that report and
    ends with status 3 if the report is not good.
    """
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "--table":
        report = read_json(words[1])
        print_tables(report, sys.stdout)
        sys.exit(0 if is_good(report) else 3)
    if len(words) != len(inputs.split()):
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} {inputs}")
    json.dump(gather(*words), sys.stdout, indent=1)
    print()
