"""Names below a folder, and what is done with whole files and folders: all of it from the operations of `Files`."""

from __future__ import annotations

from chubby.storage.files import ROOT, File, Files, Lock


def join(directory: str, name: str) -> str:
    """The name of `name` in `directory`."""
    return f"{directory}/{name}" if directory and name else directory or name


class Within:
    """The `Files` below one folder: the same operations, every name taken relative to it."""

    def __init__(self, files: Files, folder: str) -> None:
        """`folder` may come and go; it is only part of names."""
        self._files = files
        self._folder = folder

    def create(self, name: str) -> File:
        """See `Files.create`."""
        return self._files.create(join(self._folder, name))

    def open(self, name: str) -> File:
        """See `Files.open`."""
        return self._files.open(join(self._folder, name))

    def names(self, directory: str) -> list[str]:
        """See `Files.names`."""
        return self._files.names(join(self._folder, directory))

    def is_directory(self, name: str) -> bool:
        """See `Files.is_directory`."""
        return self._files.is_directory(join(self._folder, name))

    def make_directory(self, name: str) -> None:
        """See `Files.make_directory`."""
        self._files.make_directory(join(self._folder, name))

    def rename(self, old: str, new: str) -> None:
        """See `Files.rename`."""
        self._files.rename(join(self._folder, old), join(self._folder, new))

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        self._files.remove(join(self._folder, name))

    def sync_directory(self, directory: str) -> None:
        """See `Files.sync_directory`."""
        self._files.sync_directory(join(self._folder, directory))

    def lock(self, name: str) -> Lock:
        """See `Files.lock`."""
        return self._files.lock(join(self._folder, name))

    def describe(self, name: str) -> str:
        """See `Files.describe`."""
        return self._files.describe(join(self._folder, name))


def exists(files: Files, directory: str, name: str) -> bool:
    """Whether `directory` is there and holds `name`."""
    return (not directory or files.is_directory(directory)) and name in files.names(directory)


def read_whole(files: Files, name: str) -> bytes:
    """All bytes of a file; FileNotFoundError if there is none."""
    file = files.open(name)
    try:
        return file.read(0, file.size())
    finally:
        file.close()


def create_afresh(files: Files, name: str) -> File:
    """A new empty file, in place of what an interrupted attempt may have left under that name."""
    try:
        return files.create(name)
    except FileExistsError:
        files.remove(name)
        return files.create(name)


def replace_file(files: Files, name: str, data: bytes) -> None:
    """Atomically and durably make `data` the contents of `name`: beside, sync, rename, sync the directory."""
    beside = name + ".new"
    file = create_afresh(files, beside)
    try:
        file.write(0, data)
        file.sync()
    finally:
        file.close()
    files.rename(beside, name)
    files.sync_directory(name.rpartition("/")[0] or ROOT)


def remove_tree(files: Files, name: str) -> None:
    """Remove a file, or a directory with all it holds; nothing happens if it is not there."""
    if files.is_directory(name):
        for child in files.names(name):
            remove_tree(files, join(name, child))
    try:
        files.remove(name)
    except FileNotFoundError:
        return
