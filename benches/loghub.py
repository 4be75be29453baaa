#!/usr/bin/env python3
"""Grouping against drain3 on loghub's labelled lines, in one run: quality and lines per second.

    python3 benches/loghub.py DIRECTORY [--venv DIRECTORY]

DIRECTORY holds `*/*_2k.log_structured.csv` of github.com/logpai/loghub (not part of this project).
drain3 runs as installed, and once more with the masking its documentation shows. Ours runs by
`cargo bench -p grouping --bench loghub`, which prints its own table: GA and FGA of ids without any
memory, GA* and FGA* with the miner's merges. Both sides see the same text in the same order on one core, and take
turns for some rounds; the last tables and the median ratios are printed. drain3's time is that of the processor, ours
the clock's, which on a busy machine is more.
"""

import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys
import time
import venv

DRAIN3 = "drain3==0.9.11"
MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
]
ROUNDS = 5


def systems(root):
    """(name, [(text, label)]) of every system."""
    for file in sorted(root.glob("*/*_2k.log_structured.csv")):
        with open(file, newline="", encoding="utf-8", errors="replace") as lines:
            yield file.parent.name, [(row["Content"], row["EventId"]) for row in csv.DictReader(lines)]


def scores(groups, labels):
    """Group accuracy and F1 of groups."""
    by_group, by_label = {}, {}
    for at, (group, label) in enumerate(zip(groups, labels)):
        by_group.setdefault(group, []).append(at)
        by_label[label] = by_label.get(label, 0) + 1
    exact = [
        members
        for members in by_group.values()
        if len({labels[at] for at in members}) == 1 and by_label[labels[members[0]]] == len(members)
    ]
    accuracy = sum(map(len, exact)) / len(labels)
    return accuracy, 2 * len(exact) / (len(by_group) + len(by_label))


def drain(root):
    """Prints drain3's table. Runs inside the environment that has it."""
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    print(f"{'drain3':<12} {'GA':>6} {'FGA':>6} {'lines/s':>12}   {'masked GA':>9} {'FGA':>6} {'lines/s':>12}")
    sums, total, seconds = [0.0] * 4, 0, [0.0, 0.0]
    count = 0
    for name, lines in systems(root):
        row = []
        for variant in (0, 1):
            config = TemplateMinerConfig()
            config.profiling_enabled = False
            if variant:
                config.masking_instructions = [MaskingInstruction(p, m) for p, m in MASKS]
            miner = TemplateMiner(config=config)
            start = time.process_time()
            groups = [miner.add_log_message(text)["cluster_id"] for text, _ in lines]
            spent = time.process_time() - start
            accuracy, f1 = scores(groups, [label for _, label in lines])
            seconds[variant] += spent
            sums[2 * variant] += accuracy
            sums[2 * variant + 1] += f1
            row.append((accuracy, f1, len(lines) / spent))
        total, count = total + len(lines), count + 1
        (a, b, c), (d, e, f) = row
        print(f"{name:<12} {a:>6.3f} {b:>6.3f} {c:>12.0f}   {d:>9.3f} {e:>6.3f} {f:>12.0f}", flush=True)
    a, b, d, e = (value / count for value in sums)
    c, f = (total / value for value in seconds)
    print(f"{'mean':<12} {a:>6.3f} {b:>6.3f} {c:>12.0f}   {d:>9.3f} {e:>6.3f} {f:>12.0f}", flush=True)
    return c


def environment(path):
    """An environment with drain3; its Python."""
    python = path / "bin" / "python"
    if not python.exists():
        venv.create(path, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", DRAIN3], check=True)
    return python


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--venv", type=pathlib.Path, default=pathlib.Path("target/loghub-venv"))
    parser.add_argument("--drain", action="store_true", help="drain3 only, in this Python")
    arguments = parser.parse_args()
    root = arguments.directory.resolve()
    if not any(root.glob("*/*_2k.log_structured.csv")):
        sys.exit(f"{root}: no *_2k.log_structured.csv: clone github.com/logpai/loghub")
    if arguments.drain:
        drain(root)
        return
    python = environment(arguments.venv)
    drains = [python, __file__, root, "--drain"]
    ours = ["cargo", "bench", "--quiet", "-p", "grouping", "--bench", "loghub"]
    plain, masked = [], []
    for turn in range(ROUNDS):
        # A B B A: what slows the machine down slows both.
        order = [drains, ours] if turn % 2 == 0 else [ours, drains]
        tables = {id(command): output(command, root) for command in order}
        of_theirs, of_ours = (mean(tables[id(command)]) for command in (drains, ours))
        plain.append(of_ours[5] / of_theirs[3])
        masked.append(of_ours[5] / of_theirs[6])
    print(tables[id(drains)], tables[id(ours)], sep="\n")
    for name, ratios in (("as installed", plain), ("with masking", masked)):
        least, most = min(ratios), max(ratios)
        median = statistics.median(ratios)
        print(f"ours / drain3 {name}: {median:.0f} times as fast, median of {ROUNDS} ({least:.0f} to {most:.0f})")


def output(command, root):
    """What a command prints."""
    environment = {**os.environ, "TIDEMILL_LOGHUB": str(root)}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def mean(table):
    """The last line of a table, as numbers; the first is no number."""
    [line] = [line for line in table.splitlines() if line.startswith("mean")]
    return [0.0] + [float(field) for field in line.split()[1:]]


if __name__ == "__main__":
    main()
