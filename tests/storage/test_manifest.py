"""The manifest: what it names exists, what it does not name does not, and it changes as a whole or not at all."""

from __future__ import annotations

import pytest

from chubby.errors import CorruptData
from chubby.storage.manifest import MANIFEST, Contents, Manifest
from tests.storage.fake_files import FakeFiles, everything, nothing
from tests.storage.interference import CrashAt, Crashed
from tests.storage.samples import ANOTHER_LIFE, IDENTITY

FIRST = Contents(IDENTITY.incarnation, segments=(1,))


def created() -> tuple[FakeFiles, Manifest]:
    """A disk with a manifest."""
    files = FakeFiles()
    return files, Manifest.create(files, FIRST)


def test_what_is_written_is_loaded() -> None:
    """And nothing but what was asked for changes."""
    files, manifest = created()
    manifest.update(segments=(1, 2), sequence=5, size=4096)
    manifest.update(snapshots=(0, 9), floor=3, doubted=4)
    wanted = Contents(IDENTITY.incarnation, (1, 2), (0, 9), floor=3, sequence=5, doubted=4, sizes=(0, 4096))
    assert manifest.contents == Manifest.load(files, IDENTITY).contents == wanted


def test_floor_sequence_and_doubt_never_go_down() -> None:
    """They bound what a start may accept."""
    files, manifest = created()
    manifest.update(floor=3, sequence=5, doubted=4)
    manifest.update(floor=1, sequence=2, doubted=3)
    assert Manifest.load(files, IDENTITY).contents == Contents(IDENTITY.incarnation, (1,), (), 3, 5, 4, (0,))


def test_sizes_stay_with_their_segments() -> None:
    """However the others come and go; one that an earlier release made is of any length."""
    files, manifest = created()
    manifest.update(segments=(1, 2), size=8192)
    manifest.update(segments=(1, 2, 3), size=512)
    manifest.update(segments=(2, 3, 4), size=1024)
    manifest.update(segments=(2, 4))
    contents = Manifest.load(files, IDENTITY).contents
    assert contents.sizes == (8192, 1024)
    assert [contents.size(number) for number in (1, 2, 4)] == [0, 8192, 1024]


def test_an_update_is_durable_when_it_returns() -> None:
    """Beside, sync, rename, sync the directory."""
    files, manifest = created()
    manifest.update(segments=(1, 2))
    files.power_loss(nothing)
    assert Manifest.load(files, IDENTITY).contents.segments == (1, 2)


def test_an_update_cut_short_leaves_the_old_or_the_new() -> None:
    """At every operation, whatever survives."""
    for coin in (nothing, everything):
        for number in range(20):
            files, manifest = created()
            files.interference = crash = CrashAt(number)
            try:
                manifest.update(segments=(1, 2))
            except Crashed:
                assert manifest.contents == FIRST, "memory never runs ahead of the disk"
            files.power_loss(coin)
            assert Manifest.load(files, IDENTITY).contents.segments in ((1,), (1, 2))
            if not crash.happened:
                break
        assert not crash.happened and number > 3


def test_a_missing_manifest_is_lost_vote_state() -> None:
    """Without it nobody can say whether a segment is missing."""
    files, _ = created()
    files.remove(MANIFEST)
    with pytest.raises(CorruptData, match="/fake/MANIFEST: missing"):
        Manifest.load(files, IDENTITY)


def test_a_rotten_manifest_is_lost_vote_state() -> None:
    """At any byte."""
    files, _ = created()
    whole = files.contents(MANIFEST)
    for offset, byte in enumerate(whole):
        files.rot(MANIFEST, offset, bytes((byte ^ 4,)))
        with pytest.raises(CorruptData, match="/fake/MANIFEST"):
            Manifest.load(files, IDENTITY)
        files.rot(MANIFEST, offset, bytes((byte,)))
    assert Manifest.load(files, IDENTITY).contents == FIRST


def test_the_manifest_of_another_life_is_told() -> None:
    """It verifies, and is not ours."""
    files, _ = created()
    with pytest.raises(CorruptData, match="of incarnation 0x1dea; expected 0x2dea"):
        Manifest.load(files, ANOTHER_LIFE)


def test_a_manifest_without_segments_is_none() -> None:
    """There is always a log."""
    files = FakeFiles()
    Manifest.create(files, Contents(IDENTITY.incarnation, segments=()))
    with pytest.raises(CorruptData, match="names no segment"):
        Manifest.load(files, IDENTITY)
