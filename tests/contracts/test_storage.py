"""The storage in memory, which the simulation uses, behaves like Azurite, with and without directories."""

import uuid
from collections.abc import Callable
from itertools import count
from time import sleep

import pytest
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite
from shared.azure import blob_calls, blob_storage
from shared.errors import OutcomeUnknown, PreconditionFailed, StorageError
from shared.policies import Connection, StorageTimeouts
from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.storage import LogStorage, Publication, Storage
from tests.campaigns.faults.proxy import Proxy
from tests.directories import azurite_with_directories
from tests.memory import MemoryStorage

BLOCK = "0123456789abcdef0123456789abcdef-00000"


@pytest.fixture(params=["memory", "memory, hierarchical", "azurite", "azurite, with directories"])
def store(request: pytest.FixtureRequest, unique: str) -> LogStorage:
    if request.param.startswith("memory"):
        return MemoryStorage(hierarchical="hierarchical" in request.param)
    azurite: Azurite = request.getfixturevalue("azurite")
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(f"{unique}-state")
        service.create_container(f"{unique}-output")
    if "directories" in request.param:
        return azurite_with_directories(azurite, unique)
    connection = Connection(string=azurite.connection_string)
    return blob_storage.connect(connection, connection, f"{unique}-state", f"{unique}-output")


@pytest.fixture
def remove(store: Storage) -> Callable[[str], None]:
    """Deletes a visible output file, as a lifecycle rule does."""
    if isinstance(store, MemoryStorage):
        return store.remove_output
    assert isinstance(store, blob_storage.BlobStorage)
    return store._output.delete_blob


def file(name: str, data: bytes = b"data", block: str = BLOCK, **metadata: str) -> StagedFile:
    listed = PendingFile(
        name=name,
        block_ids=(block,),
        content_type="application/gzip",
        content_encoding=None,
        metadata=metadata or {"rows": "1"},
        staged_at=0,
    )
    return StagedFile(listed, data)


def test_a_missing_blob_reads_as_none(store: Storage) -> None:
    assert store.read("ledgers/a/b/0.json") is None


def test_a_written_blob_is_read_with_its_etag(store: Storage) -> None:
    etag = store.write("ledgers/a/b/0.json", b"one", None)
    blob = store.read("ledgers/a/b/0.json")
    assert blob
    assert (blob.data, blob.etag) == (b"one", etag)


def test_writing_with_the_current_etag_replaces_the_blob(store: Storage) -> None:
    first = store.write("ledger", b"one", None)
    second = store.write("ledger", b"two", first)
    assert second != first
    blob = store.read("ledger")
    assert blob
    assert (blob.data, blob.etag) == (b"two", second)


def test_writing_the_same_bytes_changes_the_etag(store: Storage) -> None:
    first = store.write("ledger", b"one", None)
    assert store.write("ledger", b"one", first) != first


def test_creating_an_existing_blob_is_refused(store: Storage) -> None:
    store.write("ledger", b"one", None)
    with pytest.raises(PreconditionFailed):
        store.write("ledger", b"two", None)


def test_a_write_with_an_old_etag_is_refused(store: Storage) -> None:
    old = store.write("ledger", b"one", None)
    store.write("ledger", b"two", old)
    with pytest.raises(PreconditionFailed):
        store.write("ledger", b"three", old)
    blob = store.read("ledger")
    assert blob
    assert blob.data == b"two"


def test_writing_a_deleted_blob_with_its_etag_is_refused(store: Storage) -> None:
    etag = store.write("ledger", b"one", None)
    store.delete(["ledger"])
    with pytest.raises(PreconditionFailed):
        store.write("ledger", b"two", etag)


def test_put_replaces_a_blob_and_deleting_twice_is_allowed(store: Storage) -> None:
    store.put("segments/1", b"one")
    store.put("segments/1", b"two")
    blob = store.read("segments/1")
    assert blob
    assert blob.data == b"two"
    store.delete(["segments/1"])
    store.delete(["segments/1"])
    assert store.read("segments/1") is None


def test_blobs_are_read_in_order_and_deleted_if_they_exist(store: Storage) -> None:
    names = [f"segments/{n}" for n in range(20)]
    for name in names[:19]:
        store.put(name, name.encode())
    assert [blob and blob.data for blob in store.read_all(names[::-1])] == [
        None,
        *(n.encode() for n in names[18::-1]),
    ]
    store.delete(names[1:])
    assert store.names("segments/") == ["segments/0"]
    assert store.read_all([]) == []
    store.delete([])


def test_names_with_a_prefix_are_sorted(store: Storage) -> None:
    for name in ("segments/b", "segments/a", "ledgers/a"):
        store.put(name, b"")
    assert store.names("segments/") == ["segments/a", "segments/b"]
    assert store.names("none/") == []


def test_a_listing_groups_files_by_folder_and_omits_directories(store: Storage) -> None:
    names = ["parquet/a-b/1", "parquet/a.b/1", "parquet/a/1", "parquet/a/2", "parquet/a/b/1", "top"]
    files = [file(name) for name in names]
    store.stage(files)
    store.publish([one.pending for one in files])
    found = [one.name for one in store.outputs("")]
    assert sorted(found) == names
    folders = [name.rpartition("/")[0] for name in found if not name.startswith("parquet/a/")]
    assert len(folders) == len(set(folders))
    assert [name for name in found if name.count("/") == 2 and "/a/" in name] == [
        "parquet/a/1",
        "parquet/a/2",
    ]
    assert [one.name for one in store.outputs("parquet/a/")] == names[2:5]
    assert [one.name for one in store.outputs("parquet/a/1")] == ["parquet/a/1"]


def test_names_of_state_blobs_include_no_directories(store: Storage) -> None:
    for name in ("ledgers/ns/hub/0.json", "ledgers/ns/hub/1.json", "segments/ns/hub/0/l/1.arrow"):
        store.put(name, b"{}")
    assert store.names("ledgers/") == ["ledgers/ns/hub/0.json", "ledgers/ns/hub/1.json"]
    assert store.names("segments/") == ["segments/ns/hub/0/l/1.arrow"]
    assert len(store.names("")) == 3


@pytest.mark.parametrize(
    ("name", "metadata"),
    [("parquet/T", {"hdi_isfolder": "true"}), ("parquet/T", {"Hdi_IsFolder": "True"}), ("parquet/T/", {})],
)
def test_directory_markers_of_tools_are_not_listed(
    azurite: Azurite, unique: str, name: str, metadata: dict[str, str]
) -> None:
    connection = Connection(string=azurite.connection_string)
    store = blob_storage.connect(connection, connection, unique, unique)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(unique).upload_blob(name, b"", metadata=metadata)
    assert list(store.outputs("")) == []
    assert store.names("") == []


def test_a_staged_file_is_not_visible(store: Storage) -> None:
    store.stage([file("parquet/a")])
    assert not store.exists("parquet/a")


def test_a_published_file_is_visible(store: Storage) -> None:
    staged = file("parquet/a")
    store.stage([staged])
    assert store.publish([staged.pending]) == [Publication.DONE]
    assert store.exists("parquet/a")


def test_publishing_again_reports_an_earlier_publication(store: Storage) -> None:
    staged = file("parquet/a")
    store.stage([staged])
    store.publish([staged.pending])
    assert store.publish([staged.pending]) == [Publication.ALREADY]


def test_publishing_an_unstaged_file_finds_no_blocks(store: Storage) -> None:
    assert store.publish([file("parquet/a").pending]) == [Publication.BLOCKS_GONE]


def test_publishing_with_wrong_block_ids_finds_no_blocks(store: Storage) -> None:
    store.stage([file("parquet/a")])
    other = file("parquet/a", block=BLOCK.replace("0", "9"))
    assert store.publish([other.pending]) == [Publication.BLOCKS_GONE]
    assert not store.exists("parquet/a")


def test_staging_under_a_published_name_changes_nothing_visible(store: Storage) -> None:
    staged = file("parquet/a", b"first")
    store.stage([staged])
    store.publish([staged.pending])
    store.stage([file("parquet/a", b"second", BLOCK.replace("0", "9"))])
    assert store.publish([file("parquet/a", block=BLOCK.replace("0", "9")).pending]) == [Publication.ALREADY]
    assert content(store, "parquet/a") == b"first"


def test_a_published_and_deleted_file_has_no_blocks(store: Storage, remove: Callable[[str], None]) -> None:
    staged = file("parquet/a")
    store.stage([staged])
    store.publish([staged.pending])
    remove("parquet/a")
    assert not store.exists("parquet/a")
    assert store.publish([staged.pending]) == [Publication.BLOCKS_GONE]


def test_each_of_several_files_has_its_own_outcome(store: Storage) -> None:
    files = [file(f"parquet/{n}", f"data {n}".encode()) for n in range(20)]
    store.stage(files[:10] + files[11:])
    outcomes = store.publish([one.pending for one in files])
    assert [one is Publication.DONE for one in outcomes] == [n != 10 for n in range(20)]
    assert content(store, "parquet/19") == b"data 19"


def test_a_file_of_several_blocks_is_published_in_order(store: Storage) -> None:
    ids = tuple(f"{BLOCK[:-5]}{n:05d}" for n in range(3))
    for n in (1, 0, 2):
        store.stage_block("parquet/a", ids[n], f"block {n};".encode())
    assert not store.exists("parquet/a")
    several = file("parquet/a").pending.model_copy(update={"block_ids": ids})
    assert store.publish([several]) == [Publication.DONE]
    assert content(store, "parquet/a") == b"block 0;block 1;block 2;"


def test_a_file_without_all_its_blocks_is_not_published(store: Storage) -> None:
    ids = tuple(f"{BLOCK[:-5]}{n:05d}" for n in range(2))
    store.stage_block("parquet/a", ids[0], b"block")
    several = file("parquet/a").pending.model_copy(update={"block_ids": ids})
    assert store.publish([several]) == [Publication.BLOCKS_GONE]
    assert not store.exists("parquet/a")


def test_removing_a_file_twice_is_allowed(store: Storage) -> None:
    files = [file(f"parquet/{n}") for n in range(12)]
    store.stage(files)
    store.publish([one.pending for one in files])
    store.remove([one.pending.name for one in files[1:]])
    store.remove([one.pending.name for one in files[1:3]])
    assert [one.name for one in store.outputs("parquet/")] == ["parquet/0"]
    assert store.publish([files[1].pending]) == [Publication.BLOCKS_GONE]


def test_removing_a_staged_file_does_not_prevent_its_publication(store: Storage) -> None:
    staged = file("parquet/a")
    store.stage([staged])
    store.remove(["parquet/a"])
    assert store.publish([staged.pending]) == [Publication.DONE]


def test_a_block_id_of_another_length_is_an_error(store: Storage) -> None:
    store.stage([file("parquet/a")])
    with pytest.raises(StorageError):
        store.stage([file("parquet/a", block="short")])


def test_publishing_sets_content_type_and_metadata(azurite: Azurite, unique: str) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(unique)
        connection = Connection(string=azurite.connection_string)
        store = blob_storage.connect(connection, connection, unique, unique)
        staged = file("json/a", rows="7", partition="ns/hub/0", sequences="1-5,9")
        store.stage([staged])
        store.publish([staged.pending])
        properties = service.get_blob_client(unique, "json/a").get_blob_properties()
    assert properties.metadata == {"rows": "7", "partition": "ns/hub/0", "sequences": "1-5,9"}
    assert properties.content_settings.content_type == "application/gzip"


def test_a_listing_shows_visible_files_and_marks_staged_ones(store: Storage) -> None:
    for name in ("parquet/b", "parquet/a", "json/a"):
        staged = file(name, name.encode(), rows="3")
        store.stage([staged])
        store.publish([staged.pending])
    store.stage([file("parquet/c")])
    found = list(store.outputs("parquet/"))
    assert [(one.name, one.size, one.visible) for one in found] == [
        ("parquet/a", 9, True),
        ("parquet/b", 9, True),
        ("parquet/c", 0, False),
    ]
    assert found[0].metadata == {"rows": "3"}
    assert len(list(store.outputs(""))) == 4


def test_a_read_stops_at_the_end_of_the_file(store: Storage) -> None:
    staged = file("parquet/a", b"0123456789")
    store.stage([staged])
    store.publish([staged.pending])
    assert store.part("parquet/a", 2, 3) == b"234"
    assert store.part("parquet/a", 8, 100) == b"89"


def test_reading_an_invisible_file_is_an_error(store: Storage) -> None:
    store.stage([file("parquet/a")])
    with pytest.raises(StorageError):
        store.part("parquet/a", 0, 1)


def test_a_missing_container_is_an_error_that_names_it(azurite: Azurite, unique: str) -> None:
    connection = Connection(string=azurite.connection_string)
    store = blob_storage.connect(connection, connection, unique, unique)
    with pytest.raises(StorageError, match="ContainerNotFound"):
        store.read("ledger")


@pytest.mark.parametrize("status", ["409", "412"])
def test_refused_publishing_checks_whether_the_file_exists(
    azurite: Azurite, unique: str, status: str
) -> None:
    with (
        Proxy(azurite.port, 1) as proxy,
        BlobServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        service.create_container(unique)
        through = azurite.connection_string.replace(str(azurite.port), str(proxy.port))
        connection = Connection(string=through)
        store = blob_storage.connect(connection, connection, unique, unique)
        there, missing = file("parquet/there"), file("parquet/missing")
        store.stage([there, missing])
        assert store.publish([there.pending]) == [Publication.DONE]
        proxy.choose = lambda request: status if "comp=blocklist" in request else ""
        assert store.publish([there.pending]) == [Publication.ALREADY]
        with pytest.raises(PreconditionFailed, match=status):
            store.publish([missing.pending])
        proxy.calm()
        assert store.publish([missing.pending]) == [Publication.DONE]


def test_retries_wait_half_a_second_and_double_each_time() -> None:
    retry = blob_calls.Retry(StorageTimeouts())
    for number, mean in ((1, 0.5), (2, 1), (3, 2), (6, 16)):
        waits = [retry.get_backoff_time({"count": number}) for _ in range(200)]
        assert mean / 2 <= min(waits) < 0.7 * mean
        assert 1.3 * mean < max(waits) <= mean * 1.5


@pytest.mark.parametrize("failing", [1, 3])
def test_failed_calls_are_retried_without_being_noticed(azurite: Azurite, unique: str, failing: int) -> None:
    with (
        Proxy(azurite.port, 1) as proxy,
        BlobServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        service.create_container(unique)
        connection = Connection(string=azurite.connection_string.replace(str(azurite.port), str(proxy.port)))
        store = blob_storage.connect(connection, connection, unique, unique, StorageTimeouts(backoff=0.01))
        requests = count()
        proxy.choose = lambda _: "503" if next(requests) < failing else ""
        store.write("ledger", b"one", None)
        assert next(requests) == failing + 1


def test_an_abandoned_call_is_not_retried(azurite: Azurite, unique: str) -> None:
    with Proxy(azurite.port, 1) as proxy:
        connection = Connection(string=azurite.connection_string.replace(str(azurite.port), str(proxy.port)))
        timeouts = StorageTimeouts(call=0.3, backoff=0.2)
        store = blob_storage.connect(connection, connection, unique, unique, timeouts)
        requests = count()
        proxy.choose = lambda _: "503" if next(requests) >= 0 else ""
        with pytest.raises(OutcomeUnknown):
            store.write("ledger", b"one", None)
        sleep(1.5)
        assert next(requests) <= 2


def test_a_call_without_an_answer_has_an_unknown_outcome() -> None:
    string = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:9/a;"
    connection = Connection(string=string)
    store = blob_storage.connect(connection, connection, "state", "output", retry_total=0)
    with pytest.raises(OutcomeUnknown):
        store.write(f"ledgers/{uuid.uuid4().hex}", b"", None)


def content(store: Storage, name: str) -> bytes:
    if isinstance(store, MemoryStorage):
        return store.output[name].data or b""
    assert isinstance(store, blob_storage.BlobStorage)
    return store._output.download_blob(name).readall()


def test_a_whole_output_file_is_put_once_unless_replaceable(store: LogStorage) -> None:
    name = "parquet/t/_delta_log/00000000000000000000.json"
    store.put_output(name, b"one", {"written_at": "1"}, replace=False)
    with pytest.raises(PreconditionFailed):
        store.put_output(name, b"two", {}, replace=False)
    assert store.read_outputs([name, f"{name}.not"]) == [b"one", None]
    (listed,) = store.outputs("parquet/t/_delta_log/")
    assert (listed.visible, listed.size, listed.metadata) == (True, 3, {"written_at": "1"})
    store.put_output(name, b"three", {}, replace=True)
    assert store.read_outputs([name]) == [b"three"]
    assert store.read_outputs([]) == []
