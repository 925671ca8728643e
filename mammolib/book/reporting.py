"""The page that answers two checklists, and a card for each kind of model with its results from the records."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mammolib.results import Record, plain_words, series, standing
from mammolib.results.tables import markdown
from mammolib.results.words import metric_words, number_words

LISTS = Path(__file__).with_suffix(".toml")
ANSWERS = ("yes", "partly", "no", "does not apply")

INTRO = """# What we report, and model cards

Two checklists ask what a reader needs to know about a study like this one. Each item has an answer and a link to where
it can be checked. *No* is an answer, too."""

NEVER = (
    "Never to read a mammogram of a patient, to sort films for somebody who does, or to choose between products. "
    "It is teaching material, trained on a few hundred films of one archive of 1994."
)
CLASSIFIER = ("test_accuracy", "majority_accuracy", "sensitivity", "specificity", "auc")
CARDS = [
    (
        "SSD256",
        "A",
        "A single-shot detector for crops of 256 x 256 pixels: boxes, benign or malignant.",
        "816 crops of mini-MIAS, eight views each of 102 lesions of 97 women; every crop has a lesion in its middle. "
        "No crop is normal.",
        "To show what a split does to a score: [Experiment A](../chapters/07-experiment-a.ipynb). Results by tissue "
        "are not recorded.",
        ("map", "ap_benign", "ap_malignant", "centre_map", "lookup_map"),
    ),
    (
        "SSD256 on whole films",
        "A-films",
        "The same network, moved over a film window by window.",
        "Whole films of mini-MIAS, most of them normal. The network was trained on crops that all show a lesion.",
        "To show what a score on crops is worth on films: [Experiment E](../chapters/11-experiment-e.ipynb).",
        ("films", "normal_films", "lesions", "froc_score", "sensitivity_at_1", "sensitivity_at_4"),
    ),
    (
        "VGG16",
        "vgg16",
        "A classifier of patches of 128 x 128 pixels: normal or abnormal.",
        "Patches of mini-MIAS; a patch has the label of its film or of the lesion on it, as the run says.",
        "To show what learning by heart looks like: [classification](../chapters/04-classification.ipynb).",
        CLASSIFIER,
    ),
    (
        "CNNI-BCC",
        "cnni-bcc",
        "A small classifier of patches: normal, benign or malignant.",
        "Patches of mini-MIAS, most of them normal.",
        "To show what an accuracy is worth beside the largest class: "
        "[classification](../chapters/04-classification.ipynb).",
        CLASSIFIER,
    ),
]
"""Kind of model, the run it comes from, what it is, its data, its use, and the metrics to show."""


def checklists() -> list[dict[str, Any]]:
    """Return the two lists: title, intro, and groups of rows (number, what is asked, answer, where to check it).

    Raises:
        ValueError: an answer is not one of `ANSWERS`, or has no link.
    """
    lists = tomllib.loads(LISTS.read_text("utf-8"))["list"]
    for one in lists:
        for number, _, answer, where in (row for group in one["group"] for row in group["rows"]):
            if answer not in ANSWERS or "](" not in where:
                raise ValueError(f"{one['title']} {number}: {answer!r} with {where!r} is no answer with a link")
    return lists


def reporting_page(records: Iterable[Record]) -> str:
    """Write the page in MyST Markdown: the checklists, then a card for each kind of model, phantoms passed over."""
    kept = [r for r in records if r.data["name"] != "phantom"]
    page = [INTRO]
    for one in checklists():
        page += [f"## {one['title']}", one["intro"]]
        for group in one["group"]:
            page += [f"### {group['title']}"] if group["title"] else []
            rows = [("Item", "Asked", "Answer", "Where to check it"), ("---",) * 4, *group["rows"]]
            page.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    page.append("## Model cards")
    for title, name, what, data, use, metrics in CARDS:
        page += [f"### {title}", f"{what}\n\n- *Data*: {data}\n- *For*: {use}\n- *Not for*: {NEVER}"]
        page.append(_results([r for r in kept if r.name == name], metrics))
    return "\n\n".join(page) + "\n"


def _results(runs: Sequence[Record], metrics: Sequence[str]) -> str:
    """Return a card's results: of each split the run that speaks for it, by class and by tissue where recorded."""
    from mammolib.analysis.classifiers import by_group  # pandas comes with it, which not every machine has

    speak: dict[str, Record] = {}
    for first, *_ in sorted(series(runs), key=standing):
        speak.setdefault(first.split, first)
    heads = {plain_words([speak[split]]): speak[split] for split in ("image", "woman") if split in speak}
    if not heads:
        return "No run on real films is recorded yet."
    rows = [[metric_words(n), *(number_words(r.metrics.get(n)) for r in heads.values())] for n in metrics]
    return markdown(["", *heads], [*rows, *by_group(heads).itertuples()])
