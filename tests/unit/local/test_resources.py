"""The local target's dynamic providers, on real files in a directory of the test's."""

import json
import sqlite3
from contextlib import closing

import pytest

from components.local.machine.errors import MachineError
from components.local.resources.directory import DirectoryProvider
from components.local.resources.keys_file import KeysFileProvider
from components.local.resources.queue_file import QueueFileProvider


@pytest.fixture
def inputs(tmp_path):
    return {"dataDir": str(tmp_path / "data"), "forceDestroy": False}


class TestDirectory:
    def test_what_was_created_is_as_expected_and_needs_no_change(self, inputs):
        provider = DirectoryProvider()
        created = provider.create(inputs)
        assert not provider.diff(created.id, created.outs, inputs).changes
        assert not provider.diff(created.id, provider.read(created.id, created.outs).outs, inputs).changes

    def test_one_that_was_removed_by_hand_is_noticed_and_made_again(self, inputs, tmp_path):
        provider = DirectoryProvider()
        created = provider.create(inputs)
        (tmp_path / "data" / "objects").rmdir()
        found = provider.read(created.id, created.outs).outs
        assert provider.diff(created.id, found, inputs).changes
        provider.update(created.id, found, inputs)
        assert (tmp_path / "data" / "objects").is_dir()

    def test_objects_outlive_it_unless_the_stack_says_otherwise(self, inputs, tmp_path, capsys):
        provider = DirectoryProvider()
        created = provider.create(inputs)
        kept = tmp_path / "data" / "objects" / "a" / "b"
        kept.mkdir(parents=True)
        (kept / "voice.wav").write_text("x")
        provider.delete(created.id, created.outs)
        assert (kept / "voice.wav").exists()
        assert "is kept: it holds 1 objects" in capsys.readouterr().err
        provider.delete(created.id, {**created.outs, "forceDestroy": True})
        assert not kept.exists()

    def test_another_data_directory_replaces_it(self, inputs):
        provider = DirectoryProvider()
        created = provider.create(inputs)
        assert provider.diff(created.id, created.outs, {**inputs, "dataDir": "/elsewhere"}).replaces == ["dataDir"]


class TestQueueFile:
    def test_it_is_private_and_whole(self, inputs, tmp_path):
        provider = QueueFileProvider()
        created = provider.create(inputs)
        path = tmp_path / "data" / "queue.sqlite"
        assert path.stat().st_mode & 0o777 == 0o600
        assert not provider.diff(created.id, provider.read(created.id, created.outs).outs, inputs).changes

    def test_one_that_others_can_read_is_noticed(self, inputs, tmp_path):
        provider = QueueFileProvider()
        created = provider.create(inputs)
        (tmp_path / "data" / "queue.sqlite").chmod(0o644)
        assert provider.diff(created.id, provider.read(created.id, created.outs).outs, inputs).changes

    def test_a_file_that_is_something_else_is_not_overwritten(self, inputs, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "queue.sqlite").write_text("somebody's notes, longer than a header" * 100)
        with pytest.raises(MachineError, match="is not a job queue"):
            QueueFileProvider().create(inputs)
        assert "somebody's notes" in (tmp_path / "data" / "queue.sqlite").read_text()

    def test_jobs_outlive_it(self, inputs, tmp_path, capsys):
        provider = QueueFileProvider()
        created = provider.create(inputs)
        path = tmp_path / "data" / "queue.sqlite"
        with closing(sqlite3.connect(path)) as queue, queue:
            queue.execute("CREATE TABLE jobs (id)")
        provider.delete(created.id, created.outs)
        assert not path.exists()  # a table without a row is nothing to keep
        provider.create(inputs)
        with closing(sqlite3.connect(path)) as queue, queue:
            queue.execute("CREATE TABLE jobs (id)")
            queue.execute("INSERT INTO jobs VALUES (1)")
        provider.delete(created.id, created.outs)
        assert path.exists()
        assert "is kept" in capsys.readouterr().err


class TestKeysFile:
    def test_a_key_is_made_once_and_kept(self, inputs, tmp_path):
        provider = KeysFileProvider()
        inputs["clients"] = {}
        created = provider.create(inputs)
        key = created.outs["generated"]
        assert len(key) > 40
        assert json.loads((tmp_path / "data" / "keys.json").read_text()) == {"local": key}
        more = {**inputs, "clients": {"studio": "s" * 40}}
        assert provider.diff(created.id, created.outs, more).changes
        updated = provider.update(created.id, created.outs, more)
        assert updated.outs["generated"] == key
        assert json.loads((tmp_path / "data" / "keys.json").read_text()) == {"local": key, "studio": "s" * 40}

    def test_two_stacks_have_two_keys(self, inputs, tmp_path):
        inputs["clients"] = {}
        one = KeysFileProvider().create(inputs).outs["generated"]
        two = KeysFileProvider().create({**inputs, "dataDir": str(tmp_path / "two")}).outs["generated"]
        assert one != two

    def test_a_key_that_the_stack_names_is_used(self, inputs):
        inputs["clients"] = {"local": "l" * 40}
        created = KeysFileProvider().create(inputs)
        assert created.outs["generated"] == "l" * 40
        # and once it is taken away again, a new one is made: the old one may be known to others
        updated = KeysFileProvider().update(created.id, created.outs, {**inputs, "clients": {}})
        assert updated.outs["generated"] != "l" * 40

    def test_the_local_client_has_the_limits_that_the_stack_gives_it(self, inputs, tmp_path):
        provider = KeysFileProvider()
        inputs["clients"] = {}
        created = provider.create(inputs)
        key = created.outs["generated"]
        limited = {**inputs, "ownLimits": {"concurrency": 2}}
        assert provider.diff(created.id, created.outs, limited).changes
        updated = provider.update(created.id, created.outs, limited)
        assert json.loads((tmp_path / "data" / "keys.json").read_text()) == {"local": {"keys": [key], "concurrency": 2}}
        assert not provider.diff(created.id, updated.outs, limited).changes

    def test_an_edited_file_is_noticed_and_put_right(self, inputs, tmp_path):
        provider = KeysFileProvider()
        inputs["clients"] = {}
        created = provider.create(inputs)
        (tmp_path / "data" / "keys.json").write_text("{}")
        found = provider.read(created.id, created.outs).outs
        assert provider.diff(created.id, found, inputs).changes
        provider.update(created.id, found, inputs)
        assert provider.read(created.id, created.outs).outs["intact"]

    def test_a_removed_file_is_noticed(self, inputs, tmp_path):
        provider = KeysFileProvider()
        inputs["clients"] = {}
        created = provider.create(inputs)
        (tmp_path / "data" / "keys.json").unlink()
        assert not provider.read(created.id, created.outs).outs["intact"]
