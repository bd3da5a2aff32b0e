"""The page, the table on the terminal, the charts."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from bench.compare.catalogue import Unit
from bench.compare.charts import Marks, draw, marks, save_all
from bench.compare.contenders import Kind
from bench.compare.report import duration, figure, growth_row, markdown_table, page, rate, section, show, write_page
from bench.compare.results import Entrant, Results, Series, Topic
from tests.bench.toys import measured, results

MADE = results(ours=(300.0, 100.0, 200.0), python_a=(50.0, 40.0, 60.0), compiled_b=(400.0, 390.0, 410.0))


@pytest.mark.parametrize(
    ("value", "said"), [(12345.6, "12,346"), (100.4, "100"), (99.96, "100"), (12.34, "12.3"), (0.5, "0.5")]
)
def test_rates_for_humans(value: float, said: str) -> None:
    """Three digits that count."""
    assert rate(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(12.345, "12.35 s"), (0.0123, "12.3 ms"), (0.000456, "456 µs"), (0.0, "0 µs")]
)
def test_times_for_humans(value: float, said: str) -> None:
    """In the unit that fits."""
    assert duration(value) in {said, said.replace("12.35", "12.34")}


def test_every_unit_has_a_way_to_be_said() -> None:
    """Bytes and cores too."""
    assert [figure(0.25, unit) for unit in Unit] == ["0.25", "250 ms", "0 B", "25% of a core"]


def test_a_table_has_as_many_columns_in_every_line() -> None:
    """Else it is shown as text."""
    lines = markdown_table(["", "a", "b"], [["x", "1", "2"]]).splitlines()
    assert lines == ["|  | a | b |", "| --- | ---: | ---: |", "| x | 1 | 2 |"]


def test_a_section_tells_median_range_ratio_and_whether_that_is_enough() -> None:
    """Writes with one in flight: twice the best Python client, once the compiled one."""
    said = section(MADE, MADE.topics[0], "chart.svg")
    assert "| ours | 200 (100–300) | – |" in said
    assert "| ours ÷ the best Python client | 4.00 × (≥ 2: met) |  |" in said
    assert "| ours ÷ the best compiled client | 0.50 × (≥ 1: **missed**) |  |" in said
    assert "![Writes of 100 bytes](chart.svg)" in said
    assert "1 in flight | 10 in flight" in said


def test_of_times_the_shorter_one_is_the_better() -> None:
    """The sign of the target says so."""
    said = section(MADE, MADE.topics[1], None)
    assert "Less is better" in said
    assert "4.00 × (≤ 0.7: **missed**)" in said
    assert "![" not in said


def test_a_single_round_has_no_range() -> None:
    """There is nothing to tell."""
    assert "| ours | 7 | – |" in section(results(ours=(7.0,)), MADE.topics[0], None)


def test_the_page_says_machine_versions_command_and_who_was_missing() -> None:
    """Everything that is needed to do it again."""
    gone = Results(
        MADE.began, MADE.command, MADE.machine, MADE.topics, MADE.entrants, MADE.series, {"etcd": "no Debian"}
    )
    said = page(gone, "benchmarks/results.json", {})
    assert "| disk | ext4 |" in said
    assert "`python -m bench.compare`" in said
    assert "**etcd did not take part**: no Debian" in said
    assert "of 3 rounds" in said
    assert "`benchmarks/results.json`" in said
    assert [line for line in said.splitlines() if line.startswith("## ")] == ["## Writes of 100 bytes", "## Fan-out"]


def test_no_line_of_text_is_too_long_to_read_as_it_is() -> None:
    """Tables apart."""
    said = page(MADE, "benchmarks/results.json", {})
    assert max(len(line) for line in said.splitlines() if not line.startswith(("|", "!"))) <= 120


def test_links_of_the_page_lead_to_the_charts(tmp_path: Path) -> None:
    """Relative to where the page is."""
    charts = save_all(MADE, tmp_path / "docs/benchmarks")
    write_page(MADE, tmp_path / "docs/benchmarks.md", tmp_path / "docs/benchmarks/results.json", charts)
    said = (tmp_path / "docs/benchmarks.md").read_text()
    assert "(benchmarks/writes.svg)" in said
    assert (tmp_path / "docs/benchmarks/writes.svg").exists()


def test_charts_are_svg_with_their_text_as_text(tmp_path: Path) -> None:
    """One for each work; the clients are named in it."""
    files = save_all(MADE, tmp_path)
    assert sorted(files) == ["fan_out", "writes"]
    for file in files.values():
        assert ET.parse(file).getroot().tag.endswith("svg")
        assert "python a" in file.read_text()


def test_the_same_results_give_the_same_charts(tmp_path: Path) -> None:
    """Byte by byte: a chart in version control changes only if a figure does."""
    first, second = (save_all(MADE, tmp_path / name) for name in ("first", "second"))
    assert [file.read_bytes() for file in first.values()] == [file.read_bytes() for file in second.values()]


def test_a_work_without_figures_has_no_chart(tmp_path: Path) -> None:
    """Nor does it fail."""
    assert save_all(results(), tmp_path) == {}


def test_the_terminal_shows_every_contender_beside_ours() -> None:
    """With our ratio to each."""
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    show(MADE, console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "200 (100–300)" in said
    assert "4.00 ×" in said
    assert "0.50 ×" in said


def test_a_goal_of_ours_is_told_where_there_is_one() -> None:
    """Beside no ratio."""
    (series,) = results(ours=(900_000.0,)).series[:1]
    topic = Topic("cached_reads", "Cached reads", Unit.RATE, "", ("",))
    made = Results("", "", {}, (topic,), MADE.entrants, (Series("cached_reads", "", "ours", series.measured),))
    assert "| wanted of ours | ≥ 1,000,000: **missed** |" in section(made, topic, None)
    assert "wanted" not in section(MADE, MADE.topics[0], None)


def test_growth_is_told_where_ours_stands_alone() -> None:
    """As multiples of the first figure; and drawn as a curve."""
    topic = Topic("by_nodes", "By nodes", Unit.SECONDS, "nodes", ("1", "10", "100"))
    series = tuple(Series("by_nodes", point, "chubby", measured(value)) for point, value in (("1", 2.0), ("100", 5.0)))
    made = Results("", "", {}, (topic,), (Entrant("chubby", "chubby.aio", "Chubby", Kind.OURS, "1"),), series)
    assert growth_row(made, topic) == ["times the first", "1.00 ×", "–", "2.50 ×"]
    assert growth_row(MADE, MADE.topics[0]) == []
    assert marks(made, topic, "chubby") == Marks([0, 2], [2.0, 5.0], [0.0, 0.0], [0.0, 0.0])
    assert draw(made, topic).axes[0].lines
    assert not draw(made, topic).axes[0].patches
