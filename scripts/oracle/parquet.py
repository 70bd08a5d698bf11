"""Makes the Parquet files of tests/fixtures/parquet: python parquet.py FOLDER (pip install pyarrow).

One a compression, and one a shape of records, which tests/training/data-records.test.ts also writes as JSONL and CSV;
and one with a column of nulls under LZ4 and whole numbers within structures.
"""

import pathlib
import sys

import pyarrow
import pyarrow.parquet

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
count = 50
table = pyarrow.table(
    {
        "messages": [
            [
                {"role": "user", "content": f"What is {i} and {i}?"},
                {"role": "assistant", "content": f"It is {2 * i}, naïvely."},
            ]
            for i in range(count)
        ],
        "source": pyarrow.array([None if i % 2 else "sums" for i in range(count)]),
    }
)
for compression in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pyarrow.parquet.write_table(
        table, folder / f"{compression}.parquet", compression=compression, row_group_size=20
    )

user, answer = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
shapes = {
    "text": {"text": "a"},
    "messages": {"messages": [user, answer]},
    "completion": {"prompt": "q", "completion": "a"},
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    "preference": {"prompt": "q", "chosen": "a", "rejected": "b"},
}
for name, record in shapes.items():
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([record, record]), folder / f"{name}.parquet")

call = {"function": {"name": "f", "arguments": {"x": 5}}}
calls = {
    "prompt": "q",
    "system": None,
    "chosen": [user, {"role": "assistant", "content": None, "tool_calls": [call]}],
    "rejected": [user, {"role": "assistant", "content": "b", "tool_calls": None}],
}
columns = pyarrow.Table.from_pylist([calls]).set_column(1, "system", pyarrow.array([None], pyarrow.string()))
pyarrow.parquet.write_table(columns, folder / "calls.parquet", compression="lz4")
