"""Reading files, and the order in which a client's cell is looked for (package docstring of `chubby.config`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from chubby.config import CellAddresses, find_cell, find_file, load_cell, parse_cell, resolve, search_folders
from chubby.errors import ConfigError
from tests.config.cells import local

EXAMPLES = Path(__file__).resolve().parents[2] / "cell_config"


class Desk:
    """A working directory and a home, both empty at first, and an environment."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "work"
        self.home = root / "home"
        self.directory.mkdir()
        self.home.mkdir()
        self.environment = {"HOME": str(self.home)}

    def cell(self, file: str, name: str, port: int, *, home: bool = False) -> Path:
        """Write a cell of one replica with this client port to `file`, below the working directory or the home."""
        path = (self.home if home else self.directory) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        line = local(1).replace("127.0.0.1:7201", f"127.0.0.1:{port}")
        path.write_text(f'[cell]\nname = "{name}"\n{line}\n')
        return path

    def ports(self, cell: str = "local", *addresses: str) -> str:
        """The ports at which `resolve` finds the cell."""
        found = resolve(cell, self.environment, self.directory, addresses)
        return " ".join(address.rpartition(":")[2] for address in found.addresses)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty desk."""
    return Desk(tmp_path)


def test_the_order_of_the_steps(desk: Desk) -> None:
    """Each step applies before all later ones: taken away one by one, the next comes forward."""
    desk.cell("cell_config/local.toml", "local", 1001)
    desk.cell(".config/chubby/local.toml", "local", 1002, home=True)
    desk.cell("cell_config/east.toml", "east", 1003)
    config = desk.cell("anywhere.toml", "west", 1004)
    desk.environment |= {"CHUBBY_CONFIG": str(config), "CHUBBY_CELL": "east"}
    assert desk.ports("local", "127.0.0.1:1005", "127.0.0.1:1006") == "1005 1006"
    assert desk.ports() == "1004"
    del desk.environment["CHUBBY_CONFIG"]
    assert desk.ports() == "1003"
    desk.environment["CHUBBY_CELL"] = "127.0.0.1:1007, localhost:1008"
    assert desk.ports() == "1007 1008"
    del desk.environment["CHUBBY_CELL"]
    assert desk.ports() == "1001"
    (desk.directory / "cell_config/local.toml").unlink()
    assert desk.ports() == "1002"


def test_a_cell_asked_for_by_name(desk: Desk) -> None:
    """`/ls/east` is east whatever the local cell is; CHUBBY_CELL speaks of the local cell alone."""
    desk.cell("cell_config/local.toml", "local", 1001)
    desk.cell("cell_config/east.toml", "east", 1003)
    config = desk.cell("anywhere.toml", "west", 1004)
    desk.environment |= {"CHUBBY_CONFIG": str(config), "CHUBBY_CELL": "127.0.0.1:1007"}
    assert desk.ports("east") == "1003"
    assert desk.ports("west") == "1004"
    assert desk.ports("local") == "1004"


def test_what_resolve_tells(desk: Desk) -> None:
    """The cell's own name where it is known, and who said so."""
    east = desk.cell("cell_config/east.toml", "east", 1003)
    desk.environment["CHUBBY_CELL"] = "east"
    assert resolve("local", desk.environment, desk.directory) == CellAddresses("east", ("127.0.0.1:1003",), str(east))
    desk.environment["CHUBBY_CELL"] = "[::1]:7"
    assert resolve("local", desk.environment, desk.directory) == CellAddresses("local", ("[::1]:7",), "CHUBBY_CELL")
    given = resolve("far", desk.environment, desk.directory, ["far.example:1"])
    assert given == CellAddresses("far", ("far.example:1",), "the caller")


def test_empty_variables_count_as_unset(desk: Desk) -> None:
    """A shell that exports an empty variable changes nothing."""
    desk.cell("cell_config/local.toml", "local", 1001)
    desk.environment |= {"CHUBBY_CONFIG": "", "CHUBBY_CELL": ""}
    assert desk.ports() == "1001"


def test_a_relative_config_belongs_to_the_working_directory(desk: Desk) -> None:
    """As with every command line."""
    desk.cell("sub/x.toml", "x", 1001)
    desk.environment["CHUBBY_CONFIG"] = "sub/x.toml"
    assert desk.ports() == "1001"


def test_the_search_folders(desk: Desk) -> None:
    """Working directory, home, machine; without a home, two of them."""
    expected = (desk.directory / "cell_config", desk.home / ".config/chubby", Path("/etc/chubby"))
    assert search_folders(desk.environment, desk.directory) == expected
    assert search_folders({}, desk.directory) == (expected[0], expected[2])


def test_a_cell_that_is_nowhere(desk: Desk) -> None:
    """The complaint lists where it looked and what would help."""
    with pytest.raises(ConfigError) as caught:
        resolve("nowhere", desk.environment, desk.directory)
    message = str(caught.value)
    for folder in search_folders(desk.environment, desk.directory):
        assert str(folder / "nowhere.toml") in message
    assert "CHUBBY_CONFIG" in message
    assert "CHUBBY_CELL" in message


@pytest.mark.parametrize("name", ["../x", "", "a/b", "x\0y"])
def test_a_name_that_is_no_cell_name_opens_no_file(desk: Desk, name: str) -> None:
    """A cell name from a path or a variable cannot lead out of the search folders."""
    desk.cell("x.toml", "x", 1)
    with pytest.raises(ConfigError):
        find_file(name, desk.environment, desk.directory)


def test_a_wrong_file_is_never_passed_over(desk: Desk) -> None:
    """Found and wrong is an error, even if a later step would do."""
    desk.cell("cell_config/local.toml", "local", 1001).write_text("[cell]\n")
    desk.cell(".config/chubby/local.toml", "local", 1002, home=True)
    with pytest.raises(ConfigError, match=r"cell_config/local\.toml: \[cell\] name: is missing"):
        desk.ports()
    desk.environment["CHUBBY_CONFIG"] = "not_there.toml"
    with pytest.raises(ConfigError, match=r"not_there\.toml: cannot be read \(No such file"):
        desk.ports()
    desk.environment = {"CHUBBY_CELL": "127.0.0.1:0"}
    with pytest.raises(ConfigError, match=r"CHUBBY_CELL: .* has no port"):
        desk.ports()


def test_bad_addresses_of_the_caller(desk: Desk) -> None:
    """They are checked like all others."""
    with pytest.raises(ConfigError, match=r"addresses: .* write host:port"):
        desk.ports("local", "localhost")


def test_a_file_is_named_after_its_cell(desk: Desk) -> None:
    """Looked up by name, a file must be of that name, or two cells could be confused."""
    desk.cell("cell_config/east.toml", "west", 1003)
    with pytest.raises(ConfigError, match="'west' is not what the file is named after: write name = 'east'"):
        desk.ports("east")


def test_find_cell_needs_a_file(desk: Desk) -> None:
    """Who wants to start a cell needs more than addresses of clients."""
    desk.cell("cell_config/local.toml", "local", 1001)
    assert find_cell("local", desk.environment, desk.directory).client_addresses == ("127.0.0.1:1001",)
    desk.environment["CHUBBY_CELL"] = "127.0.0.1:1007"
    with pytest.raises(ConfigError, match="a configuration file is needed: name one in CHUBBY_CONFIG"):
        find_cell("local", desk.environment, desk.directory)


def test_a_loaded_directory_is_absolute(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon may change its working directory after it has read its configuration."""
    file = desk.cell("cell_config/local.toml", "local", 1001)
    file.write_text(file.read_text() + '[storage]\ndirectory = "../data/local"\n')
    monkeypatch.chdir(desk.directory)
    assert load_cell(Path("cell_config/local.toml")).storage.directory == str(desk.directory / "data/local")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """The byte is named."""
    file = tmp_path / "x.toml"
    file.write_bytes(b"[cell]\nname = '\xff'")
    with pytest.raises(ConfigError, match=r"x\.toml: is not UTF-8 \(byte 15\): save it as UTF-8"):
        load_cell(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_cell(tmp_path)


def test_the_local_cell_that_comes_with_the_project() -> None:
    """DESIGN §2: five replicas on loopback, data below the checkout."""
    config = load_cell(EXAMPLES / "local.toml")
    assert config.name == "local"
    assert [replica.peer for replica in config.replicas] == [f"127.0.0.1:{port}" for port in range(7101, 7106)]
    assert [replica.client for replica in config.replicas] == [f"127.0.0.1:{port}" for port in range(7201, 7206)]
    assert config.storage.directory == str(EXAMPLES.parent / "data/local")


def test_the_single_cell_runs_beside_the_local_one() -> None:
    """One replica, and no address or directory shared with the local cell."""
    single, five = load_cell(EXAMPLES / "single.toml"), load_cell(EXAMPLES / "local.toml")
    assert single.name == "single"
    assert len(single.replicas) == 1
    taken = {address for replica in five.replicas for address in (replica.peer, replica.client)}
    assert not taken & {single.replicas[0].peer, single.replicas[0].client}
    assert single.storage.directory != five.storage.directory


def test_the_production_example_shows_every_key_with_its_default() -> None:
    """It is the reference of keys: none may be missing, and none may state another default."""
    file = EXAMPLES / "production.example.toml"
    config = load_cell(file)
    bare = parse_cell(f'[cell]\nname = "bare"\n{local(1)}', "bare.toml")
    assert config.timing == bare.timing
    assert config.limits == bare.limits
    assert config.storage.snapshot_log_bytes == bare.storage.snapshot_log_bytes
    assert config.network != bare.network
    text = file.read_text()
    for part in (config.timing, config.limits, config.storage, config.network):
        for key in part.__struct_fields__:
            assert f"\n{key} = " in text, f"production.example.toml does not explain {key}"
