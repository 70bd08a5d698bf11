"""Makes the Parquet files of tests/fixtures/parquet, one a compression: python parquet.py FOLDER (pip install pyarrow)."""

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
