"""Maps a partition key to a partition with Bob Jenkins' lookup3 hash, as the Event Hubs clients do.

The algorithm is the public domain one of http://burtleburtle.net/bob/c/lookup3.c (`hashlittle2`, seeds 0).
The mapping from hash to partition is that of the SDK's buffered producer, which should match the service.
"""

_MASK = 0xFFFFFFFF
_BLOCK = 12
# (word that changes, word that is subtracted and rotated, distance) of lookup3's mix, three words a, b, c.
_MIX = ((0, 2, 4, 1), (1, 0, 6, 2), (2, 1, 8, 0), (0, 2, 16, 1), (1, 0, 19, 2), (2, 1, 4, 0))
_FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))


def _rotate(word: int, distance: int) -> int:
    return (word << distance | word >> (32 - distance)) & _MASK


def _add(words: list[int], block: bytes) -> None:
    for index in range(3):
        words[index] = words[index] + int.from_bytes(block[4 * index : 4 * index + 4], "little") & _MASK


def partition_of(key: str, partition_count: int) -> int:
    """Returns the index of the partition that receives all events with this key."""
    data = key.encode()
    words = [0xDEADBEEF + len(data) & _MASK] * 3
    while len(data) > _BLOCK:
        _add(words, data[:_BLOCK])
        data = data[_BLOCK:]
        for changed, taken, distance, added in _MIX:
            words[changed] = (words[changed] - words[taken] & _MASK) ^ _rotate(words[taken], distance)
            words[taken] = words[taken] + words[added] & _MASK
    if data:
        _add(words, data)
        for changed, taken, distance in _FINAL:
            words[changed] = (words[changed] ^ words[taken]) - _rotate(words[taken], distance) & _MASK
    folded = (words[2] ^ words[1]) & 0xFFFF
    signed = folded - 0x10000 if folded & 0x8000 else folded
    return abs(signed % partition_count)
