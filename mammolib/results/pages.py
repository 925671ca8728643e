"""Two pages of the book, written from the records: what every claim comes to, and which runs ran where."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence

from .claims import sections
from .comparison import Row, judge
from .estimates import estimate, in_words
from .record import Record
from .runs import SPLITS, data_words, plain_words, standing
from .strips import strip
from .tables import MARKS, headline, markdown
from .verdicts import DIRECTION, UNDECIDED

MAIN = {
    "A-map": "A detector finds lesions with an mAP of 0.842.",
    "cnni-bcc-test-accuracy": "A small network gets 73.24 % of the test patches right.",
    "B-train-after": "Twice the learning rate makes the loss explode.",
    "C-300x2-val-loss": "Larger batches end at a higher loss.",
    "D-100x6-val-loss": "Separable convolutions end at a lower loss.",
    "E-before-map": "Off the centre of a crop the mAP falls to 0.284.",
    "E-after-uniform-map": "Retraining brings the mAP off the centre to 0.363.",
}
"""What the abstract and Experiments A to E say, each by the claim that stands for it."""

HOME = {
    "04": "04-classification", "07": "07-experiment-a", "08": "08-experiment-b", "09": "09-experiment-c",
    "10": "10-experiment-d", "11": "11-experiment-e",
}  # fmt: skip


def results_page(records: Iterable[Record]) -> str:
    """Write the book's page of results in Markdown: the verdicts at a glance, then every claim by section, folded.

    Nothing but the claims and the records enters, so the same records give the same page.
    """
    records = [r for r in records if r.data["name"] != "phantom"]
    best, every = judge(None, records, every=False), judge(None, records)
    trained = [r for r in best if r.claim.group == "trained"]
    page = [
        "# Every claim of the paper, and ours",
        f"**{headline(best)}**",
        "Code writes this page from the records of our runs; no number on it is typed. *Reproduced* asks for an "
        "interval that holds the paper's number, is narrow enough to mean it, and is clear of what a network scores "
        "that has learnt nothing. A run with fewer filters or updates than the paper's gives a direction at most.",
        "## The paper's main claims",
        _html_block([_main(next(row for row in best if row.claim.id == name), every) for name in MAIN]),
        "## All results of training",
        "A ring is the paper, the bar our 95 % interval with our number in it, the dashed tick what has learnt "
        "nothing. Shares and average precision lie between 0 and 1. Losses are shown as ratios to the paper's, from "
        "an eighth to eight times, so the ring is in the middle.",
        _html_block(_figure(trained)),
        "## Claim by claim",
    ]
    for number, title in sections().items():
        rows = [r for r in best if r.claim.section == number]
        results = [r for r in rows if r.claim.group in ("counted", "built", "trained")]
        lesser = [r for r in rows if r.claim.group not in ("counted", "built", "trained")]
        ids = {r.claim.id for r in results}
        shown = {(r.claim.id, r.runs) for r in rows}
        others = [r for r in every if r.claim.id in ids and (r.claim.id, r.runs) not in shown]
        page.append(f"### {number} {title}")
        if results:
            page.append(_folded(f"{len(results)} results", _lines(results)))
        if others:
            page.append(_folded("The same in other runs", _lines(others)))
        if lesser:
            page.append(_folded("Settings, times and background", _lines(lesser)))
    page.append("Which runs these are, and on which machines they ran, is on [a page of its own](runs).")
    return "\n\n".join(page) + "\n"


def runs_page(records: Iterable[Record]) -> str:
    """Write the book's page of runs in Markdown: every detector beside what has learnt nothing, runs, machines."""
    records = list(records)
    page = [
        "# The runs behind the results",
        "Each run is one file in `book/results/`: what was asked, what came out, and on which machine. Its name ends "
        "in a hash of what was asked, so the same question finds the same file.",
        "## Every detector beside what has learnt nothing",
        baselines_table(records),
        "## The files",
        _runs(records) if records else "No run is recorded yet.",
        "(which-machine)=\n## What ran on which machine",
        machines_table(records),
    ]
    return "\n\n".join(page) + "\n"


def baselines_table(records: Iterable[Record]) -> str:
    """Write in Markdown the mAP of every detector beside two baselines on the same test crops.

    Args:
        records: those of the results page.
    """
    rows = []
    for r in sorted(records, key=lambda r: (r.name, r.split, r.seed, r.hash)):
        if r.name == "lookup":
            words = f"the lookup alone, {r.metrics['map']['n']} splits {SPLITS[r.split]}"
            rows.append([words, "", _ap(r, "map"), ""])
        for suffix, on in (("", ""), ("_centred", ", on centred crops"), ("_uniform", ", on uniform cuts")):
            names = [f"{n}{suffix}" for n in ("map", "lookup_map", "centre_map")]
            if r.complete and all(n in r.metrics for n in names[1:]):
                rows.append([f"{r.name}, {plain_words([r])}{on}", *(_ap(r, n) for n in names)])
    if not rows:
        return "No run is recorded yet."
    text = (
        "The lookup answers with the class and the size of the training crop that has the most similar histogram of "
        "grey levels; the boxes in the middle are three, in the sizes that fit most training crops. Neither sees a "
        "shape. A detector that stays below the lookup at random has not used all that leaked; one that stays below "
        "the boxes in the middle is worth less than knowing how the crops were cut."
    )
    return text + "\n\n" + markdown(["Run", "mAP (95 % interval)", "The lookup", "Boxes in the middle"], rows)


def machines_table(records: Iterable[Record]) -> str:
    """Write in Markdown which runs ran on which processor, GPU, backend and precision, and whether any ran on a GPU.

    Args:
        records: those of the results page.
    """
    groups: dict[tuple[str, ...], Counter[str]] = {}
    on_gpu = 0
    for r in sorted(records, key=lambda r: (r.name, r.hash)):
        m = r.machine
        machine = m.get("processor") or "unknown"
        if m.get("cores"):
            machine += f", {m['cores']} core{'s' if m['cores'] != 1 else ''}"
        if m.get("gpu"):
            machine, on_gpu = f"GPU: {m['gpu']}; {machine}", on_gpu + 1
        backend = m.get("backend")
        engine = f"{backend} {m.get('versions', {}).get(backend, '')}".strip() if backend else "none: no network"
        groups.setdefault((machine, engine, r.settings.get("precision") or "–"), Counter())[r.name] += 1
    if not groups:
        return "No run is recorded yet."
    total = sum(names.total() for names in groups.values())
    text = f"Of {total} recorded runs, {on_gpu or 'none'} ran on a GPU. A dash: the record states no precision."
    rows = [
        [*key, ", ".join(f"{name} ({n})" if n > 1 else name for name, n in names.items())]
        for key, names in sorted(groups.items())
    ]
    return text + "\n\n" + markdown(["Machine", "Keras on", "Precision", "Runs"], rows)


def _main(row: Row, every: Sequence[Row]) -> str:
    """Return one of the main claims as HTML: the claim, the verdict, ours, its picture, and where it is told."""
    claim = row.claim
    ours = f"{row.ours} [{row.interval.replace(' to ', ', ')}]" if row.interval else row.ours or "no number yet"
    others = [r for r in every if r.claim.id == claim.id and r.runs and r.runs[0].split == "woman" and r.ours]
    by_woman = min(others, key=lambda r: standing(r.runs), default=None)
    kept = f" Where women are kept apart: {by_woman.ours}." if by_woman is not None and by_woman is not row else ""
    runs = f" ({plain_words(row.runs)})" if row.runs else ""
    page = HOME[claim.chapter]
    label = {DIRECTION: "in direction only", UNDECIDED: "cannot be decided"}.get(row.verdict, row.verdict)
    why = html.escape(row.why.partition("; open:")[0])
    return (
        f'<div class="main-claim"><p><b>{html.escape(MAIN[claim.id])}</b> '
        f'<span class="verdict">{MARKS[row.verdict]} {html.escape(label)}</span></p>{strip(row)}'
        f"<p>Ours: {html.escape(ours)}{html.escape(runs)}.{html.escape(kept)} {why[:1].upper() + why[1:]}. "
        f'<a href="../chapters/{page}.html">Chapter {int(claim.chapter)}</a></p></div>'
    )


def _figure(rows: Sequence[Row]) -> list[str]:
    """Return the results of training as HTML lines: sign, claim, picture; grouped by section."""
    lines, section = [], ""
    for row in rows:
        if row.claim.section != section:
            section = row.claim.section
            lines.append(f'<p class="claim-group">{html.escape(section)} {html.escape(sections()[section])}</p>')
        picture = strip(row) or f'<span class="no-strip">{html.escape(row.ours or "no number")}</span>'
        words = f"{MARKS[row.verdict]} {row.claim.quantity}"
        title = html.escape(f"{row.verdict}: {row.why}", quote=True)
        lines.append(f'<div class="claim-row" title="{title}"><span>{html.escape(words)}</span>{picture}</div>')
    return lines


def _html_block(lines: Sequence[str]) -> str:
    return '```{raw} html\n<div class="claims">' + "\n".join(lines) + "</div>\n```"


def _folded(title: str, text: str) -> str:
    return f"````{{admonition}} {title}\n:class: dropdown\n\n{text}\n````"


def _ap(record: Record, name: str) -> str:
    """Write an AP of a record with its interval; the outcome where the run was not tested."""
    held = estimate([record], name, "AP")
    return record.outcome if held is None or held.value is None else in_words(held, "AP")


def _lines(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table of four columns, narrow enough for a telephone."""
    cells = []
    for row in rows:
        place = f" ({row.claim.where})" if row.claim.where else ""
        ours = f"{row.ours} [{row.interval}]" if row.interval else row.ours or "–"
        runs = f" ({plain_words(row.runs)})" if row.runs else ""
        cells.append(
            [row.claim.quantity + place, row.claim.paper, ours + runs, f"{MARKS[row.verdict]} {row.verdict}: {row.why}"]
        )
    return markdown(["Claim", "Paper", "Ours [95 % interval]", "Verdict, and why"], cells)


def _runs(records: Sequence[Record]) -> str:
    cells = []
    for r in sorted(records, key=lambda r: (r.name, r.split, r.seed, r.hash)):
        m = r.machine
        device = m.get("gpu") or m.get("processor") or "unknown"
        made = [str(m[k]) for k in ("backend", "commit", "date") if m.get(k)]
        what = [data_words(r) or "no films", plain_words([r]), r.outcome]
        cells.append([f"`{r.file_name}`", ", ".join(w for w in what if w), device, ", ".join(made)])
    return markdown(["Record", "Run", "Device", "Backend, commit, date"], cells)
