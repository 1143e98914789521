from pathlib import Path

import pytest

from local.emulators.event_hubs.errors import AmqpError
from local.emulators.event_hubs.hubs import Hub, HubFolderError, open_hub


def closed(hub: Hub) -> Hub:
    for partition in hub.partitions:
        partition.close()
    return hub


def test_a_hub_keeps_its_identity_and_never_loses_partitions(tmp_path: Path) -> None:
    first = closed(open_hub(tmp_path, "Logs", 2))
    again = closed(open_hub(tmp_path, "logs", 3))
    assert again.created_at_ms == first.created_at_ms
    assert len(again.partitions) == 3
    with pytest.raises(HubFolderError, match="3 partitions, more than the 2 requested"):
        open_hub(tmp_path, "logs", 2)


def test_missing_partitions_and_groups_are_refused(tmp_path: Path) -> None:
    hub = closed(open_hub(tmp_path, "logs", 2, ["Exporter"]))
    assert hub.readers("exporter", "0") is hub.readers("EXPORTER", "0")
    assert hub.readers("$Default", "0") is not hub.readers("$Default", "1")
    for partition_id in ("2", "-1", "", "00", "x"):
        with pytest.raises(AmqpError, match=r"com\.microsoft:argument-out-of-range"):
            hub.partition(partition_id)
    with pytest.raises(AmqpError, match=r"amqp:not-found: The messaging entity .* could not be found"):
        hub.readers("other", "0")
