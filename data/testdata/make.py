#!/usr/bin/env python3
"""Writes the files beside it with NumPy and PyArrow, so that our readers are tested against other people's writers.
The tests know the contents; run it again only to add a file. Last run with NumPy 2.4.6 and PyArrow 26.0.1."""
import os
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))


def npy(name, array, version=None):
    with open(os.path.join(HERE, name), "wb") as file:
        np.lib.format.write_array(file, array, version=version)


# value = 10 row + column, or its like
grid = np.arange(3).reshape(3, 1) * 10 + np.arange(4)
for kind in ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    npy(f"c-{kind}.npy", grid.astype("<" + kind))
npy("big-endian-f8.npy", grid.astype(">f8"))
npy("big-endian-i2.npy", grid.astype(">i2"))
npy("fortran-f8.npy", np.asfortranarray(grid.astype("<f8")))
npy("fortran-u1.npy", np.asfortranarray(grid.astype("u1")))
npy("bool.npy", (grid % 2 == 1))
npy("one-dimension.npy", np.array([-1, 0, 7], dtype="<i4"))
npy("version-2.npy", grid.astype("<f4"), version=(2, 0))
npy("version-3.npy", grid.astype("<f4"), version=(3, 0))
npy("three-dimensions.npy", np.zeros((2, 2, 2)))
npy("text.npy", np.array(["a", "b"]))
npy("records.npy", np.zeros(2, dtype=[("a", "<f8"), ("b", "<i4")]))
npy("not-finite.npy", np.array([[1.0, np.nan], [np.inf, -np.inf]]))

table = pa.table({
    "id": pa.array([f"p{i}" for i in range(6)]),
    "whole": pa.array([1, -2, 3, None, 5, 6], pa.int64()),
    "small": pa.array([1, 2, 3, 4, 5, 255], pa.uint8()),
    "huge": pa.array([0, 1, 2, 3, 4, 2**64 - 1], pa.uint64()),
    "real": pa.array([0.5, None, -1.25, 1e9, 0.0, 2.0], pa.float64()),
    "short": pa.array([0.5, 1.5, 2.5, 3.5, 4.5, 5.5], pa.float32()),
    "flag": pa.array([True, False, None, True, True, False]),
    "colour": pa.array(["red", "green", None, "red", "blue", "red"]),
})
path = lambda name: os.path.join(HERE, name)
pq.write_table(table, path("plain.parquet"), compression="none", use_dictionary=False, row_group_size=4)
pq.write_table(table, path("dictionary-snappy.parquet"), compression="snappy", row_group_size=4)
pq.write_table(table, path("pages-v2.parquet"), compression="snappy", data_page_version="2.0",
               use_dictionary=["colour", "id"], column_encoding=None)
pq.write_table(table.select(["whole", "colour"]), path("gzip.parquet"), compression="gzip")
pq.write_table(table.select(["whole", "colour"]), path("zstd.parquet"), compression="zstd")
pq.write_table(table.select(["whole"]), path("delta.parquet"), compression="none", use_dictionary=False,
               column_encoding={"whole": "DELTA_BINARY_PACKED"})
pq.write_table(pa.table({"list": pa.array([[1, 2], [3]])}), path("list.parquet"))
pq.write_table(pa.table({"when": pa.array([1, 2], pa.timestamp("ms"))}), path("time.parquet"))
