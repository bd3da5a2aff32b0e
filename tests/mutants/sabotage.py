"""Compiles one module of the product with its text changed, as it is imported: nothing is written anywhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from tests.mutants.mutant import Mutant


class Saboteur(SourceFileLoader):
    """Loads one module from its file, changed on the way. Byte code is neither read nor kept."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        """`path` is the file of the mutant's module."""
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """The code of the changed source. Raises Misfit."""
        source = self.get_source(fullname)
        assert source is not None, "a source file has a source"
        changed = self._mutant.applied(source)
        return compile(changed, self.get_filename(fullname), "exec", dont_inherit=True)


class Hook(MetaPathFinder):
    """Finds the one module before anybody else does, and leaves all others to them."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec with the saboteur as its loader."""
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{self._mutant.name}: there is no module {fullname}")
        spec.loader = Saboteur(self._mutant, spec.origin)
        spec.cached = None
        return spec


def sabotage(mutant: Mutant) -> None:
    """From now on the product has this bug. To be called before anything of it is imported."""
    loaded = sorted(name for name in sys.modules if name == "chubby" or name.startswith("chubby."))
    assert not loaded, f"too late for {mutant.name}: {loaded[0]} is loaded already"
    sys.meta_path.insert(0, Hook(mutant))
