"""Reads the file that safetensors_test writes, by the format's description alone."""
import json
import struct
import sys

with open(sys.argv[1], "rb") as file:
    content = file.read()
(header_len,) = struct.unpack_from("<Q", content, 0)
header = json.loads(content[8 : 8 + header_len].decode("utf-8"))
body = content[8 + header_len :]
assert header.pop("__metadata__") == {"plan_hash": "00ff", 'odd "key"': "a\\b\n\u00e9"}
shapes = {name: entry["shape"] for name, entry in header.items()}
assert shapes == {
    "layers.0.weight": [3, 2],
    "layers.0.bias": [2],
    "layers.1.weight": [2, 1],
    "layers.1.bias": [1],
}, shapes
begin = 0
for name, entry in header.items():
    assert entry["dtype"] == "F32"
    first, end = entry["data_offsets"]
    assert first == begin and (end - first) % 4 == 0, "no gaps"
    count = 1
    for side in entry["shape"]:
        count *= side
    assert end - first == 4 * count
    values = struct.unpack_from("<%df" % count, body, first)
    assert values == tuple((first // 4 + i) / 2 - 3 for i in range(count)), name
    begin = end
assert begin == len(body)
